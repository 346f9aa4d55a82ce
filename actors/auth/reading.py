"""What is read of keys, tokens and the audit log, from read-only connections."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from actors.auth.audit import Chain, record_of
from actors.auth.messages import (
    AuditPage,
    AuditVerdict,
    KeyRecord,
    ListKeys,
    ReadAudit,
    Standing,
)
from actors.auth.records import key_record
from actors.auth.requests import check_audit
from actors.coordination.rows import fetch
from actors.errors import StoreDamaged
from storage.coordination import audit, auth
from storage.errors import PayloadError
from storage.lookups import Reads

STEP: Final = 500
"""Records that are looked at in one query."""

FIRST: Final = -(2**63)

SCAN_LIMIT: Final = 20_000
"""Records that are looked at for one page, where more than one thing is asked for."""


async def key_row(reads: Reads, key_id: str) -> sqlite3.Row | None:
    rows = await fetch(reads, "get_key", auth.KEY, (key_id,))
    return rows[0] if rows else None


async def token_of_jti(reads: Reads, jti: str) -> sqlite3.Row | None:
    rows = await fetch(reads, "get_token", auth.PAIR_OF_JTI, (jti,))
    return rows[0] if rows else None


async def token_of_hash(reads: Reads, sha256: str) -> sqlite3.Row | None:
    rows = await fetch(reads, "get_token", auth.PAIR_OF_HASH, (sha256,))
    return rows[0] if rows else None


async def list_keys(reads: Reads, request: ListKeys) -> tuple[KeyRecord, ...]:
    if request.user_id is None:
        rows = await fetch(reads, "list_keys", auth.KEYS, ())
    else:
        rows = await fetch(reads, "list_keys", auth.KEYS_OF_USER, (request.user_id,))
    return tuple(map(key_record, rows))


async def standing(reads: Reads) -> Standing:
    made = await fetch(reads, "any_key", auth.ANY_KEY, ())
    return Standing(has_keys=bool(made[0]["made"]))


async def read_audit(reads: Reads, request: ReadAudit) -> AuditPage:
    """A page of the audit log.

    One that has looked at `SCAN_LIMIT` records for it may hold fewer than were asked for, or none,
    and still say that there are more.

    Raises:
        ValidationError: what is asked for cannot be; the limit is 1 to 200.
        StoreDamaged: a record is not what was written.
    """
    check_audit(request)
    found: list[sqlite3.Row] = []
    reached = request.after
    for _ in range(SCAN_LIMIT // STEP):
        rows = await _stretch(reads, request, reached)
        for row in rows:
            if not _is_wanted(request, row):
                continue
            if len(found) == request.limit:
                return _page(found, found[-1]["seq"])
            found.append(row)
        if len(rows) < STEP:
            return _page(found, None)
        reached = rows[-1]["seq"]
    return _page(found, reached)


def _page(rows: Sequence[sqlite3.Row], next_after: int | None) -> AuditPage:
    try:
        return AuditPage(records=tuple(map(record_of, rows)), next_after=next_after)
    except PayloadError as error:
        text = f"a record of the audit log is damaged: {error}"
        raise StoreDamaged(text, operation="read_audit") from error


async def _stretch(reads: Reads, request: ReadAudit, after: int) -> list[sqlite3.Row]:
    if request.actor is not None:
        return await fetch(reads, "read_audit", audit.PAGE_OF_ACTOR, (request.actor, after, STEP))
    if request.action is not None:
        return await fetch(reads, "read_audit", audit.PAGE_OF_ACTION, (request.action, after, STEP))
    if request.outcome is not None:
        of = (request.outcome, after, STEP)
        return await fetch(reads, "read_audit", audit.PAGE_OF_OUTCOME, of)
    return await fetch(reads, "read_audit", audit.PAGE, (after, STEP))


def _is_wanted(request: ReadAudit, row: sqlite3.Row) -> bool:
    asked = (request.actor, request.action, request.outcome)
    there = (row["actor"], row["action"], row["outcome"])
    return all(wanted is None or wanted == has for wanted, has in zip(asked, there, strict=True))


async def verify_audit(reads: Reads) -> AuditVerdict:
    """Compute the whole chain again, up to the end it has when this begins; never all in memory."""
    head = await _head(reads)
    chain = Chain(None if head is None else (head["seq"], head["hash"]))
    after = FIRST
    while chain.goes_on:
        rows = await fetch(reads, "verify_audit", audit.PAGE, (after, STEP))
        if not rows:
            break
        for row in rows:
            chain.take(row)
        after = rows[-1]["seq"]
    last = await fetch(reads, "verify_audit", audit.LAST, ())
    if last and (now := await _head(reads)) is not None and last[0]["seq"] > now["seq"]:
        chain.goes_beyond(last[0]["seq"])
    verdict = chain.verdict()
    if verdict.broken_at is None and (gone := await unkept(reads)):
        return replace(verdict, broken_at=0, why=f"triggers that keep it are gone: {gone}")
    return verdict


async def unkept(reads: Reads) -> str:
    """The triggers of the log that are not there any more, "" where all are."""
    there = await fetch(reads, "audit_triggers", audit.TRIGGERS, ())
    return ", ".join(sorted(audit.KEPT_BY - {row["name"] for row in there}))


async def _head(reads: Reads) -> sqlite3.Row | None:
    rows = await fetch(reads, "audit_head", audit.HEAD, ())
    return rows[0] if rows else None
