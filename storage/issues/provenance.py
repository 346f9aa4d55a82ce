"""Who moved an issue last: the journal says it, so that a close by hand is known for one."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

# What somebody closed and its workflow closes again, for its own reason, is the workflow's.
LAST_STROKES: Final = """
SELECT wanted.value AS issue_id, j.seq, j.kind, j.at,
    json_extract(j.detail, '$.status') AS status,
    json_extract(j.detail, '$.actor') AS actor,
    json_extract(j.detail, '$.holder') AS holder,
    coalesce(json_extract(j.detail, '$.automatic'), 0) AS automatic
FROM json_each(?) AS wanted CROSS JOIN journal AS j ON j.seq = (
    SELECT seq FROM journal WHERE issue_id = wanted.value AND (
        json_extract(detail, '$.status') IS NOT json_extract(detail, '$.status_before')
        OR (json_extract(detail, '$.automatic')
            AND instr(json_extract(detail, '$.fields'), '"close_reason"') > 0))
    ORDER BY seq DESC LIMIT 1)
"""
LAST_LABELLED: Final = """
SELECT wanted.value AS issue_id,
    coalesce(json_extract(j.detail, '$.automatic'), 0)
        OR (j.kind = 'created' AND json_extract(j.detail, '$.actor') IS NULL) AS automatic
FROM json_each(?) AS wanted CROSS JOIN journal AS j ON j.seq = (
    SELECT seq FROM journal WHERE issue_id = wanted.value
        AND instr(json_extract(detail, '$.fields'), '"labels"') > 0
    ORDER BY seq DESC LIMIT 1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """The last change of an issue's status.

    Args:
        automatic: it followed its workflow, or came into being with it; else somebody made it.
        actor: who made it, where that was said: not in a file that somebody wrote.
    """

    seq: int
    status: str | None
    automatic: bool
    actor: str
    at: str


def strokes(rows: Iterable[Sequence[Any]]) -> dict[str, Stroke]:
    """Give what `LAST_STROKES` has found, by issue."""
    return {
        issue_id: Stroke(
            seq=seq,
            status=status,
            automatic=bool(automatic) or (kind == "created" and actor is None),
            actor=holder or actor or "",
            at=at,
        )
        for issue_id, seq, kind, at, status, actor, holder, automatic in rows
    }


def last_stroke(conn: sqlite3.Connection, issue_id: str) -> Stroke | None:
    """Return the last change of an issue's status; None when it has no past here."""
    found = conn.execute(LAST_STROKES, (json.dumps([issue_id]),))
    return strokes(found).get(issue_id)
