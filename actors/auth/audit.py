"""The chain of the audit log: each record carries the hash of the one before.

So none can be changed, taken out, put between or put elsewhere without breaking all that follow;
and where the log ends is kept beside it, so that the end cannot be taken off. Whoever can write the
database can compute a whole new chain: a head that was noted elsewhere (`AuditVerdict.head`) shows
that, too.
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actors.auth.messages import AuditRecord, AuditVerdict, Outcome
from storage import payload
from storage.coordination import audit
from storage.errors import PayloadError

DETAIL_LENGTH: Final = 4000

TEXT_LENGTH: Final = 500
"""Characters of each text that somebody else may have chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What is to be added.

    Args:
        id: names the line, so that it is added once, however often it is sent.
    """

    id: str
    at: str
    actor: str
    action: str
    target: str
    outcome: Outcome
    address: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def append(connection: sqlite3.Connection, line: Line) -> int:
    """Add a line, in the writer's transaction; answers its number, also when it was there."""
    there = audit.seq_of(connection, line.id)
    if there is not None:
        return there
    seq, previous = audit.head(connection)
    record = AuditRecord(
        seq=seq + 1,
        id=line.id,
        at=line.at,
        actor=_short(line.actor),
        action=_short(line.action),
        target=_short(line.target),
        outcome=line.outcome,
        address=_short(line.address),
        detail=_plain(line.detail),
        previous=previous,
        hash="",
    )
    detail = payload.encode(record.detail)
    values = {name: getattr(record, name) for name in AuditRecord.__slots__}
    audit.insert(connection, values | {"detail": detail, "hash": hash_of(record)})
    return record.seq


def _plain(detail: Mapping[str, Any]) -> dict[str, Any]:
    """What the log can hold of it: JSON, and not too much."""
    try:
        text = payload.encode(dict(detail))
    except PayloadError:
        return {"lost": "it was no JSON"}
    return dict(detail) if len(text) <= DETAIL_LENGTH else {"lost": f"{len(text)} characters"}


def _short(text: str) -> str:
    plain = payload.plain_text(text)
    return plain if len(plain) <= TEXT_LENGTH else f"{plain[: TEXT_LENGTH - 1]}…"


def record_of(row: sqlite3.Row) -> AuditRecord:
    """Raises `PayloadError` when the detail is not what was stored."""
    values = {name: row[name] for name in AuditRecord.__slots__}
    return AuditRecord(**values | {"detail": payload.decode(row["detail"])})


def hash_of(record: AuditRecord) -> str:
    """The SHA-256 of all of a record but the hash: of a JSON array of its fields, in order."""
    fields = [getattr(record, name) for name in AuditRecord.__slots__ if name != "hash"]
    text = json.dumps(fields, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Chain:
    """Computes the chain again, record by record, in order.

    Args:
        head: the number and the hash that the log says it ends with; None when it does not say.
    """

    def __init__(self, head: tuple[int, str] | None) -> None:
        self._end, self._end_hash = head or (0, "")
        self._seq = 0
        self._hash = ""
        self._broken_at: int | None = None
        self._why = ""
        if head is None:
            self._break(0, "where the log ends is not written any more")

    @property
    def goes_on(self) -> bool:
        """Whether there is more to look at: it has neither broken nor reached the end."""
        return self._broken_at is None and self._seq < self._end

    def take(self, row: sqlite3.Row) -> None:
        """The next record; what follows a break, or was added since, is not looked at."""
        if not self.goes_on:
            return
        wrong = self._wrong(row)
        if wrong:
            self._break(self._seq + 1, wrong)
            return
        self._seq, self._hash = row["seq"], row["hash"]

    def goes_beyond(self, seq: int) -> None:
        """There is a record after the end."""
        if not self.goes_on and self._broken_at is None:
            self._break(self._end + 1, f"the log ends before it, and there are records to {seq}")

    def _wrong(self, row: sqlite3.Row) -> str:
        if row["seq"] != self._seq + 1:
            return f"record {self._seq + 1} is not there: {row['seq']!r} follows"
        if row["previous"] != self._hash:
            return "it does not follow the record before it"
        try:
            is_whole = hash_of(record_of(row)) == row["hash"]
        except (PayloadError, TypeError, ValueError):
            is_whole = False
        return "" if is_whole else "it is not as it was written"

    def _break(self, at: int, why: str) -> None:
        self._broken_at, self._why = at, why

    def verdict(self) -> AuditVerdict:
        """What was found, once there are no more records."""
        if self.goes_on:
            self._break(self._seq + 1, f"the log ends here, and should at {self._end}")
        elif self._broken_at is None and self._hash != self._end_hash:
            self._break(self._seq, "it is not what the log ended with")
        return AuditVerdict(
            records=self._seq, head=self._hash, broken_at=self._broken_at, why=self._why
        )
