"""What may be asked of an issue, one message for each everyday verb. The tracker answers them.

`issue_id` is a whole id or a prefix that only one issue has; anything else is refused with
`NotFound` or with `AmbiguousId`, which names the candidates. `actor` is who asks: it is recorded as
author, creator, or the one who closed. Each answers after its commit. `token` is a claim's: a
write that carries one is refused with `StaleClaim` when the claim is no longer held. The same
change with the same `key`, where it has one, is one change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.errors import Conflict
from actors.issues.messages import Issue
from supervision import Ask


class AmbiguousId(Conflict):
    """More than one issue begins so; the message names them."""

    code = "ambiguous_id"
    status = 409
    hint = "give more of the id"


class IssueChanged(Conflict):
    """The issue is not in the state any more that the caller expects."""

    code = "issue_changed"
    status = 412
    hint = "read it again, and decide again"


class Blocked(Conflict):
    """The issue cannot be closed: the message names what holds it open."""

    code = "issue_blocked"
    hint = "close the blockers first, or close it with --force"


class DependencyCycle(Conflict):
    """The edge would close a circle; the message shows the path."""

    code = "dependency_cycle"
    hint = "remove one of the dependencies on the path first"


class AlreadyClaimed(Conflict):
    """Somebody else holds the issue; the message says who, and until when."""

    code = "already_claimed"
    hint = "claim another one: `beadflow ready --claim`"


class StaleClaim(Conflict):
    """The claim this write relies on ended, or was taken over."""

    code = "stale_claim"
    hint = "claim the issue again before you write"


class NothingReady(Conflict):
    """No issue that fits the filter can be worked on now."""

    code = "nothing_ready"
    hint = "`beadflow issue blocked` says what waits for what"


class GateAnswered(Conflict):
    """The gate has its answer; the message says whose it is."""

    code = "gate_answered"
    hint = "a gate is answered once: what waited behind it has gone on"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIssue(Ask[Issue]):
    """Create an issue.

    Args:
        fields: any field of the format by its key (title is required): description, design,
            acceptance_criteria, notes, issue_type, priority, assignee, labels, due_at, defer_until,
            estimated_minutes, external_ref, spec_id, metadata, pinned, ephemeral ….
        parent: the new issue gets a child id of it, and a parent-child dependency.
        depends_on: pairs of dependency type and the other issue's id, all added with it.
        issue_id: an explicit id; refused when another issue has it.
        key: the same key with the same request again is the same issue, and the same answer; with
            another request it is refused with `Conflict`. Empty for none.
    """

    fields: Mapping[str, Any]
    actor: str
    parent: str | None = None
    depends_on: tuple[tuple[str, str], ...] = ()
    issue_id: str | None = None
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateIssue(Ask[Issue]):
    """Set fields; None clears one. Labels may be added, removed, or (`labels` in fields) replaced.

    Args:
        append_notes: a paragraph to add to the notes.
        expected: `updated_at` the caller last saw; with another one there it is refused with
            `IssueChanged`.
        token: of the claim this relies on: refused with `StaleClaim` when it is not held any more.
        force: change the status although that closes what is blocked, or status or assignee
            although somebody else's claim is on the issue: without it and without a token refused
            with `Blocked`, `AlreadyClaimed`.
    """

    issue_id: str
    actor: str
    fields: Mapping[str, Any]
    add_labels: tuple[str, ...] = ()
    remove_labels: tuple[str, ...] = ()
    append_notes: str = ""
    expected: str | None = None
    token: int | None = None
    force: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseIssue(Ask[Issue]):
    """Close it; closing a closed one again is no error.

    Unless forced, refused with `Blocked`, and with `AlreadyClaimed` where somebody else's claim is
    on it and no token is given.
    """

    issue_id: str
    actor: str
    reason: str = ""
    force: bool = False
    token: int | None = None
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerGate(Ask[Issue]):
    """Approve or reject what waits behind a gate: its issue is closed. It is answered once.

    Refused with `GateAnswered`, and with `NotFound` where the issue is no gate.

    Args:
        actor: who answers.
        why: becomes a comment.
        timed_out: nobody has answered in time; a rejection.
        withdrawn: nobody has to answer any more; no approval.
    """

    issue_id: str
    actor: str
    approved: bool
    why: str = ""
    timed_out: bool = False
    withdrawn: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenIssue(Ask[Issue]):
    """Open it again, also one that was deferred; `reason` becomes a comment."""

    issue_id: str
    actor: str
    reason: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferIssue(Ask[Issue]):
    """Hide it from ready work: until a time (RFC 3339, in the future), or until it is reopened."""

    issue_id: str
    actor: str
    until: str | None = None
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteIssue(Ask[tuple[Issue, ...]]):
    """Leave a tombstone. Refused with `Conflict` while others depend on it.

    Args:
        cascade: delete those that depend on it too; answers all that were deleted.
        force: delete only this one, and remove the edges that name it.
    """

    issue_id: str
    actor: str
    reason: str = ""
    cascade: bool = False
    force: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreIssue(Ask[Issue]):
    """Make a tombstone an open issue again."""

    issue_id: str
    actor: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDependency(Ask[Issue]):
    """Make `issue_id` depend on `depends_on_id`.

    The same edge again changes nothing; another type for the same pair is refused with `Conflict`,
    an edge that closes a circle with `DependencyCycle`.
    """

    issue_id: str
    depends_on_id: str
    actor: str
    type: str = "blocks"
    metadata: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDependency(Ask[Issue]):
    """Refused with `NotFound` when there is no such edge."""

    issue_id: str
    depends_on_id: str
    actor: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentIssue(Ask[Issue]):
    issue_id: str
    actor: str
    text: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A lease on an issue. `token` is the fence; times are RFC 3339."""

    issue: Issue
    holder: str
    token: int
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimIssue(Ask[Claim]):
    """Take an issue to work on: assignee, status in_progress and a lease, in one transaction.

    Claiming what one holds renews the lease. A lease that has run out may be taken over, in its own
    home only; `force` takes over another home's claim. Refused with `AlreadyClaimed`, `Conflict`
    (closed, deleted, pinned).
    """

    issue_id: str
    actor: str
    ttl_s: float = 1800.0
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatClaim(Ask[Claim]):
    """Renew the lease. Refused with `StaleClaim`."""

    issue_id: str
    token: int
    ttl_s: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseClaim(Ask[Issue]):
    """Give it back: open, nobody's. Refused with `StaleClaim`.

    Without a token, `actor` may release what it holds itself.
    """

    issue_id: str
    actor: str
    token: int | None = None
