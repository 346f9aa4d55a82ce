"""What `beadflow db status` says of each database, and of whoever holds them.

Nothing here fails: what cannot be read is a state like the others.
"""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from cli import table, when
from storage.aside import remains_of
from storage.database import open_reader
from storage.databases import Database, refuse_foreign
from storage.errors import (
    Corrupt,
    DatabaseBusy,
    ForeignDatabase,
    StorageError,
    database_failure,
    naming,
)
from storage.lock import Holder
from storage.migrate import Status, status

COLUMNS: Final = (
    table.Column("database"),
    table.Column("state", toned=True),
    table.Column("version", right=True),
    table.Column("newest", right=True),
    table.Column("bytes", right=True),
    table.Column("log bytes", right=True),
    table.Column("migrated"),
)

UNFIT: Final = ("missing", "empty", "damaged", "busy", "unreadable", "newer", "changed", "foreign")
"""States of a database that this program cannot open."""

SHOWN_IDS: Final = 20

_STATES: Final[Mapping[type[StorageError], str]] = {
    Corrupt: "damaged",
    DatabaseBusy: "busy",
    ForeignDatabase: "foreign",
}


def described(database: Database) -> dict[str, Any]:
    """One database as `db.status` shows it; what cannot be read is said, not raised."""
    fields: dict[str, Any] = {
        "name": database.name,
        "path": str(database.path),
        "state": "missing",
        "version": None,
        "newest": database.newest,
        "bytes": None,
        "log_bytes": database.log.stat().st_size if database.log.exists() else 0,
        "migrations": [],
        "problem": None,
    }
    if not os.path.lexists(database.path):
        return fields
    fields["bytes"] = database.path.lstat().st_size
    if database.is_absent:
        return {**fields, "state": "empty"}
    try:
        with closing(open_reader(database.path)) as connection:
            with naming(database.path):
                refuse_foreign(connection, database)
            found = status(connection, database.schema)
    except sqlite3.Error as err:
        return {**fields, **_failed(database_failure(database.path, err))}
    except StorageError as err:
        return {**fields, **_failed(err)}
    applied = [line.version for line in found if line.applied_at]
    shown = [_migration_fields(line) for line in found]
    return {
        **fields,
        "state": _state(found),
        "version": max(applied, default=0),
        "migrations": shown,
    }


def _failed(err: StorageError) -> dict[str, str]:
    return {"state": _STATES.get(type(err), "unreadable"), "problem": str(err)}


def _state(found: list[Status]) -> str:
    if not all(line.known for line in found):
        return "newer"
    if any(line.changed for line in found):
        return "changed"
    pending = sum(line.applied_at is None for line in found)
    return f"{pending} pending" if pending else "current"


def _migration_fields(line: Status) -> dict[str, Any]:
    return {
        "version": line.version,
        "name": line.name,
        "applied_at": line.applied_at.isoformat() if line.applied_at else None,
        "known": line.known,
        "changed": line.changed,
    }


def row(fields: dict[str, Any]) -> tuple[str, ...]:
    applied = [line["applied_at"] for line in fields["migrations"] if line["applied_at"]]
    cells = (fields[name] for name in ("name", "state", "version", "newest", "bytes", "log_bytes"))
    return (
        *("" if cell is None else str(cell) for cell in cells),
        when.moment(max(applied, default="")),
    )


def aside_fields(path: Path) -> dict[str, Any]:
    """A damaged beads.db that a start has put aside: what it held and the issues' file does not."""
    remains = remains_of(path)
    return {
        "path": str(path),
        "claims": remains.claims,
        "wisps": remains.wisps,
        "changes": remains.changes,
    }


def aside_words(fields: Mapping[str, Any]) -> str:
    lost = {
        "claims": fields["claims"],
        "wisps": fields["wisps"],
        "changes that were in no file": fields["changes"],
    }
    told = "; ".join(f"{what}: {_ids(ids)}" for what, ids in lost.items())
    return (
        f"beads.db was damaged and rebuilt from the issues' file; lost with it are {told}. The"
        f" damaged one is {fields['path']}: remove it when you no longer need it"
    )


def _ids(ids: tuple[str, ...] | None) -> str:
    if ids is None:
        return "cannot be read"
    shown = ", ".join(ids[:SHOWN_IDS]) or "none"
    return f"{shown} and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else shown


def holder_fields(holder: Holder | None) -> dict[str, Any] | None:
    if holder is None:
        return None
    return {
        "pid": holder.pid,
        "host": holder.host,
        "started_at": holder.started_at,
        "url": holder.url,
    }


def holder_words(holder: Holder | None) -> str:
    if holder is None:
        return "nobody"
    if holder.pid is None:
        return "a process that has just begun"
    at = f", serving {holder.url}" if holder.url else ""
    return f"process {holder.pid} on {holder.host} since {holder.started_at}{at}"
