"""Whose a table of `tempolite.db` is: the engine's, or one that a workflow made for itself.

`ctx.tx` lets workflows keep tables in the engine's database, so that what they write and what is
recorded of it are there together. Such tables are data like any other: they are checked, copied and
restored with the file, and no migration touches them. Names are what tells the two apart. The other
two databases have no tables but their own.

The engine's are its tables, and every name that goes on with `_` behind one of these: its indexes
are called so, and the tables that a migration makes for a moment.
"""

from typing import Final

SHARED: Final = "tempolite"
"""The one database in which workflows may keep tables."""

ENGINE_TABLES: Final = frozenset(
    {"meta", "instances", "history", "tasks", "inbox", "heartbeats", "segments"}
    | {"schema_migrations"}
)


def is_engines(name: str) -> bool:
    """Whether a table, view or index of this name is the engine's; in any letters, as for SQLite.

    SQLite's own names (`sqlite_…`) are nobody's.
    """
    lowered = name.lower()
    return lowered in ENGINE_TABLES or any(lowered.startswith(f"{own}_") for own in ENGINE_TABLES)


def is_users(database: str, name: str, table: str) -> bool:
    """Whether something in the schema of a database is a user's, and on a table of the user's.

    Args:
        database: the database's name, without its ending.
        name: what the table, view, index or trigger is called.
        table: the table that it is on; a table's or a view's own name.
    """
    return database == SHARED and not is_engines(name) and not is_engines(table)
