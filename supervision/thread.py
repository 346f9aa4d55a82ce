"""The body of a blocking actor in a thread of its own.

The thread takes all that waits as one batch. Stopping it means sealing its inbox: it finishes what
was accepted, then stops. Whatever the trio thread must know crosses the bridge, in order.

The thread is a daemon for one case only, the one that was given up, because the process must be
able to exit; every other end is waited for.
"""

import logging
import threading
from typing import TYPE_CHECKING

import trio

from supervision.batches import BatchBody
from supervision.exits import ExitReason
from supervision.inbox import Inbox
from supervision.info import Kind
from supervision.life import Life

if TYPE_CHECKING:
    from supervision.blocking import BlockingActor

__all__ = ["ThreadBody"]

logger = logging.getLogger("supervision")

JOIN_S = 1.0  # between a thread's last words and its end lie microseconds


class ThreadBody(BatchBody):
    """One thread actor's loop and all it needs."""

    kind: Kind = "thread"

    def __init__(self, actor: "BlockingActor") -> None:
        super().__init__(actor)
        self.post_box: Inbox = Inbox()
        self._thread: threading.Thread | None = None

    def board(self, life: Life) -> None:
        """Takes the life it is to live."""
        self._take(life)
        bridge = life.system.bridge
        self.post_box.open(life, self.actor.mailbox_bound, self.actor.overflow, bridge)

    def launch(self) -> None:
        """Sets the loop running."""
        self._thread = threading.Thread(target=self._run, name=self.life.path, daemon=True)
        self._thread.start()

    # --- what the life asks of its body, on the trio thread ---

    def stop_requested(self) -> None:
        self.post_box.seal()

    def exit(self, reason: ExitReason) -> None:
        """Ends it after the batch it is at: a thread cannot be interrupted."""
        self._exit = self._exit or reason
        self.life.leave(reason)
        self.post_box.seal()

    def abandon(self, reason: ExitReason) -> None:
        self._bury(reason)

    # --- the loop, in the actor's own thread ---

    def _run(self) -> None:
        try:
            self._live()
        except BaseException as error:  # noqa: BLE001  the last frame of the thread
            reason = ExitReason.crash(error)
        else:
            reason = self._exit or ExitReason(self.life.stopping or "normal")
        self._bury(reason)
        if reason.failure is not None:
            self._tell_failure(reason.failure)
        try:
            self.life.system.on_trio(self._ended, reason)
        except trio.RunFinishedError:
            logger.warning("%s ended after its loop did: %s", self.life.path, reason)

    def _live(self) -> None:
        self.actor.on_start()
        self.life.system.on_trio(self.life.mark_up)
        inbox, most = self.post_box, self.actor.batch_bound
        while not inbox.ended and self._exit is None:
            self.handle(inbox.take(most))
            if self.others_wait:
                self.others_wait = False
                inbox.let_speak()
        if self._exit is None:
            self.handle(inbox.drain())  # what raced with the request to stop
            self.actor.on_stop()

    def _ended(self, reason: ExitReason) -> None:
        """The thread has said its last words; on the trio thread."""
        if self._thread is not None:
            self._thread.join(JOIN_S)
        self.life.system.abandoned.pop(self.life.path, None)
        self.life.end(reason)
