"""The leases of beads.db: who works on which issue, until when, and the fence that guards it.

Only the claims' commands take, renew and end leases; the schema's triggers end one whose issue was
closed, given back, reassigned or removed, by whichever road. Nothing here reads a clock, and no
lease is touched because it ran out: it stays, and its holder may go on, until somebody takes the
issue over.

Times are `actors.clock.rfc3339` texts, UTC with six digits of a second, which compare as texts.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Final

_RAISE_FENCE: Final = "UPDATE fence SET last = max(last + 1, ?) RETURNING last"
_TAKE: Final = "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)"
_OPEN: Final = """
SELECT issues.id FROM json_each(:ids) CROSS JOIN issues ON issues.id = value
WHERE issues.status IN ('open', 'in_progress', 'blocked', 'deferred', 'hooked') LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One row of the table, its columns in their order.

    `request` names the command that made it; `home` is the installation it counts in.
    """

    issue_id: str
    holder: str
    home: str
    token: int
    request: str
    claimed_at: str
    expires_at: str


def next_token(conn: sqlite3.Connection, floor: int) -> int:
    """Give a token higher than every one before it, and at least `floor`.

    The floor is a time: so tokens go on growing although the database was rebuilt, or put back from
    a backup that knows nothing of the last ones.
    """
    (token,) = conn.execute(_RAISE_FENCE, (floor,)).fetchone()
    return int(token)


def take(conn: sqlite3.Connection, lease: Lease) -> None:
    """Store a lease, in the place of any that the issue had."""
    conn.execute(_TAKE, astuple(lease))


def renew(conn: sqlite3.Connection, issue_id: str, expires_at: str) -> None:
    conn.execute("UPDATE leases SET expires_at = ? WHERE issue_id = ?", (expires_at, issue_id))


def end(conn: sqlite3.Connection, issue_id: str) -> None:
    conn.execute("DELETE FROM leases WHERE issue_id = ?", (issue_id,))


def move(conn: sqlite3.Connection, issue_id: str, to: str) -> None:
    """Have the lease follow an issue that gets another id."""
    sql = "UPDATE OR REPLACE leases SET issue_id = :new WHERE issue_id = :old"
    conn.execute(sql, {"old": issue_id, "new": to})


def move_with_those_below(conn: sqlite3.Connection, issue_id: str, to: str) -> None:
    """Have the leases of an issue and of all below it follow."""
    below = {"first": f"{issue_id}.", "last": f"{issue_id}/"}  # "/" follows "." in ASCII
    sql = "SELECT issue_id FROM leases WHERE issue_id > :first AND issue_id < :last"
    for each in (issue_id, *(found for (found,) in conn.execute(sql, below).fetchall())):
        move(conn, each, to + each[len(issue_id) :])


def by_token(conn: sqlite3.Connection, token: int) -> Lease | None:
    sql = "SELECT * FROM leases WHERE token = ?"
    row = conn.execute(sql, (token,)).fetchone()
    return _lease(row) if row is not None else None


def get(conn: sqlite3.Connection, issue_id: str) -> Lease | None:
    """Return the lease of an issue, also one that has run out."""
    sql = "SELECT * FROM leases WHERE issue_id = ?"
    row = conn.execute(sql, (issue_id,)).fetchone()
    return _lease(row) if row is not None else None


def expired(conn: sqlite3.Connection, now: str, limit: int) -> list[Lease]:
    """Return the leases that have run out and may be taken over, the longest ago first."""
    sql = "SELECT * FROM leases WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
    return [_lease(row) for row in conn.execute(sql, (now, limit))]


def count(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT count(*) FROM leases").fetchone()[0])


def first_open(conn: sqlite3.Connection, issue_ids: Iterable[str]) -> str | None:
    """Return one of these issues that is not done yet; None when all are, or are not here."""
    ids = json.dumps(list(issue_ids))
    row = conn.execute(_OPEN, {"ids": ids}).fetchone()
    return row[0] if row is not None else None


def _lease(row: sqlite3.Row) -> Lease:
    return Lease(**{name: row[name] for name in Lease.__dataclass_fields__})
