"""Migrations: numbered SQL files, applied in order, each in one transaction with its own record.

What was applied is written down in `schema_migrations` in the same transaction that changes the
tables, so a process killed at any statement leaves the old schema or the new one. Statements are
run one by one: `executescript` would commit first.

A database is refused, with the way out in the message, when it was migrated by a newer program,
when a file it was migrated with has been changed since, or when a version is missing in between.
The message names the database, because there are three. Called by the database writers at start,
and by the offline command `db`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources.abc import Traversable
from pathlib import Path

from storage.errors import SchemaError
from storage.migration import Migration, load, split

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_at TEXT NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    version: int
    name: str
    checksum: str
    applied_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One line of `db status`. `known` is False for a version this program has no file of."""

    version: int
    name: str
    applied_at: datetime | None
    known: bool
    changed: bool


def migrate(conn: sqlite3.Connection, schema: Path | Traversable) -> list[Applied]:
    """Brings a database to the newest schema of this program and says which steps that took.

    Raises:
        SchemaError: the database does not fit (see the module), or a step failed. Steps before
            the failing one stay applied, the failing one leaves nothing.
    """
    migrations = load(schema)
    done = {row.version for row in _checked(conn, migrations)}
    return [_step_up(conn, m) for m in migrations if m.version not in done]


def status(conn: sqlite3.Connection, schema: Path | Traversable) -> list[Status]:
    """Lists every version the program or the database knows; never refuses the database."""
    migrations = {m.version: m for m in load(schema)}
    rows = {row.version: row for row in applied(conn)}
    return [
        _status(migrations.get(version), rows.get(version))
        for version in sorted(migrations.keys() | rows.keys())
    ]


def rollback(conn: sqlite3.Connection, schema: Path | Traversable, *, to: int) -> list[Applied]:
    """Takes back every step above version `to`, newest first, and says which ones those were.

    Raises:
        SchemaError: as `migrate`; also when a step has no down file (checked before the first).
    """
    undo = undoable(conn, schema, to=to)
    known = {m.version: m for m in load(schema)}
    for row in undo:
        _step_down(conn, known[row.version])
    return undo


def undoable(conn: sqlite3.Connection, schema: Path | Traversable, *, to: int) -> list[Applied]:
    """Says which steps `rollback` would take back, newest first, and changes nothing.

    Raises:
        SchemaError: as `rollback`.
    """
    migrations = load(schema)
    undo = [row for row in reversed(_checked(conn, migrations)) if row.version > to]
    known = {m.version: m for m in migrations}
    for row in undo:
        if known[row.version].down is None:
            raise SchemaError(
                f"{_name(conn)}: {known[row.version].label} has no down file: restore a backup"
            )
    return undo


def refuse_misfit(conn: sqlite3.Connection, schema: Path | Traversable) -> None:
    """Does nothing when `migrate` would take the database; works on a reader too.

    Raises:
        SchemaError: the database does not fit (see the module).
    """
    _checked(conn, load(schema))


def shape(conn: sqlite3.Connection) -> dict[str, str]:
    """Gives the statement of every table, index and trigger, by its name."""
    rows = conn.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {name: sql for name, sql in rows if not name.startswith("sqlite_")}


def expected_shape(schema: Path | Traversable, version: int) -> dict[str, str]:
    """Gives the `shape` of a database that the migrations have brought to a version."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        for migration in load(schema):
            if migration.version <= version:
                _step_up(conn, migration)
        return shape(conn)


def applied(conn: sqlite3.Connection) -> list[Applied]:
    """Reads what a database says was applied to it, oldest first; works on a reader too."""
    if not conn.execute("SELECT 1 FROM sqlite_schema WHERE name='schema_migrations'").fetchone():
        return []
    rows = conn.execute(
        "SELECT version, name, checksum, applied_at FROM schema_migrations ORDER BY version"
    )
    return [
        Applied(version=v, name=n, checksum=c, applied_at=datetime.fromisoformat(at))
        for v, n, c, at in rows
    ]


def _checked(conn: sqlite3.Connection, migrations: list[Migration]) -> list[Applied]:
    """Reads what was applied and refuses a database that these migrations did not make."""
    rows = applied(conn)
    newest = migrations[-1].version if migrations else 0
    if rows and rows[-1].version > newest:
        raise SchemaError(
            f"{_name(conn)} is at version {rows[-1].version} ({rows[-1].name}), this program knows"
            f" versions up to {newest}: use the newer program, or let it roll back to {newest}"
        )
    if [row.version for row in rows] != [m.version for m in migrations[: len(rows)]]:
        missing = sorted(
            {m.version for m in migrations[: rows[-1].version]} - {r.version for r in rows}
        )
        raise SchemaError(f"{_name(conn)} lacks versions {missing} in between: restore a backup")
    for row, migration in zip(rows, migrations, strict=False):
        if row.checksum != migration.checksum:
            raise SchemaError(
                f"{migration.label} was changed after it was applied to {_name(conn)} on"
                f" {row.applied_at:%Y-%m-%d}: restore that file, and put the change into a new"
                " version"
            )
    return rows


def _name(conn: sqlite3.Connection) -> str:
    """Gives the file's name, for messages."""
    path = conn.execute("PRAGMA database_list").fetchone()[2]
    return Path(path).name or "the database"


def _status(migration: Migration | None, row: Applied | None) -> Status:
    return Status(
        version=migration.version if migration else row.version if row else 0,
        name=migration.name if migration else row.name if row else "",
        applied_at=row.applied_at if row else None,
        known=migration is not None,
        changed=bool(row and migration and row.checksum != migration.checksum),
    )


def _step_up(conn: sqlite3.Connection, migration: Migration) -> Applied:
    row = Applied(
        version=migration.version,
        name=migration.name,
        checksum=migration.checksum,
        applied_at=datetime.now(UTC),
    )
    with _one_transaction(conn, migration.label):
        conn.execute(_TABLE)
        _run(conn, migration.up)
        conn.execute(
            "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?,?,?,?)",
            (row.version, row.name, row.checksum, row.applied_at.isoformat()),
        )
    return row


def _step_down(conn: sqlite3.Connection, migration: Migration) -> None:
    with _one_transaction(conn, f"{migration.label} (down)"):
        _run(conn, migration.down or "")
        conn.execute("DELETE FROM schema_migrations WHERE version = ?", (migration.version,))


@contextmanager
def _one_transaction(conn: sqlite3.Connection, label: str) -> Iterator[None]:
    """Commits all or nothing, with foreign keys checked once at the end instead of on the way.

    A step that rebuilds a table drops the old one, which with the keys enforced would delete what
    refers to it; SQLite's own advice is to switch them off around the transaction. The same step
    renames the new table, and a view of a user's that reads the old one, or one that is gone, would
    refuse that: so a view is not looked at, and reads what bears the name afterwards.
    """
    (enforced,) = conn.execute("PRAGMA foreign_keys").fetchone()
    conn.execute("PRAGMA foreign_keys=OFF")
    conn.execute("PRAGMA legacy_alter_table=ON")
    try:
        conn.execute("BEGIN IMMEDIATE")
        yield
        if broken := conn.execute("PRAGMA foreign_key_check").fetchall():
            raise SchemaError(
                f"{label} leaves {len(broken)} rows without what they refer to, in {_name(conn)}"
            )
        conn.execute("COMMIT")
    except sqlite3.Error as err:
        raise SchemaError(
            f"{label} failed on {_name(conn)} and left nothing: {err} (mend what it names, or go on"
            " with the program that wrote the database)"
        ) from err
    finally:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        conn.execute("PRAGMA legacy_alter_table=OFF")
        conn.execute(f"PRAGMA foreign_keys={int(enforced)}")


def _run(conn: sqlite3.Connection, script: str) -> None:
    for statement in split(script):
        conn.execute(statement)
