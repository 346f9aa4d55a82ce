"""Listens to a program for one turn, and ends it when it says too much or nothing any more.

Three clocks run: the turn's, the one since the last sign of life, and, once the program has said
that it is done, a short one until it ends; some never do. Whatever is over first ends the turn.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import trio

from actors.agents.command.events import Doing, Event
from actors.agents.command.hearing import Heard
from actors.agents.command.secrets import hide
from actors.agents.guarded import NotStarted, Program
from storage.payload import plain_text

LINE_BYTES: Final = 4 << 20
"""A frame may hold a whole file; what is longer than this is not read."""

_LINES_AT_ONCE: Final = 100
_STDERR_BYTES: Final = 16_384
_DRAIN_S: Final = 1.0  # for pipes that something out of the guard's reach keeps open


class Stop(StrEnum):
    """What ended a turn."""

    EXITED = "exited"
    NOT_STARTED = "not_started"
    DEADLINE = "deadline"
    IDLE = "idle"
    AFTER_RESULT = "after_result"
    FLOOD = "flood"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a program is listened to, in seconds, and to how much, in bytes."""

    turn_s: float
    idle_s: float
    tool_s: float
    after_result_s: float
    output_bytes: int
    transcript_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How a turn ended.

    Args:
        status: of the program itself; None when it was ended.
        complaint: the last of its stderr, or why it was not started.
        transcript: the first of its stdout.
    """

    stop: Stop
    status: int | None
    complaint: str
    transcript: bytes


@dataclass(slots=True)
class Conversation:
    """One turn of one program.

    Args:
        heard: remembers what it says.
        hear: told of each event before the next line is read.
        secrets: hidden in all that it says.
    """

    program: Program
    heard: Heard
    patience: Patience
    hear: Callable[[Event], Awaitable[None]]
    secrets: Sequence[bytes] = ()
    _begun: float = field(default_factory=trio.current_time)
    _last: float = field(default_factory=trio.current_time)
    _is_at_tool: bool = False
    _result_at: float | None = None
    _scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    _bytes: int = 0
    _status: int | None = None
    _failure: str | None = None
    _transcript: bytearray = field(default_factory=bytearray)
    _complaint: bytearray = field(default_factory=bytearray)

    async def take_turn(self, prompt: str) -> Finish:
        """Tell the program the prompt, and listen until the turn is over.

        Cancelling it leaves the program running: leaving `guarded` ends it.
        """
        self._set_deadline()
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell, prompt)
                async with trio.open_nursery() as readers:
                    readers.start_soon(self._listen)
                    readers.start_soon(self._listen_to_complaints)
                    await self._wait()
                    readers.cancel_scope.deadline = trio.current_time() + _DRAIN_S
                nursery.cancel_scope.cancel()
        complaint = hide(bytes(self._complaint), self.secrets)
        said = self._failure or complaint.decode("utf-8", "replace")
        return Finish(
            stop=self._stop(),
            status=self._status,
            complaint=plain_text(said).strip(),
            transcript=hide(bytes(self._transcript), self.secrets),
        )

    async def _wait(self) -> None:
        try:
            self._status = await self.program.ended()
        except NotStarted as error:
            self._failure = str(error)

    def _stop(self) -> Stop:
        if self._bytes > self.patience.output_bytes:
            return Stop.FLOOD
        if self._failure is not None:
            return Stop.NOT_STARTED
        if self._status is not None:
            return Stop.EXITED
        if self._result_at is not None:
            return Stop.AFTER_RESULT
        spent_s = trio.current_time() - self._begun
        return Stop.DEADLINE if spent_s >= self.patience.turn_s else Stop.IDLE

    async def _tell(self, prompt: str) -> None:
        try:
            if prompt:
                await self.program.stdin.send_all(prompt.encode())
            await self.program.stdin.aclose()
        except trio.BrokenResourceError:
            pass  # it does not read what it is told

    async def _listen(self) -> None:
        rest, is_dropping = bytearray(), False
        async for chunk in self.program.stdout:
            self._keep(chunk)
            rest += chunk
            *lines, rest = rest.split(b"\n")
            for number, line in enumerate(lines, 1):
                if number % _LINES_AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()  # a chunk holds thousands of short ones
                if is_dropping or len(line) > LINE_BYTES:
                    self.heard.strays += 1
                else:
                    await self._take(line)
                is_dropping = False
            if len(rest) > LINE_BYTES:
                rest, is_dropping = bytearray(), True
        if rest and not is_dropping:
            await self._take(rest)

    async def _listen_to_complaints(self) -> None:
        async for chunk in self.program.stderr:
            self._sign_of_life(len(chunk))
            self._complaint += chunk
            del self._complaint[:-_STDERR_BYTES]

    async def _take(self, line: bytearray) -> None:
        events = self.heard.take(hide(bytes(line), self.secrets))
        self._is_at_tool = any(isinstance(event, Doing) for event in events)
        self._set_deadline()
        for event in events:
            await self.hear(event)
        if self.heard.ended is not None and self._result_at is None:
            self._result_at = trio.current_time()
            self._set_deadline()

    def _keep(self, chunk: bytes | bytearray) -> None:
        self._sign_of_life(len(chunk))
        room = self.patience.transcript_bytes - len(self._transcript)
        if room > 0:
            self._transcript += chunk[:room]

    def _sign_of_life(self, count: int) -> None:
        self._bytes += count
        self._last = trio.current_time()
        if self._bytes > self.patience.output_bytes:
            self._scope.cancel()
        else:
            self._set_deadline()

    def _set_deadline(self) -> None:
        quiet_s = self.patience.tool_s if self._is_at_tool else self.patience.idle_s
        ends = [self._begun + self.patience.turn_s, self._last + quiet_s]
        if self._result_at is not None:
            ends.append(self._result_at + self.patience.after_result_s)
        self._scope.deadline = min(ends)
