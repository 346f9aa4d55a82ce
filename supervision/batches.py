"""What the two bodies of a blocking actor have in common: how a batch is handled, and the end.

One lives in a thread of its own, the other on a trio task; the actor cannot tell.
"""

import inspect
import logging
from itertools import groupby
from typing import TYPE_CHECKING

from supervision.delivery import Delivery
from supervision.errors import Refused, UnansweredDelivery
from supervision.events import TellRefused
from supervision.exits import ExitReason
from supervision.inbox import Inbox
from supervision.life import Life
from supervision.mailbox import Mailbox
from supervision.memory import estimate_bytes
from supervision.proxy import PROXIED, perform

if TYPE_CHECKING:
    from supervision.blocking import BlockingActor

__all__ = ["BatchBody"]

logger = logging.getLogger("supervision")


class BatchBody:
    """A blocking actor's body, but for where it runs."""

    below = None
    asleep = False
    life: Life
    post_box: Inbox | Mailbox

    def __init__(self, actor: "BlockingActor") -> None:
        self.actor = actor
        self.handled = 0
        self.others_wait = False  # while a batch is answered, there are messages for the next one
        self._batch: list[Delivery] = []
        self._begun = 0
        self._exit: ExitReason | None = None

    @property
    def boarded(self) -> bool:
        return hasattr(self, "life")

    def _take(self, life: Life) -> None:
        if self.boarded:
            raise TypeError(f"{life.path}: build must make a new actor for each incarnation")
        self.life = life

    def accept(self, delivery: Delivery) -> None:
        self.post_box.put_unbounded(delivery)

    def memory_bytes(self) -> int:
        return estimate_bytes(self.actor, self, self.post_box)

    # --- messages ---

    def receive(self, delivery: Delivery) -> None:
        """Handles one message and gives the asker its answer or refusal."""
        self._begun += 1
        try:
            answer = self.actor.on_receive(delivery.message)
        except Refused as refusal:
            self.refuse(delivery, refusal)
        else:
            delivery.answer(answer)

    def refuse(self, delivery: Delivery, refusal: Refused) -> None:
        """Gives the asker its refusal; makes an event of one that nobody asked for."""
        if delivery.reply_to is None:
            kind = type(delivery.message).__name__
            event = TellRefused(path=self.life.path, message_type=kind, error=refusal)
            self.life.system.on_trio(self.life.system.emit, event)
        else:
            delivery.refuse(refusal)

    def handle(self, batch: list[Delivery]) -> None:
        """Handles a batch; raising is a crash."""
        if not batch:
            return
        self._batch, self._begun = batch, 0
        self.handled += len(batch)
        if any(type(delivery.message) in PROXIED for delivery in batch):
            self._handle_mixed(batch)
        else:
            self.actor.on_deliveries(batch)
        for delivery in batch:
            if delivery.unanswered:
                kind = type(delivery.message).__name__
                raise UnansweredDelivery(f"{self.life.path} left {kind} without an answer")
        self._batch = []

    def _handle_mixed(self, batch: list[Delivery]) -> None:
        for proxied, group in groupby(batch, lambda delivery: type(delivery.message) in PROXIED):
            if proxied:
                for delivery in group:
                    self._perform(delivery)
            else:
                self.actor.on_deliveries(list(group))

    def _perform(self, delivery: Delivery) -> None:
        self._begun += 1
        try:
            answer = perform(self.actor, delivery.message)
        except Refused as refusal:
            self.refuse(delivery, refusal)
            return
        if inspect.iscoroutine(answer):
            answer.close()
            raise TypeError(f"{self.life.path}: a thread actor's methods are no coroutines")
        delivery.answer(answer)

    # --- the end ---

    def _bury(self, reason: ExitReason) -> None:
        """Nobody will be answered any more: says so to all who wait; in either thread."""
        error = self.life.leave(reason)
        for delivery in self._batch:
            delivery.refuse(reason.dead(self.life.path, delivery.message))
        left = [delivery for delivery in self._batch[self._begun :] if delivery.reply_to is None]
        self.life.mourn(left + self.post_box.close(error), reason)

    def _tell_failure(self, error: BaseException) -> None:
        try:
            self.actor.on_failure(error)
        except BaseException:
            logger.exception("on_failure of %s failed", self.life.path)
