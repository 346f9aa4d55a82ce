"""What the bridge is asked, and what it writes."""

from dataclasses import dataclass, field
from typing import Any

from actors.errors import Conflict
from actors.event_filter import EVERYTHING, EventFilter
from actors.facts import Fact, LoggedFact
from actors.workflows.lint.reader import Finding
from actors.writer import Command
from supervision import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRecord:
    """A workflow as everybody outside sees it; times are RFC 3339, UTC.

    Args:
        updated_at: when its title, priority or variables changed last; when it was made, where they
            never did.
        beads_issue_id: its issue; a child's is that of the workflow above it.
        agent_type: of the agent that has it, had it last, or that it waits for.
        agent_id: None while it waits for one.
        parent_id: whose child it is.
        waits_for_agent: the type of agent that it waits for, before it runs or for its next step;
            None where it waits for none.
    """

    id: str
    beads_issue_id: str
    type: str
    version: int
    title: str
    status: str
    priority: int
    agent_type: str | None
    agent_id: str | None
    variables: dict[str, Any]
    created_at: str
    started_at: str | None
    completed_at: str | None
    error_code: str | None
    error_message: str | None
    parent_id: str | None = None
    updated_at: str = ""
    waits_for_agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWorkflow(Ask[WorkflowRecord]):
    """Start a workflow: it is an issue, and survives any crash, once this is answered.

    Refused with `NotFound` (no such workflow or agent type), `ValidationError` (names the field),
    `Conflict` (the idempotency key or the id was used for another request).

    Args:
        agent_type: None takes the workflow's own.
        idempotency_key: the same key with the same request answers the first one's workflow.
        workflow_id: what it is to be called, see `actors.ids.is_chosen_id`; the same id with the
            same request answers the workflow that is there. None makes one up.
    """

    title: str
    workflow_type: str
    agent_type: str | None = None
    priority: int = 2
    variables: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    workflow_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetWorkflow(Ask[WorkflowRecord]):
    """Refused with `NotFound`."""

    workflow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowPage:
    """Newest first. `next_cursor` is opaque; None on the last page."""

    records: tuple[WorkflowRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListWorkflows(Ask[WorkflowPage]):
    """Refused with `ValidationError`: limit, a moment, or a cursor that is not one of ours.

    Args:
        statuses: any of them; empty for all.
        agent_id: who has it, or had it last.
        created_after: RFC 3339; those made then or later.
        created_before: RFC 3339; those made before.
        text: part of the title, in whichever case.
        oldest_first: by when they were started, instead of newest first.
        limit: 1 to 200. A page may hold fewer, even none, and have a next one.
    """

    statuses: tuple[str, ...] = ()
    workflow_type: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    priority: int | None = None
    issue_id: str | None = None
    created_after: str | None = None
    created_before: str | None = None
    text: str = ""
    oldest_first: bool = False
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEvents(Ask[tuple[LoggedFact, ...]]):
    """Events with `after < seq <= until`, in order. Refused with `NotFound` (the workflow).

    Args:
        until: None means whatever is logged now.
        limit: 1 to 1000.
    """

    workflow_id: str | None = None
    after: int = 0
    until: int | None = None
    limit: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Events in order.

    Args:
        reached: all that was asked for is here up to this number; go on after it.
        more: whether there are events after that already.
    """

    facts: tuple[LoggedFact, ...]
    reached: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLog(Ask[LogPage]):
    """Events with `after < seq <= until` that a filter lets through.

    Refused with `NotFound` (a workflow) and `ValidationError` (a topic). A page may hold fewer than
    its limit, even none, and have more after it.

    Args:
        until: None means whatever is logged now.
        limit: 1 to 1000.
    """

    wanted: EventFilter = EVERYTHING
    after: int = 0
    until: int | None = None
    limit: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBounds:
    """How far the event log reaches.

    Args:
        last: the number of its last event; 0 while there is none.
        forgotten: up to this number events may be missing, since they were archived.
    """

    last: int
    forgotten: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GetLogBounds(Ask[LogBounds]):
    """From where on the event log is whole, and to where it reaches now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalWorkflow(Ask[WorkflowRecord]):
    """Hand a workflow a signal: durable once answered, taken once and in order.

    Refused with `NotFound`, with `ValidationError` (name, value), with `Conflict` when it is closed
    (`workflow_closed`), when too many wait (`too_many_signals`), or when the message id came with
    another signal (once that was taken, only its name is known).

    Args:
        message_id: the same one twice is one signal; None makes one up.
    """

    workflow_id: str
    name: str
    value: Any = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseWorkflow(Ask[WorkflowRecord]):
    """Let a workflow and its children begin nothing more. Twice is once.

    Refused with `NotFound`, and with `Conflict` when it is closed (`workflow_closed`) or does
    nothing anyway.
    """

    workflow_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeWorkflow(Ask[WorkflowRecord]):
    """Let a paused workflow and its children go on; one that is not paused goes on as it did.

    Refused with `NotFound`, and with `Conflict` when it is closed (`workflow_closed`).
    """

    workflow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWorkflow(Ask[WorkflowRecord]):
    """Ask a workflow and its children to end in order. Twice is once.

    What does not run its code (queued, stalled, dead-lettered) ends at once. Refused with
    `NotFound`, and with `Conflict` when it is closed otherwise (`workflow_closed`).
    """

    workflow_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateWorkflow(Ask[WorkflowRecord]):
    """End a workflow and its children where they stand, without clean-up. Twice is once.

    Refused with `NotFound`, and with `Conflict` when it is closed otherwise (`workflow_closed`).
    """

    workflow_id: str
    reason: str = ""


class WorkflowChanged(Conflict):
    """The workflow is not in the state any more that the caller expects."""

    code = "workflow_changed"
    status = 412
    hint = "read it again, and decide again"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateWorkflow(Ask[WorkflowRecord]):
    """Change what is given of a workflow; all of it or nothing. Durable once answered.

    Refused with `NotFound`, with `ValidationError` (names the field), with `WorkflowChanged`, and
    with `Conflict`: it cannot get to that status (`status_transition`), it has begun to run
    (`variables_fixed`), it is a child (`child_workflow`).

    Args:
        variables: all of them, in place of the former ones.
        status: see `actors.coordination.transitions`.
        reason: of the change of status; it becomes a comment on the issue.
        result: what counts as the workflow's result, with `status` "completed"; any JSON.
        expected: the `updated_at` that the caller has seen; None for any.
        idempotency_key: the same key with the same request changes nothing a second time.
    """

    workflow_id: str
    title: str | None = None
    priority: int | None = None
    variables: dict[str, Any] | None = None
    status: str | None = None
    reason: str = ""
    result: object = None
    author: str = "operator"
    expected: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryWorkflow(Ask[WorkflowRecord]):
    """Have a workflow go on that has failed, was set aside or is stalled.

    A failed one does again what failed, and what came of that. While it is live again, twice is
    once. Refused with `NotFound`, with `ValidationError` (author), and with `Conflict` when it has
    ended otherwise (`workflow_closed`), or there is nothing to retry (`not_retryable`).

    Args:
        author: who asks for it, in a comment on its issue.
    """

    workflow_id: str
    author: str = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteWorkflow(Ask[WorkflowRecord]):
    """Declare a live workflow completed: its code stops where it stands. The same twice is once.

    Refused with `NotFound`, with `ValidationError` (author, output), and with `Conflict` when it is
    closed otherwise (`workflow_closed`).

    Args:
        output: any JSON, at most 256 KiB: what counts as its result.
        author: who says so, in a comment on its issue.
    """

    workflow_id: str
    output: Any = None
    author: str = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRecord:
    """One event of a workflow's history. `op` and `name` are "" where nothing is meant."""

    seq: int
    kind: str
    op: str
    name: str
    at: str
    payload: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Events in order. `next_after` is None on the last page."""

    records: tuple[HistoryRecord, ...]
    next_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetHistory(Ask[HistoryPage]):
    """The history of a workflow or a child: events with `seq > after`, in order.

    Refused with `NotFound`, and with `ValidationError` for a wrong limit. A page is shorter than
    its limit where the events are large.

    Args:
        limit: 1 to 1000.
    """

    workflow_id: str
    after: int = 0
    limit: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowTypeRecord:
    """A workflow that can be started. `variables` is a JSON schema, `warnings` are the lint's.

    Args:
        agents: types of agents that it may be handed to, where it declares them; else empty.
    """

    name: str
    version: int
    description: str
    agent_type: str | None
    agents: tuple[str, ...]
    variables: dict[str, Any]
    warnings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListWorkflowTypes(Ask[tuple[WorkflowTypeRecord, ...]]):
    """By name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPlan:
    """A start, decided: every id is chosen, nothing can refuse it any more.

    Args:
        variables: stored JSON text.
        issue: the issue's row, as it will stand in the file.
        request_sha256: tells a repeated request from another one with the same key.
    """

    workflow_id: str
    issue_id: str
    workflow_type: str
    version: int
    title: str
    priority: int
    agent_type: str | None
    agent_id: str | None
    variables: str
    issue: dict[str, Any]
    idempotency_key: str | None
    request_sha256: str
    at: str

    @property
    def status(self) -> str:
        """What the workflow is from its first commit on."""
        waits = self.agent_type is not None and self.agent_id is None
        return "queued" if waits else "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStart(Command[str | None]):
    """The first commit of a start: intent, mapping, assignment and idempotency key.

    Answers None, or the id of the workflow that the idempotency key stands for already.
    Refused with `Conflict` when that was another request.
    """

    plan: StartPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class FindAnswer(Ask[Any | None]):
    """What a request with this idempotency key was answered; None when there was none.

    Raises:
        KeyReused: the key came with another request.
    """

    key: str
    request_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IsKeyKnown(Ask[bool]):
    """Whether a request with this idempotency key was done."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAnswer(Ask[None]):
    """Keep what a request with an idempotency key was answered. Durable when it is answered.

    Args:
        answer: JSON, and not null.
    """

    key: str
    request_sha256: str
    answer: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAnswer(Command[None]):
    """See `KeepAnswer`."""

    key: str
    request_sha256: str
    answer: Any
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePlan:
    """A change of a workflow, decided.

    Args:
        variables: stored JSON text.
        verb: what the engine is to do with it (`transitions.Verb`).
        result: stored JSON text, of what is completed by hand; None for nothing.
        key: (idempotency key, SHA-256 of the request).
        at: a moment of its own, by which it is known in the mapping.
    """

    update_id: str
    workflow_id: str
    title: str | None = None
    priority: int | None = None
    variables: str | None = None
    verb: str | None = None
    reason: str = ""
    result: str | None = None
    author: str = ""
    key: tuple[str, str] | None = None
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUpdate(Command[bool]):
    """Decide a change that the engine has to make first. Answers False where it was made before.

    Refused with `NotFound`, `WorkflowChanged`, and `Overloaded` while another one is being made.
    """

    plan: UpdatePlan
    expected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyUpdate(Command[bool]):
    """Make a change true here, log it, and close its intent. Answers False where it was before.

    Refused with `NotFound`, and with `WorkflowChanged` where something is expected.
    """

    plan: UpdatePlan
    expected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentOpen:
    """Told to the intents' actor: something may be decided that could not be made. A hint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeIntent(Ask[None]):
    """Asked of, or told to, the intents' actor: make what was decided, if it is not made yet.

    Answered when it is made, or when it cannot be made now: then it is made later.
    """

    intent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseIntent(Command[None]):
    """What was decided is made everywhere. Not waited for: finishing it twice is harmless."""

    intent_id: str


@dataclass(frozen=True, slots=True)
class Move:
    """A cursor's way: the facts of `source` after `after`, up to `position`."""

    source: str
    after: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFacts(Command[tuple[LoggedFact, ...] | None]):
    """Log facts, with all that follows from them in this database, and move the cursors.

    Answers the facts as logged; None, and nothing done, when a cursor stands elsewhere by now: some
    of them were logged already.
    """

    moves: tuple[Move, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a data directory belongs to. `home` names this installation among clones."""

    home: str
    repository: str
