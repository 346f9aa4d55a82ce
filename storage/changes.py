"""Who changes a workflow's row: triggers on a writing connection tell, whatever the command was.

They are temporary: they live in the connection, not in the file, and cost a function call for each
row that changes. A row that comes is no change: nobody has read it. What is told is inside the
transaction: the change is not committed yet, and may be taken back.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

COORDINATION: Final = """
    CREATE TEMP TRIGGER mapping_changes AFTER UPDATE ON main.workflow_mappings
    BEGIN SELECT workflow_changes(new.tempolite_workflow_id); END;
    CREATE TEMP TRIGGER mapping_goes AFTER DELETE ON main.workflow_mappings
    BEGIN SELECT workflow_changes(old.tempolite_workflow_id); END;
    CREATE TEMP TRIGGER assignment_comes AFTER INSERT ON main.agent_assignments
    BEGIN SELECT workflow_changes(new.workflow_id); END;
    CREATE TEMP TRIGGER assignment_changes AFTER UPDATE ON main.agent_assignments
    BEGIN SELECT workflow_changes(new.workflow_id); END;
    CREATE TEMP TRIGGER assignment_goes AFTER DELETE ON main.agent_assignments
    BEGIN SELECT workflow_changes(old.workflow_id); END;
"""

TEMPOLITE: Final = """
    CREATE TEMP TRIGGER instance_changes AFTER UPDATE OF status ON main.instances
    WHEN new.status IS NOT old.status
    BEGIN SELECT workflow_changes(new.workflow_id); END;
    CREATE TEMP TRIGGER instance_goes AFTER DELETE ON main.instances
    BEGIN SELECT workflow_changes(old.workflow_id); END;
"""


def tell_changes(
    connection: sqlite3.Connection, triggers: str, changes: Callable[[str], None]
) -> None:
    """Have `changes` told the id of each workflow of which a row changes, while it does.

    Args:
        connection: a writing one, outside of a transaction.
        triggers: `COORDINATION` or `TEMPOLITE`.
        changes: called in the connection's thread; it must not raise.
    """
    connection.create_function("workflow_changes", 1, changes)
    for trigger in triggers.split("END;")[:-1]:
        connection.execute(f"{trigger}END")
