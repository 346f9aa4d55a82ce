"""Rows that the bridge reads, or a refusal: a database that does not answer is no crash."""

import sqlite3
from collections.abc import Mapping, Sequence

from actors.damage import refusing_damage
from actors.errors import Overloaded
from storage.errors import QueryFailed, QueryTimeout
from storage.lookups import Reads


async def fetch(
    pool: Reads, operation: str, sql: str, params: Sequence[object] | Mapping[str, object]
) -> list[sqlite3.Row]:
    """All rows of a query.

    Raises:
        Overloaded: it could not be read in time.
        StoreDamaged: the database is damaged.
    """
    try:
        with refusing_damage(operation):
            return await pool.fetch(operation, sql, params)
    except (QueryTimeout, QueryFailed) as error:
        raise Overloaded(f"{operation} could not be read now: {error}") from error
