"""One attempt of an agent's activity while it goes on: its signs of life, and its cancellation.

An activity gives its signs of life from a task or from a thread; here they come together on the
thread of the event loop, put off the end of an attempt that would be too silent, and are told to
the coordinator once a second.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import trio
from pydantic_core import PydanticSerializationError, to_jsonable_python

from actors.agents.messages import TaskOrder
from storage import payload
from storage.errors import PayloadError

KEEP_S = 1.0
"""Heartbeats that come faster than this are told together: the last one counts."""


class Pulse:
    """What an activity says of how far it is, and whether anybody still wants it to go on.

    Args:
        before: what the attempt before said last.
        beat: called at each sign of life, from any thread.
    """

    def __init__(self, before: Any = None, beat: Callable[[], None] = lambda: None) -> None:
        self.before = before
        self.beat = beat
        self.said: str | None = None
        self.is_cancelled = False

    def say(self, details: Any) -> None:
        """A heartbeat.

        Raises:
            PayloadError: the details are no JSON.
        """
        try:
            text = payload.encode(to_jsonable_python(details))
        except PydanticSerializationError as error:
            raise PayloadError("the details of a heartbeat", str(error)) from error
        if not self.is_cancelled:
            self.said = text
            self.beat()


class Attempt:
    """See the module. Made on the thread of the event loop.

    Args:
        order: what is to be done.
        tell: passes the details of a heartbeat on, as stored JSON text.
        spawn: runs a background task of the agent.
        scope: what is cancelled when nobody wants the outcome any more.
        silence: what ends when the attempt has been silent for too long.
    """

    def __init__(
        self, order: TaskOrder, *, tell: Callable[[str], None], spawn: Callable[..., None]
    ) -> None:
        before = None if order.heartbeat is None else payload.decode(order.heartbeat)
        self.order = order
        self.scope = trio.CancelScope()
        self.silence = trio.CancelScope()
        self.pulse = Pulse(before, self._beat)
        self._tell = tell
        self._spawn = spawn
        self._loop = trio.lowlevel.current_trio_token()
        self._told: str | None = None
        self._is_telling = False
        self._is_over = False
        self._listen()

    def cancel(self) -> None:
        self.pulse.is_cancelled = True
        self.scope.cancel()

    def end(self) -> None:
        """Hear nothing more of it: a thread may go on although its attempt is over."""
        self._is_over = True
        self.pulse.is_cancelled = True

    def _beat(self) -> None:
        if trio.lowlevel.in_trio_run():
            self._listen()
        else:
            with contextlib.suppress(trio.RunFinishedError):
                self._loop.run_sync_soon(self._listen, idempotent=True)

    def _listen(self) -> None:
        """It lives."""
        if self._is_over:
            return
        if self.order.heartbeat_timeout_s is not None:
            self.silence.deadline = trio.current_time() + self.order.heartbeat_timeout_s
        if self.pulse.said is not self._told and not self._is_telling:
            self._is_telling = True
            self._spawn(self._tell_on)

    async def _tell_on(self) -> None:
        """Tell what it says, at most once a second, until it has said nothing new."""
        while self.pulse.said is not None and self.pulse.said is not self._told:
            self._told = self.pulse.said
            self._tell(self._told)
            await trio.sleep(KEEP_S)
            if self._is_over:
                break
        self._is_telling = False
