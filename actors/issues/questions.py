"""What may be asked about the issues, without changing them. The tracker answers.

Every answer reflects all that was committed before it was asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.issues.messages import Issue
from actors.issues.verbs import Claim
from supervision import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueFilter:
    """Which issues; each field that is given must hold. Tombstones only where `status` asks.

    Args:
        assignee: "" means nobody, None anybody.
        labels: all of them; `any_labels`: at least one; `without_labels`: none.
        parent: descendants of this issue.
        text: each word occurs in id, title, description, notes or comments, whatever its case.
        updated_before: RFC 3339.
    """

    status: tuple[str, ...] = ()
    issue_type: tuple[str, ...] = ()
    priority: tuple[int, ...] = ()
    assignee: str | None = None
    labels: tuple[str, ...] = ()
    any_labels: tuple[str, ...] = ()
    without_labels: tuple[str, ...] = ()
    parent: str | None = None
    text: str = ""
    created_by: str | None = None
    updated_before: str | None = None
    updated_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuePage:
    """`total` counts all that fit; `next_cursor` is opaque, None on the last page."""

    issues: tuple[Issue, ...]
    total: int
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryIssues(Ask[IssuePage]):
    """List issues.

    Args:
        sort: "updated", "created" (newest first), "priority" (most urgent, then oldest), "id".
        limit: 1 to 1000.
        closed: closed ones too where no status is asked for.
    """

    filter: IssueFilter = field(default_factory=IssueFilter)
    sort: str = "updated"
    reverse: bool = False
    limit: int = 50
    cursor: str | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One link of why an issue waits.

    Args:
        kind: "blocks", "conditional-blocks", "waits-for", "external", "parent" (inherited from an
            ancestor), "deferred", "status", "type", "pinned", "ephemeral", "template",
            "open-children".
        path: ids from the issue to what holds it: through which ancestors, to which blocker.
        text: a sentence for a person.
    """

    kind: str
    path: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An issue with why it is ready (then the causes are blockers that are resolved) or not."""

    issue: Issue
    ready: bool
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyIssues(Ask[tuple[Explained, ...]]):
    """What can be worked on now, best first.

    Args:
        policy: "hybrid", "priority" or "oldest" (beads.md §3.4).
        classic: exactly the set bd v0.49.6 would give (epics beside their children).
    """

    filter: IssueFilter = field(default_factory=IssueFilter)
    policy: str = "priority"
    classic: bool = False
    limit: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimReady(Ask[Claim]):
    """Claim the best ready issue in one step. Refused with `NothingReady`."""

    actor: str
    filter: IssueFilter = field(default_factory=IssueFilter)
    policy: str = "priority"
    ttl_s: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedIssues(Ask[tuple[Explained, ...]]):
    """What is open but waits, by priority, each with all its causes."""

    filter: IssueFilter = field(default_factory=IssueFilter)
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainIssue(Ask[Explained]):
    issue_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowIssue(Ask["Shown"]):
    """One issue by its id or a prefix that only it has, with what surrounds it."""

    issue_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The other end of a dependency; `issue` is None where it is not here (external, dangling)."""

    id: str
    type: str
    issue: Issue | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    issue: Issue
    depends_on: tuple[Edge, ...]
    dependents: tuple[Edge, ...]
    children: tuple[Issue, ...]
    claim: Mapping[str, Any] | None
    """holder, token, expires_at of the lease, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """`seen` marks a node shown before, whose children are not repeated."""

    issue: Issue | None
    id: str
    type: str
    seen: bool
    children: tuple["TreeNode", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyTree(Ask[TreeNode]):
    """What an issue depends on ("down"), or what depends on it ("up"). At most `depth` levels."""

    issue_id: str
    direction: str = "down"
    depth: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyCycles(Ask[tuple[tuple[str, ...], ...]]):
    """Circles in the graph, each once, its smallest id first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueStats:
    """Counts; `lead_time_h` is the mean from creation to closing, None where nothing closed."""

    total: int
    by_status: Mapping[str, int]
    by_type: Mapping[str, int]
    by_priority: Mapping[int, int]
    ready: int
    blocked: int
    epics_to_close: int
    lead_time_h: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountIssues(Ask[IssueStats]):
    """Tombstones are counted under their status only."""
