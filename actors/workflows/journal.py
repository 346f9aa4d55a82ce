"""The journal of one live workflow: records its events, and says when they are durable.

A result has to be durable before the workflow's next effect, not before its next line. So `append`
returns at once, what has gathered since goes to the writer in one command, and whoever is about to
cause an effect waits at the `barrier`. A three-step workflow waits for four commits, not for five,
and shares each with every other workflow.
"""

from collections.abc import Awaitable, Callable, Sequence

import trio

from actors.clock import Clock, rfc3339
from actors.workflows.history import NOTHING, HistoryEvent, Kind
from actors.workflows.messages import AppendHistory, NewTask

Write = Callable[[AppendHistory], Awaitable[None]]


class Journal:
    """Appends to one history, from one workflow actor.

    Args:
        workflow_id: whose history.
        last_seq: the number of the last event that is stored.
        write: stores one command; returns when it is durable, raises when it cannot be made so.
        clock: stamps the events.
    """

    def __init__(self, *, workflow_id: str, last_seq: int, write: Write, clock: Clock) -> None:
        self._workflow_id = workflow_id
        self._write = write
        self._clock = clock
        self._appended = last_seq
        self._durable = last_seq
        self._events: list[HistoryEvent] = []
        self._tasks: list[NewTask] = []
        self._consumed: list[str] = []
        self._waiting = trio.lowlevel.ParkingLot()
        self._work = trio.Event()

    @property
    def last_seq(self) -> int:
        return self._appended

    def append(
        self,
        kind: Kind,
        *,
        op: str = "",
        name: str = "",
        payload: str = NOTHING,
        task: NewTask | None = None,
        consumes_task: bool = False,
    ) -> None:
        """Record one event; it is durable once a later `barrier` has returned."""
        self._appended += 1
        self._events.append(
            HistoryEvent(
                seq=self._appended,
                kind=kind,
                op=op,
                name=name,
                payload=payload,
                at=rfc3339(self._clock()),
            )
        )
        if task is not None:
            self._tasks.append(task)
        if consumes_task:
            self._consumed.append(op)
        self._work.set()

    async def barrier(self) -> None:
        """Wait until everything appended so far is durable. Cancelling it loses nothing."""
        wanted = self._appended
        while self._durable < wanted:
            await self._waiting.park()

    async def run(self) -> None:
        """Store what is appended, for as long as the workflow's actor lives.

        Raises:
            Conflict: another incarnation has gone on with this history.
            DatabaseError: the events could not be written for a reason that is ours.
        """
        while True:
            await self._work.wait()
            self._work = trio.Event()
            await self._flush()

    async def _flush(self) -> None:
        events, self._events = self._events, []
        tasks, self._tasks = self._tasks, []
        consumed, self._consumed = self._consumed, []
        await self._write(_command(self._workflow_id, events, tasks, consumed))
        self._durable = events[-1].seq
        self._waiting.unpark_all()


def _command(
    workflow_id: str,
    events: Sequence[HistoryEvent],
    tasks: Sequence[NewTask],
    consumed: Sequence[str],
) -> AppendHistory:
    return AppendHistory(
        workflow_id=workflow_id,
        events=tuple(events),
        tasks=tuple(tasks),
        consumed=tuple(consumed),
    )
