"""One subscription: what was logged, then what happens, in order and without a gap.

It listens first and reads the log up to where it began to listen, so nothing falls between the two.
Whoever comes from far behind reads the most of it before: a buffer would be full by the end.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

import trio

from actors.auth.messages import Principal
from actors.bus import Subscribe, Subscription
from actors.coordination.messages import GetLogBounds, GetWorkflow, LogBounds, ReadLog
from actors.event_filter import EventFilter
from actors.event_texts import Batch, Texts
from actors.feed import CUT, Lag
from api.doors import Doors
from api.streams.seeing import refuse_unseen, seen, sees_all
from supervision import ask

BUFFER: Final = 256
"""Batches of the bus kept for a client that is busy."""

BUFFER_BYTES: Final = 4 << 20
"""And what their texts take at most. They are shared by all clients that want the same."""

PAGE: Final = 500
"""Events in one frame at most, and read from the log at once."""

FRAME_BYTES: Final = 256 << 10
"""Text in one frame at most, where it is more than one event."""

NEAR: Final = 5_000
"""Who is further behind than this reads the log before it listens."""

DEADLINE_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a client wants.

    Args:
        after: send what followed this number first; None for what happens from now on.
        who: sees what it may.
    """

    wanted: EventFilter
    who: Principal
    after: int | None = None
    lag: Lag = CUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """What follows is not all that happened since the number that was given.

    Args:
        after: that number.
        forgotten: up to this one events were archived, and some of them may be missing.
        last: the last number of the log; the one that was given is of another log when it is
            beyond.
    """

    after: int
    forgotten: int
    last: int

    @property
    def reached(self) -> int:
        """After which number it goes on."""
        return min(self.after, self.last)

    @classmethod
    def of(cls, after: int, bounds: LogBounds) -> "Reset | None":
        """None where the log goes back to that number; to 0, nobody was before."""
        if after == 0 or bounds.forgotten <= after <= bounds.last:
            return None
        return cls(after=after, forgotten=bounds.forgotten, last=bounds.last)


async def lost_place(doors: Doors, after: int) -> Reset | None:
    """What to tell a client that was at this number, None where it has missed nothing."""
    if after == 0:
        return None
    bounds = await ask(doors.manager, GetLogBounds(), deadline_s=DEADLINE_S)
    return Reset.of(after, bounds)


class Following:
    """Events for one client, in pieces that fit a frame.

    Attributes:
        reached: all that is wanted was given up to this number.
        reset: set by `begin` when the log does not go back to where the client was.
        texts: of the events.
    """

    def __init__(self, doors: Doors, asked: Asked) -> None:
        self.reached = asked.after or 0
        self.reset: Reset | None = None
        self.texts = Texts()
        self._doors = doors
        self._asked = asked
        self._sees_all = sees_all(asked.who)
        self._subscription: Subscription | None = None
        self._until = 0
        self._after = asked.after
        self._waiting: deque[Batch] = deque()
        self._is_over = False
        self._is_found = False  # nobody has to look for it a second time

    async def begin(self) -> None:
        """Subscribe; what is wrong is found out here.

        Raises:
            Forbidden: it asks for nothing that it may see.
            NotFound: there is no such workflow.
        """
        refuse_unseen(self._asked.who, self._asked.wanted)
        if not self._is_found:
            await self._find()
        await self._subscribe()

    def again(self) -> "Following":
        """One that goes on where this one is, which ends. It has yet to begin."""
        self.close()
        other = Following(self._doors, replace(self._asked, after=self.reached))
        other.reset, other._is_found = self.reset, True
        return other

    async def _find(self) -> None:
        for workflow_id in self._asked.wanted.workflow_ids:
            await ask(self._doors.manager, GetWorkflow(workflow_id=workflow_id))
        self.reset = await lost_place(self._doors, self._after or 0)
        if self.reset is not None:
            self._after = self.reached = self.reset.reached

    async def _subscribe(self) -> None:
        message = Subscribe(
            buffer=BUFFER,
            wanted=self._asked.wanted,
            lag=self._asked.lag,
            limit_bytes=BUFFER_BYTES,
        )
        there = await ask(self._doors.bus, message)
        self._until, self.texts = there.after, there.texts
        if self._after is None:
            self._after = self.reached = there.after
        if self._is_over or there.after - self._after > NEAR:
            there.batches.close()
        else:
            self._subscription = there

    @property
    def is_closed(self) -> bool:
        """Whether somebody wants no more of it, as opposed to its client being too slow."""
        return self._is_over

    @property
    def has_more(self) -> bool:
        """Whether something can be given at once."""
        there = self._subscription
        return bool(self._waiting) or (there is not None and not there.batches.is_empty)

    @property
    def _is_behind(self) -> bool:
        return self._after is not None and self._after < self._until

    async def frame(self) -> tuple[Batch, ...]:
        """The next events, at least one: all that wait and fit into a frame.

        Whoever cancels it misses nothing, and may call it again.

        Raises:
            trio.EndOfChannel: the client was too slow, the bus has stopped, or it was closed.
            Refused, ActorDeadError, ActorRestarting, AskTimeout: the log cannot be read.
        """
        while not self._waiting:
            await self._get_on()
        return self._fitting()

    async def logged(self) -> tuple[Batch, ...]:
        """As `frame`, of what was logged before it listened; nothing when that was all."""
        while not self._waiting and (self._is_behind or self._subscription is None):
            await self._get_on()
        return self._fitting() if self._waiting else ()

    async def _get_on(self) -> None:
        if self._is_over:
            raise trio.EndOfChannel
        if self._is_behind:
            await self._read()
        elif self._subscription is None:
            await self._subscribe()
        else:
            self._take(await self._subscription.batches.receive())

    async def _read(self) -> None:
        after = self._after or 0
        message = ReadLog(wanted=self._asked.wanted, after=after, until=self._until, limit=PAGE)
        page = await ask(self._doors.manager, message, deadline_s=DEADLINE_S)
        self._after = page.reached if page.more else self._until
        self._put(page.facts if self._sees_all else seen(self._asked.who, page.facts))
        if not self._waiting:
            self.reached = max(self.reached, self._after)

    def _take(self, batch: Batch) -> None:
        # what a client has read in the log may not have been published when it subscribed
        given = max(self._after or 0, self._until)
        if batch[0].seq <= given:
            batch = tuple(fact for fact in batch if fact.seq > given)
        self._put(batch if self._sees_all else seen(self._asked.who, batch))

    def _put(self, batch: Batch) -> None:
        """Keep it for a frame; in halves where it is too much for one."""
        if len(batch) > 1 and len(self.texts.of_batch(batch)) > FRAME_BYTES:
            middle = len(batch) // 2
            self._put(batch[:middle])
            self._put(batch[middle:])
        elif batch:
            self._waiting.append(batch)

    def _fitting(self) -> tuple[Batch, ...]:
        found, count, size = [self._waiting.popleft()], 0, 0
        there = self._subscription
        while True:
            count += len(found[-1])
            size += len(self.texts.of_batch(found[-1]))
            if not self._waiting and there is not None and not self._is_behind:
                self._take_waiting(there)
            if not self._waiting:
                break
            following = self._waiting[0]
            is_more_text = size + len(self.texts.of_batch(following)) > FRAME_BYTES
            if count + len(following) > PAGE or is_more_text:
                break
            found.append(self._waiting.popleft())
        self.reached = max(self.reached, found[-1][-1].seq)
        return tuple(found)

    def _take_waiting(self, there: Subscription) -> None:
        while not self._waiting:
            try:
                self._take(there.batches.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                return

    def close(self) -> None:
        """End it: nothing more is given, and whoever waits for a frame is told so."""
        self._is_over = True
        self._waiting.clear()
        if self._subscription is not None:
            self._subscription.batches.close()
