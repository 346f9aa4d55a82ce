"""What the engine is told and asked, and what it writes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from actors.workflows.history import Kind, NewEvent
from actors.writer import Command
from storage.workflows.records import TaskRow
from supervision import Ask

GATE_SIGNAL: Final = "beadflow.gate:"
"""With which the names of the signals begin that answer gates; nobody else may send such a one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInstance(Command[None]):
    """Write a new instance and the first event of its history. The same twice is once.

    Args:
        variables: stored JSON text.
        agent_id: who was reserved for it; None without an agent or while it is queued.
        queued: it waits for an agent and must be activated before it runs.
        priority: 0 (first) to 4; its tasks and children get it.
    """

    workflow_id: str
    issue_id: str
    name: str
    version: int
    variables: str
    agent_type: str | None
    agent_id: str | None
    queued: bool
    at: str
    priority: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPriority(Command[None]):
    """Change the priority of a workflow, of its tasks that wait, and of its live children.

    An abandoned child keeps its own. Refused with `NotFound` when there is no such workflow.

    Args:
        priority: 0 (first) to 4.
    """

    workflow_id: str
    priority: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVariables(Command[None]):
    """Give a workflow that has not begun to run other variables. The same twice is once.

    Refused with `NotFound`, and with `Conflict` (`variables_fixed`) once it has its agent.

    Args:
        variables: stored JSON text.
    """

    workflow_id: str
    variables: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateInstance(Command[bool]):
    """A queued instance has got its agent. Answers whether it was queued."""

    workflow_id: str
    agent_id: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """The row of an activity for an agent. `input` and `policy` are stored JSON text.

    Args:
        start_by: when an agent has to have taken it, RFC 3339; None for ever.
        close_by: when it has to be done.
    """

    op: str
    agent_type: str
    activity: str
    input: str
    policy: str
    start_by: str | None = None
    close_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChild:
    """A workflow that an operation of another one starts. `variables` is stored JSON text.

    Args:
        on_parent_close: "terminate", "cancel" or "abandon".
        generation: how many workflows it is nested in.
    """

    workflow_id: str
    op: str
    name: str
    version: int
    variables: str
    agent_type: str | None
    on_parent_close: str
    generation: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A workflow continues as new: what its next run begins with."""

    version: int
    variables: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What an append came to.

    Args:
        seq: the number of its last event.
        woken: workflows that have to be run or told, because of what was appended.
    """

    seq: int
    woken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendHistory(Command[Appended]):
    """Append own events to one history, with what goes with them, in one transaction.

    The same append twice is once. Refused with `Conflict` when the history holds other own events
    after that number, or has ended: then another incarnation of the workflow's actor has gone on,
    or somebody has terminated it.

    Args:
        after: the number of the last own event that the sender knows.
        tasks: task rows that the events schedule.
        consumed: operations whose task outcome the events record.
        cancelled: operations whose task nobody waits for any more.
        messages: (message id, operation) of each signal that the events consume.
        heartbeats: operations that have ended and had heartbeats.
        children: workflows that the events start.
        cancelled_children: operations whose child workflow is to be cancelled.
        run: what comes next, where the last event is "continued as new".
        is_progress: earlier recoveries are forgotten: a workflow that gets further is not what
            kills the process.
    """

    workflow_id: str
    after: int
    events: tuple[NewEvent, ...]
    tasks: tuple[NewTask, ...] = ()
    consumed: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    messages: tuple[tuple[str, str], ...] = ()
    heartbeats: tuple[str, ...] = ()
    children: tuple[NewChild, ...] = ()
    cancelled_children: tuple[str, ...] = ()
    run: NewRun | None = None
    is_progress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Transacted:
    """What a transaction's event says: its number, its kind and its payload."""

    seq: int
    kind: Kind
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTransaction(Command[Transacted]):
    """Run a function on the engine's database and record its result, in one transaction.

    The same operation twice runs once. What the function raises is recorded as its failure, and
    what it had written is taken back.

    Args:
        function: takes a `Transaction` and the value; its result is JSON.
    """

    workflow_id: str
    after: int
    op: str
    name: str
    function: Callable[[Any, Any], Any]
    value: Any
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddSignal(Command[tuple[str, ...]]):
    """Take a signal for a workflow: durable once answered, delivered once and in order.

    Answers who has to be told. Refused with `NotFound` when there is no such workflow, with
    `Conflict` when it is closed, when too many wait, or when this message id came with something
    else.

    Args:
        message_id: the sender's name for it; the same one twice is one signal.
        value: stored JSON text.
        replaces: signals of the same name that still wait, and whose message ids begin so, are not
            delivered any more; None for none.
    """

    workflow_id: str
    message_id: str
    name: str
    value: str
    at: str
    replaces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancel(Command[tuple[str, ...]]):
    """Ask a workflow, and its live children, to end in order. Answers who has to be told.

    One that does not run its code (queued, stalled, set aside) ends at once. Refused with
    `NotFound`, and with `Conflict` when it is closed otherwise than by this.
    """

    workflow_id: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseInstance(Command[tuple[str, ...]]):
    """Let a workflow and its live children begin nothing more. Answers who has to be told."""

    workflow_id: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeInstance(Command[tuple[str, ...]]):
    """Let a paused workflow and its paused children go on. Answers who has to be told."""

    workflow_id: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateInstance(Command[tuple[str, ...]]):
    """End a workflow, and its live children, where they stand: no clean-up is run."""

    workflow_id: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteInstance(Command[tuple[str, ...]]):
    """End a workflow as completed, by hand: its code is stopped where it stands.

    Its live children end by their policies. Answers who has to be told. Refused with `NotFound`,
    and with `Conflict` when it is closed, but for the same command once more.

    Args:
        output: stored JSON text of what counts as its result.
        author: who says that it is done.
        reason: why, in a comment on its issue.
    """

    workflow_id: str
    output: str
    author: str
    at: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryInstance(Command[tuple[str, ...]]):
    """Have a workflow go on that has failed, was set aside or is stalled. Answers who is concerned.

    See `actors.workflows.voiding` for what a failed one does again. One with an agent type waits
    for an agent; a failed one whose saga was undone begins anew, as its next run. While it is live
    again, one that was retried is not retried twice. Refused with `NotFound`, and with `Conflict`
    when it has ended otherwise (`workflow_closed`) or there is nothing to retry (`not_retryable`):
    it is live, or a failed child, which is retried with its parent.
    """

    workflow_id: str
    author: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside(Command[None]):
    """Record that a workflow's actor has used up its restarts."""

    workflow_id: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Park(Command[bool]):
    """Let a workflow wait as its row. Answers False when something has come in meanwhile.

    Args:
        seq: the last outer event that its actor has seen.
        position: the last message that its actor has seen.
        wake_at: RFC 3339; None when no timer runs.
        children: the child workflows it waits for.
    """

    workflow_id: str
    seq: int
    position: int
    wake_at: str | None
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpark(Command[None]):
    """A workflow that was to wait as its row runs on after all."""

    workflow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeDue(Command[tuple[str, ...]]):
    """Wake those whose timers are due, at most `limit`, the earliest first; answers who."""

    until: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSegment(Command[None]):
    """Keep the events of a part of a history once more, in one row. The same twice is once."""

    workflow_id: str
    first_seq: int
    last_seq: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordHeartbeat(Command[None]):
    """Keep what an attempt says of how far it is, for the next attempt. `details` is JSON text."""

    workflow_id: str
    op: str
    attempt: int
    details: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTask(Command[TaskRow | None]):
    """Hand an open task to an agent, with a new fence.

    Answers None when it is over, or when another attempt has begun meanwhile.

    Args:
        fence: the one the task's row has now; the attempt gets the next.
    """

    workflow_id: str
    op: str
    agent_id: str
    fence: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAttempt(Command[bool]):
    """Close one attempt. Answers False when its fence is an old one: the result is refused.

    Args:
        state: "done", "failed" (for good) or "ready" (to be tried again).
        outcome: stored JSON text of the result or the failure.
        next_at: with "ready", when it may be tried again.
        heartbeat: stored JSON text of what the attempt said last, for the next one.
    """

    workflow_id: str
    op: str
    fence: int
    state: str
    outcome: str | None
    at: str
    next_at: str | None = None
    heartbeat: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUpTask(Command[bool]):
    """A task has waited too long for an agent: it has failed.

    Answers False when an agent has taken it meanwhile, or it is over.

    Args:
        fence: the one the task's row had when it was found to have waited too long.
        outcome: stored JSON text of the failure.
    """

    workflow_id: str
    op: str
    fence: int
    outcome: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One life of the process, as its database counts them.

    Args:
        epoch: 1 for the first life.
        clean: the life before this one ended in order.
        dead_letters: workflows set aside just now, because they were live in too many bad ends.
    """

    epoch: int
    clean: bool
    dead_letters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginLife(Command[Life]):
    """Count this life, and the recoveries if the last one ended badly.

    Args:
        incarnation: names this life, so that asking twice counts once.
        recovery_limit: a workflow that was live in more bad ends than this is dead-lettered.
    """

    incarnation: str
    recovery_limit: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrySuspects(Command[None]):
    """Note which workflows are run next of those that may be what kills the process.

    A bad end from then on is counted against them, and not against the suspects that have been
    tried, or have not yet been.

    Args:
        workflow_ids: none, once all have been tried.
    """

    workflow_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLife(Command[None]):
    """This life ends in order."""

    incarnation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Told to the dispatcher: this workflow can run, or has news. A hint; its rows count.

    Args:
        created: the command that has just made it, from whoever sent that; then its rows need not
            be read to be run.
    """

    workflow_id: str
    created: CreateInstance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look(Ask[bool]):
    """Tell a live workflow to look at its rows. Answers False when it is about to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeAt:
    """Told to the timers: a workflow that waits as its row is to be woken at this moment."""

    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryWorkflow(Ask[Any]):
    """Ask the dispatcher, or the live workflow itself, one of the workflow's queries.

    Answers plain JSON. Refused with `NotFound` when there is no such workflow or query, with
    `Conflict` when it is closed or cannot answer, with `ValidationError` for what the query's
    own function refused.
    """

    workflow_id: str
    name: str
    argument: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    """Told to the dispatcher and on to the workflow: the outcome of this task is stored."""

    workflow_id: str
    op: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowGaveUp:
    """Told to the dispatcher: the workflow's actor has used up its restarts."""

    workflow_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowView:
    """What a live workflow says of itself.

    Args:
        waiting_for: the operations in progress, e.g. ("2 discover",).
        events: how many events its history has.
    """

    workflow_id: str
    waiting_for: tuple[str, ...]
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeWorkflow(Ask[WorkflowView]):
    """Ask the dispatcher, or the workflow itself, what it is doing now.

    Refused with `NotFound` when it is not live.
    """

    workflow_id: str
