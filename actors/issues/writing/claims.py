"""Claims: who works on an issue. At most one, with a lease that ends, and a token that fences.

A claim is made in one transaction: the row (assignee, in_progress, this installation's home), its
journal entry and the lease. Whether the issue may be claimed is decided inside that transaction,
so of many who try at once exactly one gets it, and the others are told who did.

A lease that has run out changes nothing by itself: its holder may renew it or go on writing until
somebody takes the issue over. Taking over is for leases of this home; a row that another home works
on, or that somebody was given by hand, is taken only with force. A lease that has not run out is
taken by nobody: release it, or assign the issue to somebody else.

Every command may come twice, since a writer that died may have committed before it answered:
`request` tells the same claim from another one.
"""

import itertools
import math
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from actors.clock import Clock, rfc3339
from actors.errors import Conflict, NotFound, ValidationError
from actors.issues import issue
from actors.issues.messages import Issue
from actors.issues.questions import ClaimReady
from actors.issues.verbs import (
    AlreadyClaimed,
    Claim,
    ClaimIssue,
    HeartbeatClaim,
    NothingReady,
    ReleaseClaim,
    StaleClaim,
)
from actors.issues.writing.entries import put_changed
from actors.issues.writing.fence import require_token
from actors.writer import Command, Handler, write
from storage.issues import instants, jsonl, leases, queries
from storage.issues.jsonl import Row
from storage.issues.leases import Lease
from supervision import Named

LONGEST_S: Final = 30 * 24 * 3600.0
"""A claim for longer than a month is no lease any more, but an assignment."""

Ready = Callable[[ClaimReady, int], Awaitable[Iterable[str]]]
Message = ClaimIssue | ClaimReady | HeartbeatClaim | ReleaseClaim


# --- commands for the writer of beads.db -------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lease and the row it is on, as they were committed."""

    row: Row
    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeLease(Command[Held]):
    """Claim an issue, renew one's claim, or take one over that has run out.

    Refused with `NotFound`, `AlreadyClaimed`, `Conflict` (closed, deleted, pinned).

    Args:
        at: now, and `expires_at` when the lease ends; both as `rfc3339` writes them.
        request: the same text again is the same claim.
        ready_only: only an issue that is offered as ready work, and never one held already.
        force: take it from another home, or from whom it was given to by hand.
    """

    issue_id: str
    holder: str
    home: str
    at: str
    expires_at: str
    request: str
    ready_only: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewLease(Command[Held]):
    """Refused with `NotFound`, `StaleClaim`."""

    issue_id: str
    token: int
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLease(Command[Row]):
    """Give an issue back; answers its row. Refused with `NotFound`, `StaleClaim`.

    Args:
        token: None for whoever holds it as `holder`, or was given it so by hand.
        request: the same text again is the same release.
    """

    issue_id: str
    holder: str
    token: int | None
    at: str
    request: str


def take_lease(conn: sqlite3.Connection, command: TakeLease) -> Held:
    row, lease = _row(conn, command.issue_id), leases.get(conn, command.issue_id)
    if lease is not None and lease.request == command.request:
        return Held(row=row, lease=lease)  # the answer was lost
    if not command.ready_only and _is_own(lease, command):
        return _renew(conn, row, command.expires_at)
    _require_workable(row)
    _require_free(row, lease, command)
    if command.ready_only:
        _require_ready(conn, row, lease, command.at)
    after = _claimed(row, command)
    if after is not row:
        put_changed(conn, row, after, command.at, request=command.request)
    taken = Lease(
        issue_id=command.issue_id,
        holder=command.holder,
        home=command.home,
        token=leases.next_token(conn, instants.to_ns(command.at) // 1_000_000),
        request=command.request,
        claimed_at=command.at,
        expires_at=command.expires_at,
    )
    leases.take(conn, taken)
    return Held(row=after, lease=taken)


def _is_own(lease: Lease | None, command: TakeLease) -> bool:
    own = (command.holder, command.home)
    return lease is not None and (lease.holder, lease.home) == own


def _row(conn: sqlite3.Connection, issue_id: str) -> Row:
    line = queries.get_line(conn, issue_id)
    if line is None:
        raise NotFound(f"there is no issue {issue_id}")
    return jsonl.parse(line)


def _require_workable(row: Row) -> None:
    """Refuse what nobody can work on, whoever asks."""
    status = row.get("status")
    if issue.is_deleted(row):
        raise Conflict(f"issue {row['id']} is deleted: restore it before it is claimed")
    if status == "closed":
        raise Conflict(f"issue {row['id']} is closed: reopen it before it is claimed")
    if row.get("pinned") or status == "pinned":
        raise Conflict(f"issue {row['id']} is pinned: it is there to be read, not to be worked on")


def _require_free(row: Row, lease: Lease | None, command: TakeLease) -> None:
    """Refuse what somebody else works on. Pure.

    Raises:
        AlreadyClaimed: it names who, where, and until when.
    """
    if lease is not None and lease.home == command.home:
        if lease.expires_at > command.at:
            raise _already_claimed(lease)
        return
    if command.force:
        return
    home = _working_home(row) if lease is None else lease.home
    assignee = row.get("assignee") or ""
    if home not in ("", command.home):
        who = f" by {assignee}" if assignee else ""
        raise AlreadyClaimed(
            f"issue {row['id']} is worked on in another installation, {home}{who}",
            hint="claim another one, or take it over with --force",
        )
    if assignee not in ("", command.holder):
        raise AlreadyClaimed(
            f"issue {row['id']} is assigned to {assignee}, without a lease that could run out",
            hint="claim another one, or take it over with --force",
        )


def _working_home(row: Row) -> str:
    """Return the home that works on a row, or "".

    One that was given back, or reopened, is at home nowhere, unless a workflow stands behind it.
    """
    work = issue.work_of(row)
    is_busy = row.get("assignee") or (row.get("status") or "open") != "open"
    return str(work.get("home") or "") if is_busy or work.get("workflow_id") else ""


def _require_ready(conn: sqlite3.Connection, row: Row, lease: Lease | None, at: str) -> None:
    """Refuse what was ready when it was offered and is not now."""
    if lease is None and (row.get("status") or "open") != "open":
        raise Conflict(f"issue {row['id']} is {row['status']} meanwhile")
    until = row.get("defer_until")
    if until and instants.to_ns(until) > instants.to_ns(at):
        raise Conflict(f"issue {row['id']} is deferred until {until}")
    edges = row.get("dependencies") or ()
    blockers = (edge.get("depends_on_id") for edge in edges if edge.get("type") == "blocks")
    blocker = leases.first_open(conn, blockers)
    if blocker is not None:
        raise Conflict(f"issue {row['id']} is blocked by {blocker} meanwhile")


def _already_claimed(lease: Lease) -> AlreadyClaimed:
    return AlreadyClaimed(
        f"issue {lease.issue_id} is claimed by {lease.holder} until {lease.expires_at}"
    )


def _claimed(row: Row, command: TakeLease) -> Row:
    after = issue.set_status(row, "in_progress", command.at)
    after = issue.assign(after, command.holder, command.at)
    if not isinstance(row.get("metadata") or {}, dict):
        return after  # another tool's, which has no room for ours
    work = issue.work_of(row)
    noted: dict[str, str | None] = {"home": command.home}
    if work.get("workflow_id") and work.get("home") not in (None, command.home):
        # Taken by force: it is no longer the issue of the other home's workflow.
        noted |= dict.fromkeys(("workflow_id", "workflow_type", "agent_id", "step"))
    return issue.set_work(after, noted, command.at)


def _renew(conn: sqlite3.Connection, row: Row, expires_at: str) -> Held:
    leases.renew(conn, row["id"], expires_at)
    lease = leases.get(conn, row["id"])
    assert lease is not None  # noqa: S101 - found in this transaction
    return Held(row=row, lease=lease)


def renew_lease(conn: sqlite3.Connection, command: RenewLease) -> Held:
    row = _row(conn, command.issue_id)
    require_token(conn, command.issue_id, command.token)
    return _renew(conn, row, command.expires_at)


def end_lease(conn: sqlite3.Connection, command: EndLease) -> Row:
    row = _row(conn, command.issue_id)
    if queries.carried_out(conn, command.issue_id, command.request) is not None:
        return row  # the answer was lost
    if command.token is not None:
        require_token(conn, command.issue_id, command.token)
    else:
        _require_own(conn, row, command.holder)
    after = _given_back(row, command.at)
    put_changed(conn, row, after, command.at, request=command.request)
    return after


def _require_own(conn: sqlite3.Connection, row: Row, holder: str) -> None:
    """Let whoever holds an issue release it without a token, also when the lease itself is lost."""
    lease = leases.get(conn, row["id"])
    if lease is not None and lease.holder != holder:
        raise StaleClaim(
            f"issue {row['id']} is claimed by {lease.holder} until {lease.expires_at},"
            f" not by {holder}"
        )
    if lease is None and (row.get("assignee"), row.get("status")) != (holder, "in_progress"):
        raise StaleClaim(f"{holder} holds no claim on issue {row['id']}")


def _given_back(row: Row, at: str) -> Row:
    after = issue.assign(issue.set_status(row, "open", at), "", at)
    work = issue.work_of(after)
    return _without_home(after) if "home" in work and not work.get("workflow_id") else after


def _without_home(row: Row) -> Row:
    """Take back what a claim noted, down to the metadata that was not there before."""
    metadata = dict(row["metadata"])
    work = {key: value for key, value in issue.work_of(row).items() if key != "home"}
    if work:
        metadata[issue.WORK_KEY] = work
    else:
        del metadata[issue.WORK_KEY]
    rest = {key: value for key, value in row.items() if key != "metadata"}
    return rest | ({"metadata": metadata} if metadata else {})


HANDLERS: Final[Mapping[type, Handler]] = {
    TakeLease: take_lease,
    RenewLease: renew_lease,
    EndLease: end_lease,
}


# --- for the tracker ---------------------------------------------------------------------------


class Claiming:
    """Runs the verbs of claims on behalf of the tracker.

    Args:
        writer: the writer of beads.db.
        resolve: gives the whole id for one that somebody typed, or refuses it.
        ready: gives up to so many ids of what can be worked on now, best first, as the database
            has it; asked anew for each attempt. It may end with issues whose lease has run out.
        home: this installation.
    """

    def __init__(
        self,
        *,
        writer: Named,
        resolve: Callable[[str], str],
        ready: Ready,
        clock: Clock,
        home: str,
    ) -> None:
        self._writer = writer
        self._resolve = resolve
        self._ready = ready
        self._clock = clock
        self._home = home
        self._requests = itertools.count(1)
        self._taking: set[str] = set()

    async def run(self, message: Message) -> Claim | Issue:
        """Answer one of the verbs, after its commit.

        Raises:
            NotFound, AmbiguousId, Conflict, AlreadyClaimed, StaleClaim, NothingReady,
            ValidationError: what the verb refuses with; nothing was changed.
        """
        match message:
            case ClaimIssue():
                return await self._claim_issue(message)
            case ClaimReady():
                return await self._claim_ready(message)
            case HeartbeatClaim():
                return await self._heartbeat(message)
            case ReleaseClaim():
                return await self._release(message)

    async def _claim_issue(self, message: ClaimIssue) -> Claim:
        issue_id = self._resolve(message.issue_id)
        command = self._command(issue_id, message, force=message.force)
        return _view(await write(self._writer, command))

    async def _claim_ready(self, message: ClaimReady) -> Claim:
        """Take the best one that nobody is taking at this moment; who lost it tries the next."""
        _check(message.actor, message.ttl_s)
        refused: set[str] = set()
        while issue_id := await self._best(message, refused):
            self._taking.add(issue_id)
            try:
                command = self._command(issue_id, message, ready_only=True)
                return _view(await write(self._writer, command))
            except (Conflict, NotFound):
                refused.add(issue_id)  # it was claimed, closed or changed since it was offered
            finally:
                self._taking.discard(issue_id)
        raise NothingReady("no issue that fits can be worked on now")

    async def _best(self, message: ClaimReady, refused: Collection[str]) -> str | None:
        """Choose one; nothing is awaited between the choice and the note that it is being taken."""
        while True:
            wanted = len(self._taking) + len(refused) + 1
            offered = list(await self._ready(message, wanted))
            free = (i for i in offered if i not in self._taking and i not in refused)
            if (best := next(free, None)) is not None or len(offered) < wanted:
                return best
            # Others have begun to take them since: there may be more.

    def _command(
        self,
        issue_id: str,
        message: ClaimIssue | ClaimReady,
        *,
        ready_only: bool = False,
        force: bool = False,
    ) -> TakeLease:
        _check(message.actor, message.ttl_s)
        at, expires_at = self._term(message.ttl_s)
        return TakeLease(
            issue_id=issue_id,
            holder=message.actor,
            home=self._home,
            at=at,
            expires_at=expires_at,
            request=self._request(at),
            ready_only=ready_only,
            force=force,
        )

    async def _heartbeat(self, message: HeartbeatClaim) -> Claim:
        _check_term(message.ttl_s)
        issue_id = self._resolve(message.issue_id)
        _, expires_at = self._term(message.ttl_s)
        command = RenewLease(issue_id=issue_id, token=message.token, expires_at=expires_at)
        return _view(await write(self._writer, command))

    async def _release(self, message: ReleaseClaim) -> Issue:
        _check_actor(message.actor)
        issue_id = self._resolve(message.issue_id)
        at = rfc3339(self._clock())
        command = EndLease(
            issue_id=issue_id,
            holder=message.actor,
            token=message.token,
            at=at,
            request=self._request(at),
        )
        return issue.view(await write(self._writer, command))

    def _term(self, ttl_s: float) -> tuple[str, str]:
        now = self._clock()
        return rfc3339(now), rfc3339(now + timedelta(seconds=ttl_s))

    def _request(self, at: str) -> str:
        return f"{at}/{next(self._requests)}"


def _check(actor: str, ttl_s: float) -> None:
    _check_actor(actor)
    _check_term(ttl_s)


def _check_actor(actor: str) -> None:
    if not actor.strip():
        raise ValidationError("a claim needs somebody who holds it", field="actor", value=actor)


def _check_term(ttl_s: float) -> None:
    if not (math.isfinite(ttl_s) and 0 < ttl_s <= LONGEST_S):
        raise ValidationError(
            f"a claim lasts more than 0 and up to {LONGEST_S:.0f} seconds",
            field="ttl_s",
            value=ttl_s,
        )


def _view(held: Held) -> Claim:
    return Claim(
        issue=issue.view(held.row),
        holder=held.lease.holder,
        token=held.lease.token,
        expires_at=held.lease.expires_at,
    )
