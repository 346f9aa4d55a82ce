"""Inserting many rows with few statements.

Each step of a statement lets go of the interpreter's lock and has to get it back, for which a busy
thread may make it wait, so `executemany` pays for every row. One statement for many rows pays once.
Their numbers are few, so that SQLite's prepared statements are used again.
"""

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

_SIZES = (64, 16, 4, 1)


def insert_rows(
    connection: sqlite3.Connection,
    table: str,
    columns: str,
    rows: Sequence[Sequence[Any]],
    *,
    ending: str = "",
) -> None:
    """Insert rows; `columns` are their names, with commas between them."""
    width = columns.count(",") + 1
    first = 0
    for size in _SIZES:
        statement = _statement(table, columns, width, size, ending)
        while len(rows) - first >= size:
            values = tuple(chain.from_iterable(rows[first : first + size]))
            connection.execute(statement, values)
            first += size


@cache
def _statement(table: str, columns: str, width: int, size: int, ending: str) -> str:
    row = f"({', '.join('?' * width)})"
    rows = ", ".join([row] * size)
    return f"INSERT INTO {table} ({columns}) VALUES {rows} {ending}"  # noqa: S608 - our own names
