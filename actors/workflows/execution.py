"""One run of a workflow's function, as its operations see it.

An operation takes its name from its strand, asks the replay what is recorded of it, and only at the
frontier does something: it waits while the workflow is paused, is cancelled where a cancellation
arrived, and is known to be in progress until it ends.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

import trio

from actors.workflows.causes import note_handling
from actors.workflows.definition import Definitions
from actors.workflows.history import Kind
from actors.workflows.journal import Journal
from actors.workflows.messages import RecordHeartbeat
from actors.workflows.replay import ACTIVITY, CHILD, TRANSACTION, Recorded, Replay
from actors.workflows.strand import Strand
from storage import payload
from storage.workflows.records import MessageRow, TaskRow

T = TypeVar("T")

HISTORY_LIMIT = 50_000
"""Events of one run, as Temporal's limit: a workflow that needs more continues as new."""


class CancelledError(BaseException):
    """The workflow is to end: raised once at each of its operations that is in progress.

    Not an `Exception`, so that a workflow's retry loop does not swallow it. Clean up in a `finally`
    or where you catch it: operations work again from there on.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ContinueAsNew(BaseException):
    """Ends this run of a workflow; raised by `Context.continue_as_new`, never caught."""

    def __init__(self, variables: Any) -> None:
        super().__init__("continue as new")
        self.variables = variables


class HistoryTooLarge(Exception):  # noqa: N818 - a state
    """The workflow has recorded as much as one run may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnd:
    """How a child workflow closed. `payload` is that of the event by which it did."""

    kind: Kind
    payload: str


class Surroundings(Protocol):
    """What a run needs of the actor that it runs in."""

    def now(self) -> datetime:
        """Tell what time it is."""

    def offer_task(self) -> None:
        """Hint that a task row is ready for an agent."""

    def task_outcome(self, op: str) -> TaskRow | None:
        """Give the task of an operation once it is done or failed for good."""

    def child_end(self, workflow_id: str) -> ChildEnd | None:
        """Give a child's end once it has closed."""

    async def news(self) -> None:
        """Wait until there may be something new in the rows."""

    def idle(self) -> None:
        """Hear that an operation has begun to wait for something that may take long."""

    def heartbeat(self, command: RecordHeartbeat) -> None:
        """Keep what an attempt says, from any thread."""

    def last_heartbeat(self, op: str) -> str | None:
        """Give what an attempt of an earlier life said last, as stored JSON text."""

    def log(self, message: str, level: str) -> None:
        """Put a line into the workflow's log."""


class Interrupted(BaseException):
    """The operation in progress is cancelled, and its work has stopped where it may be."""


@dataclass(slots=True)
class Pending:
    """An operation in progress.

    Args:
        parkable: it waits for something that finds the workflow also when it is only a row.
        wake_at: when it ends by itself.
        ends_itself: a cancellation has reached what it waits for, and will end that.
        child_id: the child workflow it waits for; "" for what is none.
        signal: the name of the signals that it waits for; "" for what waits for none.
    """

    what: str
    name: str
    strand: Strand
    parkable: bool = False
    wake_at: datetime | None = None
    ends_itself: bool = False
    child_id: str = ""
    signal: str = ""
    is_cancelled: bool = False
    _scope: trio.CancelScope | None = None

    def cancel(self) -> None:
        """Interrupt it where it waits now, or where it will wait next."""
        self.is_cancelled = True
        if self._scope is not None:
            self._scope.cancel()

    def interruptible(self, seconds: float = math.inf) -> trio.CancelScope:
        """Give the scope for a wait that a cancellation ends, or the time does."""
        scope = self._scope = trio.CancelScope(deadline=trio.current_time() + seconds)
        if self.is_cancelled:
            scope.cancel()
        return scope

    def go_on(self) -> None:
        """Do nothing, while it may go on.

        Raises:
            Interrupted: it may not.
        """
        if self.is_cancelled:
            raise Interrupted


@dataclass(slots=True, kw_only=True)
class Execution:
    """See the module.

    Args:
        run: 1, and one more for each time the workflow continued as new.
        recovered: attempts of an earlier life have said how far they were.
        stalled: it is recorded as stalled, and has not got further since.
        paused: nothing new may begin.
        cancel_reason: why it is to end; None while it is not.
        generation: how many workflows it is nested in.
        live: set once the function has got to where something new begins.
        begun: how many operations were carried out, or are, and not taken from the record.
    """

    workflow_id: str
    issue_id: str
    run: int
    replay: Replay
    journal: Journal
    surroundings: Surroundings
    definitions: Definitions
    recovered: bool = False
    stalled: bool = False
    paused: bool = False
    cancel_reason: str | None = None
    generation: int = 0
    pending: dict[str, Pending] = field(default_factory=dict)
    signals: dict[str, deque[MessageRow]] = field(default_factory=dict)
    queries: dict[str, Callable[..., object]] = field(default_factory=dict)
    live: trio.Event = field(default_factory=trio.Event)
    begun: int = 0
    _gate: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)
    _active: set[Strand] = field(default_factory=set)
    _quiet: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)

    def take(self, what: str, name: str = "") -> tuple[str, Recorded | None]:
        """The next operation of the current strand, and what is recorded of it.

        Raises:
            NonDeterminismError: something else is recorded there.
            CancelledError: it is recorded that the operation was cancelled.
        """
        strand = Strand.current()
        op = strand.next_op()
        note_handling(op)
        record = self.replay.take(op, what, name)
        if record is None or record.outcome is None:
            return op, record
        if record.outcome.kind is Kind.OPERATION_CANCELLED:
            body = payload.decode(record.outcome.payload)
            if strand.has_lost and body.get("lost"):
                return op, None  # it never came back from there: it waits until the race is over
            strand.cancelled = True
            raise CancelledError(body["reason"])
        return op, record

    async def perform(
        self,
        op: str,
        what: str,
        name: str,
        work: Callable[[], Awaitable[T]],
        *,
        parkable: bool = False,
        wake_at: datetime | None = None,
        ends_itself: bool = False,
        child_id: str = "",
        signal: str = "",
    ) -> T:
        """Do what is not recorded yet, as an operation that can be seen and cancelled.

        One that `ends_itself` has been told of the cancellation, and is waited for.

        Raises:
            CancelledError: the workflow was cancelled before it ended; that is recorded.
            HistoryTooLarge: nothing more may be recorded.
        """
        pending = Pending(
            what,
            name,
            Strand.current(),
            parkable=parkable,
            wake_at=wake_at,
            ends_itself=ends_itself,
            child_id=child_id,
            signal=signal,
        )

        async def interruptible() -> T:
            with pending.interruptible():
                return await work()
            raise Interrupted

        return await self.carry_out(op, pending, interruptible)

    async def carry_out(self, op: str, pending: Pending, work: Callable[[], Awaitable[T]]) -> T:
        """Do the same with work that says itself where it may be interrupted.

        Raises:
            CancelledError, HistoryTooLarge: as `perform`.
        """
        strand, what, name = pending.strand, pending.what, pending.name
        await self._reach(op, pending)
        self.pending[op] = pending
        self.begun += 1
        if pending.parkable:
            self.surroundings.idle()
        try:
            return await work()
        except Interrupted:
            pass
        finally:
            self.pending.pop(op, None)
            if self.pending:
                self.surroundings.idle()
        if strand.has_lost:
            await self.freeze(strand)
        raise self.cancelled(strand, op, what, name)

    async def _reach(self, op: str, pending: Pending) -> None:
        strand, what, name = pending.strand, pending.what, pending.name
        await trio.lowlevel.checkpoint_if_cancelled()  # another branch has won, or has stalled us
        if strand.has_lost:
            if self.replay.is_open(op):  # an earlier life began it, and did not get to its end
                self._record_lost(strand, op, what, name)
            await self.freeze(strand)
        self.live.set()
        await self.unpaused()
        if strand.has_lost:
            await self.freeze(strand)
        # What an earlier life began, and the cancellation has reached there, is still waited for.
        waits = pending.ends_itself and self.replay.is_open(op)
        if self.cancel_reason is not None and strand.takes_cancellation and not waits:
            raise self.cancelled(strand, op, what, name)
        self.go_live()
        if self.journal.count >= HISTORY_LIMIT:
            raise HistoryTooLarge(
                f"this run has recorded {self.journal.count} events, the limit is {HISTORY_LIMIT}: "
                "call ctx.continue_as_new(...) before it gets there"
            )

    async def unpaused(self) -> None:
        """Wait for as long as the workflow is paused."""
        while self.paused:
            await self.journal.barrier()
            self.surroundings.idle()
            await self._gate.park()

    def cancelled(self, strand: Strand, op: str, what: str, name: str) -> CancelledError:
        """Record that the workflow's cancellation has ended an operation; the error to raise."""
        reason = self.cancel_reason or ""
        strand.cancelled = True
        self.record_cancelled(op, what, name, reason)
        return CancelledError(reason)

    def record_cancelled(
        self,
        op: str,
        what: str,
        name: str,
        reason: str,
        *,
        lost: bool = False,
        cancels_child: bool = False,
    ) -> None:
        """Record that an operation ended because nobody wants its outcome any more.

        `lost` says that another branch was the first: its code never heard of an end.
        """
        body = {
            "what": what,
            "reason": payload.short_text(reason),
            **({"lost": True} if lost else {}),
        }
        self.journal.append(
            Kind.OPERATION_CANCELLED,
            op=op,
            name=name,
            payload=payload.encode(body),
            cancels_task=what == ACTIVITY,
            cancels_child=cancels_child,
        )

    def lose(self) -> None:
        """Stop the operations in progress of strands that have lost, and record that they ended.

        A transaction is not recorded: it may have been made already, and is recorded if it was.
        """
        for op, pending in list(self.pending.items()):
            if pending.strand.has_lost:
                del self.pending[op]
                pending.cancel()
                if pending.what != TRANSACTION:
                    self._record_lost(pending.strand, op, pending.what, pending.name)

    def _record_lost(self, strand: Strand, op: str, what: str, name: str) -> None:
        child = what == CHILD
        self.record_cancelled(op, what, name, strand.why_lost, lost=True, cancels_child=child)

    def go_live(self) -> None:
        """Say that a stalled workflow has got further."""
        if self.stalled:
            self.stalled = False
            self.journal.append(Kind.WORKFLOW_RECOVERED)

    # What others have asked for.

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._gate.unpark_all()

    def cancel(self, reason: str) -> None:
        """Raise `CancelledError` at each operation in progress, and at the next one elsewhere."""
        self.resume()
        if self.cancel_reason is not None:
            return
        self.cancel_reason = reason
        for pending in self.pending.values():
            if pending.strand.takes_cancellation and not pending.ends_itself:
                pending.cancel()

    def deliver(self, message: MessageRow) -> None:
        """Put a signal behind those that wait already."""
        self.signals.setdefault(message.name, deque()).append(message)

    @property
    def resting(self) -> bool:
        """Whether all it does is wait for what finds it also when it is only a row."""
        waits = self.paused or bool(self.pending)
        return waits and all(self._rests(pending) for pending in self.pending.values())

    def _rests(self, pending: Pending) -> bool:
        """Whether nothing has come yet, not even what its task has still to take up."""
        has_signal = pending.signal and self.signals.get(pending.signal)
        return pending.parkable and not has_signal and not pending.is_cancelled

    @property
    def children(self) -> tuple[str, ...]:
        """The child workflows that it waits for."""
        return tuple(p.child_id for p in self.pending.values() if p.child_id)

    @property
    def wake_at(self) -> datetime | None:
        """When the first of its timers ends."""
        return min((p.wake_at for p in self.pending.values() if p.wake_at), default=None)

    # Strands that have lost: each is run to where it was when it did, and held there.

    def enter(self, strand: Strand) -> None:
        self._active.add(strand)

    def leave(self, strand: Strand) -> None:
        self._active.discard(strand)
        self._quiet.unpark_all()

    async def quiet(self, paths: tuple[str, ...]) -> None:
        """Wait until no strand at or under these paths gets any further."""
        while any(strand.is_under(path) for strand in self._active for path in paths):
            await self._quiet.park()

    async def freeze(self, strand: Strand) -> None:
        """Hold a strand that has lost, until its race is over."""
        self.leave(strand)
        await trio.sleep_forever()
