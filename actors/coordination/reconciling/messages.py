"""What the reconciler is asked, and what it writes."""

from dataclasses import dataclass
from typing import Final, Literal

from actors.writer import Command
from supervision import Ask

REPAIRED: Final = "repaired"
REPORTED: Final = "reported"
Done = Literal["repaired", "reported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """One thing in which the stores disagreed.

    Args:
        code: one of docs/reconcile.md.
        what: the disagreement, in words.
        done: "repaired"; "reported" where nothing is done, by rule, by wish, or because it failed.
        how: what was done, or would be; why nothing is.
    """

    code: str
    workflow_id: str | None
    issue_id: str | None
    what: str
    done: Done
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a pass found. `looked_at` counts workflows; `complete` says that all were looked at."""

    found: tuple[Divergence, ...]
    looked_at: int
    complete: bool

    @property
    def repaired(self) -> int:
        return sum(one.done == REPAIRED for one in self.found)

    @property
    def reported(self) -> int:
        return len(self.found) - self.repaired


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile(Ask[Report]):
    """Compare everything, and repair what the rules say. One pass at a time; a second one waits.

    Args:
        repair: False only tells.
        complete: False looks only at what is live or has changed since the last pass.
    """

    repair: bool = True
    complete: bool = True


# --- commands for the writer of coordination.db -------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowEngine(Command[bool]):
    """Have a mapping say what its instance says, unless it says something else by now.

    Args:
        before: the status that was found wrong.
    """

    workflow_id: str
    before: str
    status: str
    completed_at: str | None
    error_code: str | None
    error_message: str | None
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowIssue(Command[bool]):
    """Have a mapping say the title and the priority of its issue."""

    workflow_id: str
    title: str
    priority: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAssignment(Command[bool]):
    """Have a workflow wait for an agent, unless it waits or has one."""

    workflow_id: str
    agent_type: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteAssignment(Command[None]):
    """Close the open assignment of a workflow that is over."""

    workflow_id: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteLooked(Command[None]):
    """Remember how far events were looked at. Never back."""

    source: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBackOutbox(Command[None]):
    """Move a cursor that is beyond the end of its outbox back to that end."""

    source: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReconciled(Command[None]):
    """Log `state_reconciled`. The same pass twice is one fact.

    Args:
        number: of the pass, one more than the last one logged.
    """

    number: int
    found: int
    repaired: int
    reported: int
    codes: tuple[str, ...]
    at: str


# --- for the writer of beads.db -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBackFeed(Command[None]):
    """Move a feed's cursor that is beyond the end of the log back to that end."""

    consumer: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DropLease(Command[None]):
    """End the lease of an issue that nobody works on."""

    issue_id: str


# --- for the writer of tempolite.db ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteTask(Command[bool]):
    """End a step with a result, for the agent that says so otherwise than by its answer.

    Answers False when the step is over, or was begun anew since: then it changes nothing.

    Args:
        outcome: stored JSON text.
    """

    workflow_id: str
    op: str
    fence: int
    agent_id: str
    outcome: str
    at: str
