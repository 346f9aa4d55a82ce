"""Whether a database file is whole: its pages, its indexes, its schema and what its rows refer to.

Says what is wrong and where, as findings, and mends nothing: a damaged file is put back from a
backup. What the rows of our own tables owe each other is in `storage.invariants`.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from storage.database import open_reader
from storage.databases import Database, refuse_foreign
from storage.errors import DatabaseFailure, Inaccessible, SchemaError, StorageError, UnsafePath
from storage.migrate import applied, expected_shape, refuse_misfit, shape
from storage.ownership import is_users
from storage.room import reading_failure

MOST = 20
"""Findings of one kind for one file; whoever has more will not read them all."""

_TREE = re.compile(r"[Tt]ree (?:page )?(\d+)")
_PAGE = re.compile(r"(?<![Tt]ree )[Pp]age (\d+)")
_ROW = re.compile(r"\brow (\d+)")
_NAME = re.compile(r"index (\w+)|in (\w+)\.\w+$|in (\w+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Args:
        database: which file.
        table: the table or index, "" where none is known.
        place: the page, row or id, "" where none is known.
        what: what is wrong there, in one sentence.
        is_mended: whether the next start of a server puts it right, by comparing the stores.
    """

    database: str
    table: str = ""
    place: str = ""
    what: str
    is_mended: bool = False


def inspect(database: Database) -> list[Finding]:
    """Everything that is wrong with one file by itself. Reads all of it.

    A write-ahead log of somebody who writes at this moment is read along; nothing is locked.

    Raises:
        Inaccessible, UnsafePath: it cannot be looked at, which is no damage.
    """
    if database.is_absent:
        missing = "is empty" if database.path.exists() else "is missing"
        return [Finding(database=database.name, what=f"{database.path.name} {missing}")]
    try:
        with closing(open_reader(database.path)) as connection:
            return list(_inspect(connection, database))
    except UnsafePath:
        raise
    except DatabaseFailure as err:
        failure = err
    except StorageError as err:
        return [Finding(database=database.name, what=str(err))]
    except sqlite3.Error as err:
        failure = reading_failure(database.path, err)
    if isinstance(failure, Inaccessible):
        raise failure
    return [Finding(database=database.name, what=f"cannot be read: {failure.detail}")]


def _inspect(connection: sqlite3.Connection, database: Database) -> Iterator[Finding]:
    damage = pages(connection, database.name)
    yield from damage
    if not damage:  # on damaged pages the rest would only say the same again
        yield from _references(connection, database.name)
        yield from _schema(connection, database)


def pages(connection: sqlite3.Connection, name: str) -> list[Finding]:
    """What SQLite's own integrity check says, with the table and the page where it names them.

    The check breaks off where it can read no further; then each tree is read by itself.
    """
    roots = _roots(connection)
    found: list[Finding] = []
    try:
        for (line,) in map(tuple, connection.execute(f"PRAGMA integrity_check({MOST})")):
            if line != "ok":
                found += [_finding(name, text, roots) for text in line.splitlines()]
    except sqlite3.Error as err:
        found += _unreadable(connection, name, roots) or [
            Finding(database=name, what=f"cannot be read to its end: {err}")
        ]
    return [finding for finding in found if not finding.what.startswith("*** in database")]


def _finding(name: str, line: str, roots: dict[int, str]) -> Finding:
    return Finding(database=name, table=_table(line, roots), place=_place(line), what=line)


def _roots(connection: sqlite3.Connection) -> dict[int, str]:
    rows = connection.execute("SELECT rootpage, name FROM sqlite_schema WHERE rootpage > 0")
    return {row[0]: row[1] for row in rows} | {1: "sqlite_schema"}


def _unreadable(connection: sqlite3.Connection, name: str, roots: dict[int, str]) -> list[Finding]:
    """The tables and indexes that cannot be read from one end to the other."""
    found = []
    for row in connection.execute("SELECT * FROM sqlite_schema WHERE rootpage > 0").fetchall():
        table, tree = row["tbl_name"], row["name"]
        by = f"INDEXED BY {_quoted(tree)}" if row["type"] == "index" else "NOT INDEXED"
        where = _condition(row["sql"] or "") if row["type"] == "index" else ""
        try:
            connection.execute(f"SELECT count(*) FROM {_quoted(table)} {by}{where}")  # noqa: S608 - the schema's own names
        except sqlite3.OperationalError:
            continue  # no question that this tree alone could answer
        except sqlite3.Error as err:
            root = next(page for page, owner in roots.items() if owner == tree)
            what = f"the tree that begins here cannot be read: {err}"
            found.append(Finding(database=name, table=tree, place=f"page {root}", what=what))
    return found


def _quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it: users choose their own."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _condition(sql: str) -> str:
    """The condition of a partial index, which only a query of the same words may use."""
    _, where, condition = sql.partition(" WHERE ")
    return where + condition


def _table(line: str, roots: dict[int, str]) -> str:
    if found := _TREE.search(line):
        return roots.get(int(found[1]), "")
    found = _NAME.search(line)
    return next(filter(None, found.groups())) if found else ""


def _place(line: str) -> str:
    if found := _PAGE.search(line) or _TREE.search(line):
        return f"page {found[1]}"
    found = _ROW.search(line)
    return f"row {found[1]}" if found else ""


def _references(connection: sqlite3.Connection, name: str) -> Iterator[Finding]:
    for row in connection.execute("PRAGMA foreign_key_check").fetchmany(MOST):
        what = f"refers to a row of {row['parent']} that is not there"
        yield Finding(database=name, table=row["table"], place=f"row {row['rowid']}", what=what)


def _schema(connection: sqlite3.Connection, database: Database) -> Iterator[Finding]:
    """Tables and indexes that differ from what the applied migrations make.

    Tables of the user's own are nobody's to judge, where there may be any.
    """
    try:
        refuse_foreign(connection, database)
        refuse_misfit(connection, database.schema)
    except SchemaError as err:
        yield Finding(database=database.name, table="schema_migrations", what=str(err))
        return
    rows = applied(connection)
    if not rows:
        what = f"{database.path.name} has no tables: `beadflow db migrate` makes them"
        yield Finding(database=database.name, table="schema_migrations", what=what)
        return
    there = _without_users(connection, database)
    wanted = expected_shape(database.schema, rows[-1].version)
    for name in sorted(wanted.keys() | there.keys()):
        if name not in there:
            yield Finding(database=database.name, table=name, what="is missing from the schema")
        elif name not in wanted:
            yield Finding(database=database.name, table=name, what="belongs to no migration")
        elif _plain(there[name]) != _plain(wanted[name]):
            yield Finding(database=database.name, table=name, what="is not as its migration says")


def _without_users(connection: sqlite3.Connection, database: Database) -> dict[str, str]:
    tables = dict(map(tuple, connection.execute("SELECT name, tbl_name FROM sqlite_schema")))
    return {
        name: sql
        for name, sql in shape(connection).items()
        if not is_users(database.name, name, tables[name])
    }


def _plain(sql: str) -> str:
    """A statement without what SQLite changes when it alters or renames a table."""
    return re.sub(r'--[^\n]*|[\s"]+', "", sql)
