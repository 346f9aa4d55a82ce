"""One workflow as all the stores have it, side by side. What is None is not there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.issues import issue
from actors.workflows.history import CLOSED
from storage.issues.jsonl import Row
from storage.issues.provenance import Stroke

OVER = frozenset({"completed", "failed", "cancelled", "terminated"})
"""Statuses after which nothing more comes of a workflow by itself, in words that all share."""

SHOWN = {"running": "active"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What the bridge says of a workflow, with its open assignment."""

    issue_id: str
    workflow_type: str
    title: str
    status: str
    priority: int
    agent_type: str | None
    created_at: str
    intent_at: str | None
    assignment_id: int | None
    assignment: str | None
    agent_id: str | None
    assigned_type: str | None
    error_code: str | None = None

    @property
    def is_over(self) -> bool:
        return self.status in OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTask:
    """A step that an agent does, or that waits for one."""

    op: str
    agent_type: str
    activity: str
    state: str
    fence: int
    agent_id: str | None
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What the engine says of a workflow.

    Args:
        cancel_asked: only looked up where the issue of one that goes on is closed or gone.
        code: of the failure it ended or stopped with.
    """

    status: str
    parent_id: str | None
    is_parked: bool
    updated_at: str
    cancel_asked: bool = False
    code: str | None = None
    message: str | None = None

    @property
    def is_over(self) -> bool:
        return self.status in CLOSED

    @property
    def shown(self) -> str:
        return SHOWN.get(self.status, self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the issues say.

    Args:
        row: None where there is no such issue.
        was_removed: whether the last that is known of it is that somebody took it out of the file.
        stroke: the last change of its status; None where nothing of its past is here.
        labelled_by_hand: whether somebody changed its labels last.
        is_leased: whether a claim is on it.
    """

    issue_id: str
    row: Row | None
    was_removed: bool
    stroke: Stroke | None
    labelled_by_hand: bool
    is_leased: bool

    @property
    def status(self) -> str:
        return "" if self.row is None else str(self.row.get("status") or "open")

    @property
    def is_deleted(self) -> bool:
        if self.row is None:
            return self.was_removed
        return issue.is_deleted(self.row)

    @property
    def by_hand(self) -> bool:
        """Whether its status is what somebody made it, and not what it follows."""
        stroke = self.stroke
        return stroke is not None and not stroke.automatic and stroke.status == self.status

    @property
    def closed_by_hand(self) -> bool:
        return self.status == "closed" and self.by_hand

    def work(self, name: str) -> str:
        return "" if self.row is None else str(issue.work_of(self.row).get(name) or "")

    def says(self, text: str) -> bool:
        """Whether a comment says so already."""
        comments = (self.row or {}).get("comments") or ()
        return any(one.get("text") == text for one in comments)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    workflow_id: str
    mapped: Mapped | None
    ran: Ran | None
    told: Told | None
    tasks: tuple[OpenTask, ...] = ()

    @property
    def issue_id(self) -> str | None:
        if self.mapped is not None:
            return self.mapped.issue_id
        return None if self.told is None else self.told.issue_id


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all views are judged by.

    Args:
        home: this installation.
        at: now, RFC 3339.
        agents: the type of each agent that is there, by id; None where the coordinator is silent.
        doing: what each agent says that it does, by id: (workflow, step, fence); without those that
            do not answer.
        awaited: steps, by (workflow, step), of which the coordinator knows that nobody does them,
            or that it is giving to somebody; None where it is silent.
        actors: the workflows that have an actor; None where that is not known yet.
        results: workflows that have results and no mapping.
    """

    home: str
    at: str
    agents: dict[str, str] | None = None
    doing: Mapping[str, frozenset[tuple[str, str, int]]] = field(default_factory=dict)
    awaited: frozenset[tuple[str, str]] | None = None
    actors: frozenset[str] | None = None
    results: frozenset[str] = frozenset()
