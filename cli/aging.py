"""What `beadflow db archive` does: the keeper's steps, without a system around them."""

import math
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from actors import retention
from actors.clock import system_clock
from actors.retention import Retired
from storage.agreement import refuse_incomplete
from storage.artifacts import DIRECTORY as ARTIFACTS
from storage.artifacts import Artifacts
from storage.database import open_writer, refuse_damaged
from storage.databases import databases
from storage.errors import database_failure
from storage.migrate import migrate
from storage.sweeping import sweep

_HANDLERS: Mapping[type, Callable[[sqlite3.Connection, Any], object]] = {
    **retention.COORDINATION,
    **retention.TEMPOLITE,
}


def retire(directory: Path, days: int) -> Retired:
    """Archive what ended more than `days` ago. The data directory's lock is held.

    Raises:
        StorageError: a database is damaged, or cannot be read, written or migrated.
        OSError: the archive cannot be written.
    """
    retired = Retired()
    refuse_incomplete(directory)  # one that was lost is not made anew
    coordination, tempolite, beads = databases(directory)
    for database in (coordination, tempolite, beads):
        refuse_damaged(database.path)
    with (
        closing(open_writer(coordination.path)) as bridge,
        closing(open_writer(tempolite.path)) as engine,
        closing(open_writer(beads.path)) as issues,
    ):
        migrate(bridge, coordination.schema)
        migrate(engine, tempolite.schema)
        migrate(issues, beads.schema)
        writers = {"coordination": bridge, "tempolite": engine}
        for step in retention.retire(directory, now=system_clock(), days=days, retired=retired):
            _commit(directory, writers[step.database], step.command)
    sweep(directory, Artifacts(directory / ARTIFACTS), before=math.inf)
    return retired


def _commit(directory: Path, connection: sqlite3.Connection, command: object) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
        _HANDLERS[type(command)](connection, command)
        connection.execute("COMMIT")
    except sqlite3.Error as err:
        raise database_failure(directory, err) from err
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
