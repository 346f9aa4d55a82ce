"""The body of a thread actor: the loop in its own thread, and the end.

The thread takes all that waits as one batch. Stopping it means sealing its inbox: it finishes what
was accepted, then stops. Whatever the trio thread must know crosses the bridge, in order.
"""

import logging
import threading
from typing import TYPE_CHECKING

import trio

from supervision.delivery import Delivery
from supervision.errors import Refused, UnansweredDelivery
from supervision.events import TellRefused
from supervision.exits import ExitReason
from supervision.inbox import Inbox
from supervision.info import Kind
from supervision.life import Life
from supervision.memory import estimate_bytes

if TYPE_CHECKING:
    from supervision.blocking import BlockingActor

__all__ = ["ThreadBody"]

logger = logging.getLogger("supervision")

JOIN_S = 1.0  # between a thread's last words and its end lie microseconds


class ThreadBody:
    """One thread actor's loop and all it needs."""

    kind: Kind = "thread"
    below = None
    life: Life

    def __init__(self, actor: "BlockingActor", inbox: Inbox) -> None:
        self.inbox = inbox
        self.handled = 0
        self._actor = actor
        self._batch: list[Delivery] = []
        self._thread: threading.Thread | None = None

    def board(self, life: Life) -> None:
        """Takes the life it is to live."""
        if hasattr(self, "life"):
            raise TypeError(f"{life.path}: build must make a new actor for each incarnation")
        self.life = life
        self.inbox.open(life, self._actor.mailbox_bound)

    def launch(self) -> None:
        """Sets the loop running."""
        daemon = self._actor.use_daemon_thread
        self._thread = threading.Thread(target=self._run, name=self.life.path, daemon=daemon)
        self._thread.start()

    # --- what the life asks of its body, on the trio thread ---

    def stop_requested(self) -> None:
        self.inbox.seal()

    def abandon(self, reason: ExitReason) -> None:
        self._bury(reason)

    @property
    def post_box(self) -> Inbox:
        return self.inbox

    def memory_bytes(self) -> int:
        return estimate_bytes(self._actor, self, self.inbox)

    def accept(self, delivery: Delivery) -> None:
        self.inbox.put_unbounded(delivery)

    # --- the loop, in the actor's own thread ---

    def refuse(self, delivery: Delivery, refusal: Refused) -> None:
        """Gives the asker its refusal; makes an event of one that nobody asked for."""
        if delivery.reply_to is None:
            kind = type(delivery.message).__name__
            event = TellRefused(path=self.life.path, message_type=kind, error=refusal)
            self.life.system.on_trio(self.life.system.emit, event)
        else:
            delivery.refuse(refusal)

    def _run(self) -> None:
        try:
            self._live()
        except BaseException as error:  # noqa: BLE001  the last frame of the thread
            reason = ExitReason.crash(error)
            self._bury(reason)
            self._tell_failure(error)
        else:
            reason = ExitReason(self.life.stopping or "normal")
            self._bury(reason)
        try:
            self.life.system.on_trio(self._ended, reason)
        except trio.RunFinishedError:
            logger.warning("%s ended after its loop did: %s", self.life.path, reason)

    def _live(self) -> None:
        self._actor.on_start()
        self.life.system.on_trio(self.life.mark_up)
        inbox, most = self.inbox, self._actor.batch_bound
        while not inbox.ended:
            self._handle(inbox.take(most))
        self._handle(inbox.drain())  # what raced with the request to stop
        self._actor.on_stop()

    def _handle(self, batch: list[Delivery]) -> None:
        if not batch:
            return
        self._batch = batch
        self.handled += len(batch)
        self._actor.on_deliveries(batch)
        for delivery in batch:
            if delivery.unanswered:
                kind = type(delivery.message).__name__
                raise UnansweredDelivery(f"{self.life.path} left {kind} without an answer")
        self._batch = []

    # --- the end ---

    def _bury(self, reason: ExitReason) -> None:
        """Nobody will be answered any more: says so to all who wait; in either thread."""
        error = self.life.leave(reason)
        for delivery in self._batch:
            delivery.refuse(reason.dead(self.life.path, delivery.message))
        self.life.mourn(self.inbox.close(error), reason)

    def _tell_failure(self, error: BaseException) -> None:
        try:
            self._actor.on_failure(type(error), error, error.__traceback__)
        except Exception:
            logger.exception("on_failure of %s failed", self.life.path)

    def _ended(self, reason: ExitReason) -> None:
        """The thread has said its last words; on the trio thread."""
        if self._thread is not None:
            self._thread.join(JOIN_S)
        self.life.system.abandoned.pop(self.life.path, None)
        self.life.end(reason)
