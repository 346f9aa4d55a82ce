"""The body of a task actor: the loop, and the end.

It stands beside the actor and not in it, so that no attribute of a subclass collides with the
kernel's. The end has one order: whoever waits is failed at once; then the actor may say that it
failed; then its tasks and the actors below it end; and only when nothing of it is left, its
supervisor is told. Two incarnations never overlap.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

import trio

from supervision.crash import is_crash
from supervision.delivery import Delivery
from supervision.errors import Refused
from supervision.events import TellRefused
from supervision.exits import ExitReason
from supervision.info import Kind, State
from supervision.life import Life
from supervision.mailbox import Mailbox
from supervision.memory import estimate_bytes
from supervision.proxy import PROXIED, perform
from supervision.slot import Slot
from supervision.work import Deferred, Work

if TYPE_CHECKING:
    from supervision.actor import Actor

__all__ = ["Below", "TaskBody"]

logger = logging.getLogger("supervision")

BURST = 32  # messages between two turns of the scheduler: a full mailbox must not starve the others
OVERTAKING = 8  # control messages in a row: a child that fails for ever must not starve who asks
STARTING_S = 1.0  # what a task that is still starting gets of its shutdown deadline
ON_FAILURE_S = 5.0  # an actor that crashed may say so, but its restart does not wait for ever


class Below(Protocol):
    """What a supervisor adds to a body."""

    async def control(self, message: object) -> None:
        """Handles a message of the kernel."""

    def stop_requested(self) -> None:
        """Learns at once that the loop will come to an end."""

    async def reap(self, reason: ExitReason) -> None:
        """Ends every actor below that still lives."""

    def slots(self) -> Collection[Slot]:
        """Lists the places for children, in start order."""

    def slot(self, id_: str) -> Slot | None:
        """Finds the place for one child."""

    def absent(self, slot: Slot) -> State:
        """Says what is the matter with a child that has no life now."""


class TaskBody:
    """One task actor's loop and all it needs."""

    __slots__ = (
        "_current",
        "_exit",
        "_fault",
        "_held",
        "_over",
        "_scope",
        "_work",
        "actor",
        "below",
        "handled",
        "life",
        "post_box",
    )

    life: Life

    def __init__(self, actor: "Actor") -> None:
        self.actor = actor
        self.post_box = Mailbox()
        self.below: Below | None = None
        self.handled = 0
        self._scope: trio.CancelScope | None = None
        self._current: Delivery | None = None
        self._work: Work | None = None
        self._fault: BaseException | None = None
        self._exit: ExitReason | None = None
        self._held: dict[Delivery, None] = {}
        self._over = False

    @property
    def kind(self) -> Kind:
        return "task" if self.below is None else "supervisor"

    @property
    def asleep(self) -> bool:
        return self.post_box.asleep

    def board(self, life: Life) -> None:
        """Takes the life it is to live."""
        if hasattr(self, "life"):
            raise TypeError(f"{life.path}: build must make a new actor for each incarnation")
        self.life = life
        actor, bridge = self.actor, life.system.bridge
        if actor.lazy:
            self.post_box.open_asleep(life, bridge, actor.mailbox_bound, actor.overflow, self)
        else:
            self.post_box.open(life, bridge, actor.mailbox_bound, actor.overflow)

    def launch(self) -> None:
        """Sets the loop running, unless it waits for the first message."""
        if self.asleep:
            self.life.mark_asleep()
        else:
            self.awaken()

    def awaken(self) -> None:
        """Sets the loop running."""
        self._scope = trio.CancelScope()
        # an empty context: a request's variables must not live on in the actor it started
        spawn: Callable[..., None] = self.life.system.nursery.start_soon
        Context().run(spawn, self._live, name=self.life.path)

    def oversee(self, below: Below) -> None:
        """Makes it a supervisor's body."""
        self.below = below

    # --- what the life asks of its body ---

    def stop_requested(self) -> None:
        if self._scope is None:
            self._end_asleep(ExitReason.plain(self.life.stopping or "normal"))
            return
        if not self.post_box.parked:  # else it sets the deadline itself, once it has to wait
            patience_s = self._patience_s()
            self._scope.deadline = min(self.life.stop_by, trio.current_time() + patience_s)
        self.post_box.seal()
        self.post_box.wake()
        if self.below is not None:
            self.below.stop_requested()

    def _patience_s(self) -> float:
        """Who is still starting has promised nothing, and may wait for what never comes."""
        starting = not self.life.was_up and self.below is None
        return min(STARTING_S, self.life.spec.shutdown_s) if starting else self.life.spec.shutdown_s

    def exit(self, reason: ExitReason) -> None:
        if self._scope is None:  # soon, not now: the links of sleepers may be a long chain
            self.life.system.bridge.call(self._exit_asleep, reason)
        elif self._exit is None:
            self._exit = reason
            self._scope.cancel()

    def abandon(self, reason: ExitReason) -> None:
        raise AssertionError(f"a task can be cancelled, never abandoned: {reason}")

    def accept(self, delivery: Delivery) -> None:
        self.post_box.put_unbounded(delivery)

    def memory_bytes(self) -> int:
        return estimate_bytes(self.actor, self, self.post_box, self.post_box.queue)

    # --- what the actor asks of its body ---

    def defer(self, work: Coroutine[Any, Any, object]) -> None:
        """Lets a task answer the current message."""
        if self._current is None:
            work.close()
            raise RuntimeError(f"{self.life.path}: defer() answers a message, and there is none")
        self._tasks().defer(work, self._current)

    def hold(self) -> Delivery:
        """Keeps the current message, to be answered by `release`; `on_receive` returns Deferred."""
        if self._current is None:
            raise RuntimeError(f"{self.life.path}: there is no message to hold")
        self._held[self._current] = None
        return self._current

    def release(self, delivery: Delivery) -> Delivery:
        """Gives a held message back, for an answer or a refusal."""
        self._held.pop(delivery, None)
        return delivery

    def spawn(self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
        """Runs a background task."""
        self._tasks().spawn(function, args)

    def post(self, message: object, delay_s: float = 0.0) -> None:
        """Sends the actor a control message, which overtakes, now or in `delay_s` seconds."""
        if delay_s > 0:
            self.spawn(self._post_after, (message, delay_s))
        else:
            self.post_box.put_control(message)

    async def _post_after(self, message: object, delay_s: float) -> None:
        await trio.sleep(delay_s)
        self.post_box.put_control(message)

    # --- the loop ---

    @trio.lowlevel.enable_ki_protection  # control-C is for the main task, not for whoever runs now
    async def _live(self) -> None:
        error: BaseException | None = None
        try:
            try:
                await self._act()
            except BaseException as raised:
                if not is_crash(raised):
                    raise
                error = raised
            await self._end(self._reason(self._fault or error))
        finally:  # whatever happens, whoever waits for the end must not wait for ever
            gone = ExitReason.crash(error or RuntimeError("the loop of the system is gone"))
            if not self._over:
                self._bury(gone)
            self.life.end(gone)

    async def _act(self) -> None:
        assert self._scope is not None  # noqa: S101  for the type checker: `awaken` made it
        with self._scope:
            await self.actor.on_start()
            if not self.life.was_up or self.actor.lazy:
                self.life.mark_up()
            if self.life.stopping is not None:
                self._scope.deadline = self.life.stop_by
            await self._serve()
            if self._may_wait():
                self._scope.deadline = self.life.stop_by
            await self._finish_work()
            await self.actor.on_stop()

    async def _serve(self) -> None:
        life, mailbox, messages = self.life, self.post_box, self.post_box.queue
        turn = overtaken = 0
        while life.stopping is None:
            if mailbox.control and (overtaken < OVERTAKING or not messages):
                overtaken += 1
                await self._control(mailbox.control.popleft())
            elif messages and not self._is_busy():
                overtaken = 0
                await self._handle(messages.popleft())
            elif mailbox.control:
                overtaken = 0  # busy: no message can be taken now
            else:
                await mailbox.park()
                turn = 0
                continue
            turn += 1
            if turn == BURST:
                turn = 0
                await trio.lowlevel.checkpoint()

    async def _handle(self, delivery: Delivery) -> None:
        if self.post_box.line:
            self.post_box.admit()
        self._current = delivery
        self.handled += 1
        message = delivery.message
        try:
            if type(message) in PROXIED:
                answer = await self._perform(message)
            else:
                answer = await self.actor.on_receive(message)
        except Refused as refusal:
            self._refuse(delivery, refusal)
        else:
            if type(answer) is not Deferred:
                delivery.answer(answer)
        self._current = None

    async def _perform(self, message: object) -> object:
        answer = perform(self.actor, message)
        return await answer if inspect.iscoroutine(answer) else answer

    async def _control(self, message: object) -> None:
        if self.below is not None:
            await self.below.control(message)

    def _is_busy(self) -> bool:
        return self._work is not None and self._work.deferred >= self.actor.deferred_bound

    def _refuse(self, delivery: Delivery, refusal: Refused) -> None:
        if delivery.reply_to is None:
            kind = type(delivery.message).__name__
            event = TellRefused(path=self.life.path, message_type=kind, error=refusal)
            self.life.system.emit(event)
        else:
            delivery.refuse(refusal)

    def _tasks(self) -> Work:
        if self._over:
            raise RuntimeError(f"{self.life.path} has ended and starts no more tasks")
        if self._work is None:
            self._work = Work(
                self.life.system.nursery,
                self.life.path,
                on_crash=self._crash,
                on_refusal=self._refuse,
                changed=self.post_box.wake,
            )
        return self._work

    def _crash(self, error: BaseException) -> None:
        """A task of this actor raised: the loop ends wherever it is."""
        if self._fault is None and self._scope is not None:
            self._fault = error
            self._scope.cancel()
        else:
            logger.error("%s failed once more", self.life.path, exc_info=error)

    # --- the end ---

    def _may_wait(self) -> bool:
        """Whether the way out may take time. A deadline costs 3 µs, and most actors need none."""
        in_progress = self._work is not None and self._work.deferred > 0
        return in_progress or self.actor._cleans_up()  # noqa: SLF001  its body

    async def _finish_work(self) -> None:
        if self._work is not None:
            self._work.cancel_background()
            await self._work.answered()

    def _reason(self, error: BaseException | None) -> ExitReason:
        if error is not None:
            return ExitReason.crash(error)
        if self._exit is not None:
            return self._exit
        if self._scope is not None and self._scope.cancelled_caught:
            return ExitReason.killed(self.life.path, self._patience_s())
        return ExitReason.plain(self.life.stopping or "normal")

    async def _end(self, reason: ExitReason) -> None:
        self._bury(reason)
        if reason.failure is not None:
            await self._tell_failure(reason.failure)
        if self._work is not None:
            await self._work.ended()
        if self._fault is not None and not reason.crashed:  # a task of its own failed to the last
            reason = ExitReason.crash(self._fault)
        if self.below is not None:
            await self.below.reap(reason)
        self.life.end(reason)

    def _exit_asleep(self, reason: ExitReason) -> None:
        if self._scope is not None:
            self.exit(reason)
        elif not self._over:
            self._end_asleep(reason)

    def _end_asleep(self, reason: ExitReason) -> None:
        """It never ran, so no hook does."""
        self._over = True
        self.post_box.close(self.life.leave(reason))
        self.life.end(reason)

    def _bury(self, reason: ExitReason) -> None:
        """Nobody will be answered any more: says so to all who wait, each as befits."""
        self._over = True
        error = self.life.leave(reason)
        if self._current is not None:
            self._current.refuse(reason.dead(self.life.path, self._current.message))
            self._current = None
        for delivery in self._held:
            delivery.refuse(reason.dead(self.life.path, delivery.message))
        if self._work is not None:
            self._work.abandon(reason)
        self.life.mourn(self.post_box.close(error), reason)

    async def _tell_failure(self, error: BaseException) -> None:
        with trio.move_on_after(ON_FAILURE_S):
            try:
                await self.actor.on_failure(error)
            except BaseException as failure:
                if not is_crash(failure):
                    raise
                logger.exception("on_failure of %s failed", self.life.path)
