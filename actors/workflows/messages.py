"""What the engine is told and asked, and what it writes."""

from dataclasses import dataclass

from actors.workflows.history import HistoryEvent
from actors.writer import Command
from storage.workflows.records import TaskRow
from supervision import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInstance(Command[None]):
    """Write a new instance and the first event of its history. The same twice is once.

    Args:
        variables: stored JSON text.
        agent_id: who was reserved for it; None without an agent or while it is queued.
        queued: it waits for an agent and must be activated before it runs.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateInstance(Command[bool]):
    """A queued instance has got its agent. Answers whether it was queued."""

    workflow_id: str
    agent_id: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """The row of an activity for an agent. `input` and `policy` are stored JSON text."""

    op: str
    agent_type: str
    activity: str
    input: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendHistory(Command[None]):
    """Append events to one history, with what goes with them, in one transaction.

    The same append twice is once. Refused with `Conflict` when the history holds other events at
    these numbers: then another incarnation of the workflow's actor has gone on.

    Args:
        tasks: task rows that the events schedule.
        consumed: operations whose task outcome the events record.
    """

    workflow_id: str
    events: tuple[HistoryEvent, ...]
    tasks: tuple[NewTask, ...] = ()
    consumed: tuple[str, ...] = ()


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
        outcome: stored JSON text of the result or the failure; None with "ready".
    """

    workflow_id: str
    op: str
    fence: int
    state: str
    outcome: str | None
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
class EndLife(Command[None]):
    """This life ends in order."""

    incarnation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Told to the dispatcher: this workflow can run. A hint; its row is what counts."""

    workflow_id: str


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
