"""The SQL of the audit log. It is only ever added to; SQLite itself refuses the rest."""

import sqlite3
from collections.abc import Mapping
from typing import Any

COLUMNS = "seq, id, at, actor, action, target, outcome, address, detail, previous, hash"

HEAD = "SELECT seq, hash FROM audit_head"
LINE = "SELECT seq, detail FROM audit WHERE id = ?"
INSERT = """
    INSERT INTO audit (seq, id, at, actor, action, target, outcome, address, detail, previous, hash)
    VALUES (:seq, :id, :at, :actor, :action, :target, :outcome, :address, :detail, :previous,
            :hash)"""
TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
KEPT_BY = frozenset(
    {
        *("audit_stays", "audit_is_kept", "audit_goes_on", "audit_has_gone_on"),
        *("audit_head_is_kept", "audit_head_goes_on"),
    }
)
"""The triggers that refuse what the log must not become."""

LAST = "SELECT seq FROM audit ORDER BY seq DESC LIMIT 1"
PAGE = f"SELECT {COLUMNS} FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - constants
PAGE_OF_ACTOR = f"""
    SELECT {COLUMNS} FROM audit WHERE actor = ? AND seq > ? ORDER BY seq LIMIT ?"""  # noqa: S608 - constants
PAGE_OF_ACTION = f"""
    SELECT {COLUMNS} FROM audit WHERE action = ? AND seq > ? ORDER BY seq LIMIT ?"""  # noqa: S608 - constants
PAGE_OF_OUTCOME = f"""
    SELECT {COLUMNS} FROM audit WHERE outcome = ? AND seq > ? ORDER BY seq LIMIT ?"""  # noqa: S608 - constants


def head(connection: sqlite3.Connection) -> tuple[int, str]:
    """The last number and its hash; (0, "") of a log that is empty."""
    row = connection.execute(HEAD).fetchone()
    return row["seq"], row["hash"]


def seq_of(connection: sqlite3.Connection, line_id: str) -> int | None:
    row = connection.execute(LINE, (line_id,)).fetchone()
    return None if row is None else row["seq"]


def detail_of(connection: sqlite3.Connection, line_id: str) -> str | None:
    row = connection.execute(LINE, (line_id,)).fetchone()
    return None if row is None else row["detail"]


def insert(connection: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    connection.execute(INSERT, values)
