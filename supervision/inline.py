"""The body of a blocking actor on a trio task: the inline twin of its thread.

Same hooks, same order, same batches, same end; but no thread, so that a mock clock can see it and a
seed can repeat it. A hook that blocks, blocks the loop: this is for simulation, never for serving.
Before each batch it lets a random time pass (`System.open(latency_s=…)`), as a disk would, so that
simulated crashes find messages on their way.
"""

from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING

import trio

from supervision.batches import BatchBody
from supervision.crash import is_crash
from supervision.exits import ExitReason
from supervision.info import Kind
from supervision.life import Life
from supervision.mailbox import Mailbox

if TYPE_CHECKING:
    from supervision.blocking import BlockingActor

__all__ = ["InlineBody"]


class InlineBody(BatchBody):
    """One blocking actor's loop on a task."""

    kind: Kind = "inline"

    def __init__(self, actor: "BlockingActor") -> None:
        super().__init__(actor)
        self.post_box: Mailbox = Mailbox()

    def board(self, life: Life) -> None:
        """Takes the life it is to live."""
        self._take(life)
        bridge = life.system.bridge
        self.post_box.open(life, bridge, self.actor.mailbox_bound, self.actor.overflow)

    def launch(self) -> None:
        """Sets the loop running."""
        spawn: Callable[..., None] = self.life.system.nursery.start_soon
        Context().run(spawn, self._run, name=self.life.path)

    # --- what the life asks of its body ---

    def stop_requested(self) -> None:
        self.post_box.seal()
        self.post_box.wake()

    def exit(self, reason: ExitReason) -> None:
        self._exit = self._exit or reason
        self.life.leave(reason)
        self.post_box.seal()
        self.post_box.wake()

    def abandon(self, reason: ExitReason) -> None:
        raise AssertionError(f"only a thread can be abandoned: {reason}")

    # --- the loop ---

    @trio.lowlevel.enable_ki_protection
    async def _run(self) -> None:
        reason = ExitReason.crash(RuntimeError("the loop of the system is gone"))
        try:
            try:
                await self._live()
            except BaseException as error:
                if not is_crash(error):
                    raise
                reason = ExitReason.crash(error)
            else:
                reason = self._exit or ExitReason(self.life.stopping or "normal")
            self._bury(reason)
            if reason.failure is not None:
                self._tell_failure(reason.failure)
        finally:
            self.life.end(reason)

    async def _live(self) -> None:
        await self._let_time_pass()
        self.actor.on_start()
        self.life.mark_up()
        mailbox = self.post_box
        while self._exit is None and (self.life.stopping is None or len(mailbox)):
            if not mailbox.queue:
                await mailbox.park()
                continue
            await self._let_time_pass()
            self.handle(mailbox.take(self.actor.batch_bound))
        if self._exit is None:
            self.actor.on_stop()

    async def _let_time_pass(self) -> None:
        system = self.life.system
        await trio.sleep(system.random.uniform(0.0, system.latency_s) if system.latency_s else 0.0)
