"""Who changes a workflow's row: triggers on a writing connection note it, whatever the command was.

They are temporary, and so is the table that they note it in: they live in the connection's memory,
not in the file. A row that comes is no change: nobody has read it. What was noted is asked for just
before the commit, once for all of a transaction: a call for each row would wait for the
interpreter's lock each time. What is taken back is noted no more.
"""

import sqlite3
from typing import Final

COORDINATION: Final = """
    CREATE TEMP TRIGGER mapping_changes AFTER UPDATE ON main.workflow_mappings
    BEGIN INSERT OR IGNORE INTO changes VALUES (new.tempolite_workflow_id); END;
    CREATE TEMP TRIGGER mapping_goes AFTER DELETE ON main.workflow_mappings
    BEGIN INSERT OR IGNORE INTO changes VALUES (old.tempolite_workflow_id); END;
    CREATE TEMP TRIGGER assignment_comes AFTER INSERT ON main.agent_assignments
    BEGIN INSERT OR IGNORE INTO changes VALUES (new.workflow_id); END;
    CREATE TEMP TRIGGER assignment_changes AFTER UPDATE ON main.agent_assignments
    BEGIN INSERT OR IGNORE INTO changes VALUES (new.workflow_id); END;
    CREATE TEMP TRIGGER assignment_goes AFTER DELETE ON main.agent_assignments
    BEGIN INSERT OR IGNORE INTO changes VALUES (old.workflow_id); END;
"""

TEMPOLITE: Final = """
    CREATE TEMP TRIGGER instance_changes AFTER UPDATE OF status ON main.instances
    WHEN new.status IS NOT old.status
    BEGIN INSERT OR IGNORE INTO changes VALUES (new.workflow_id); END;
    CREATE TEMP TRIGGER instance_goes AFTER DELETE ON main.instances
    BEGIN INSERT OR IGNORE INTO changes VALUES (old.workflow_id); END;
"""


def note_changes(connection: sqlite3.Connection, triggers: str) -> None:
    """Have noted from now on of which workflows a row changes.

    Args:
        connection: a writing one, outside of a transaction.
        triggers: `COORDINATION` or `TEMPOLITE`.
    """
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(
        "CREATE TEMP TABLE changes (workflow_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID"
    )
    for trigger in triggers.split("END;")[:-1]:
        connection.execute(f"{trigger}END")


def changed(connection: sqlite3.Connection) -> list[str]:
    """Take out what was noted in this transaction: ids of workflows."""
    return [row[0] for row in connection.execute("DELETE FROM changes RETURNING workflow_id")]
