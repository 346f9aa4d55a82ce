"""Segments: a thousand events of one history in one row, so that a long history is read quickly.

A history's rows lie among those of all other workflows. Every thousand events, the workflow's actor
has them put together into a segment, which is never changed afterwards; a load reads the segments
of the present run and, row by row, only what comes after them. The rows stay, and remain the truth:
a segment that was lost on its way, is damaged, or was left out because its events are too large,
costs time and nothing else. Once the run is over, nobody reads them any more, and they go.

A body is neither JSON nor compressed: with either, a load took longer than from the rows.
"""

import sqlite3
from contextlib import suppress

from actors.hints import hint
from actors.workflows.document import KINDS, event_of
from actors.workflows.history import CLOSED, HistoryEvent
from actors.workflows.messages import StoreSegment
from storage.errors import StorageError
from storage.pool import ReadPool
from storage.workflows import queries
from supervision import Named

EVENTS = 1000

LIMIT_BYTES = 4 * 1024 * 1024
"""Payloads of more than this are not kept twice: reading them takes what it takes."""

FORM = "1"

LAST = 2**62


class Segments:
    """The segments of one workflow's present run: when the next one is due, and its making.

    Args:
        workflow_id: whose.
        end: the number of the last event that needs none, because a segment holds it or because it
            belongs to an earlier run.
    """

    __slots__ = ("_end", "_pool", "_workflow_id", "_writer")

    def __init__(self, workflow_id: str, end: int, *, pool: ReadPool, writer: Named) -> None:
        self._workflow_id = workflow_id
        self._end = end
        self._pool = pool
        self._writer = writer

    def is_due(self, last: int) -> bool:
        """Whether a history of this length has a segment to make."""
        return last - self._end >= EVENTS

    def begin_run(self, first: int) -> None:
        """Begin anew, with the first event of the next run."""
        self._end = first - 1

    async def make(self, last: int) -> None:
        """Have packed what is due. It is done some time later, or not at all."""
        while self.is_due(last):
            first, self._end = self._end + 1, self._end + EVENTS
            with suppress(StorageError):
                await self._pack(first, self._end)

    async def _pack(self, first: int, last: int) -> None:
        place = (self._workflow_id, first, last)
        (row,) = await self._pool.fetch("segment", queries.PACKED, (LIMIT_BYTES, *place))
        if row["body"] is not None:
            hint(
                self._writer,
                StoreSegment(
                    workflow_id=self._workflow_id,
                    first_seq=first,
                    last_seq=last,
                    body=row["body"],
                ),
            )


def store_segment(connection: sqlite3.Connection, command: StoreSegment) -> None:
    """Store a segment, unless nobody will read it any more."""
    row = queries.instance(connection, command.workflow_id)
    if row is None or row.status in CLOSED or command.first_seq < row.run_seq:
        return
    place = (command.first_seq, command.last_seq)
    queries.insert_segment(connection, command.workflow_id, place, command.body.encode())


def unpack(body: bytes, first: int, last: int) -> list[HistoryEvent]:
    """The events of a segment, whose form is that of `queries.PACKED`.

    Raises:
        ValueError: they are not there, or not all of them.
    """
    form, *rows = body.decode().split("\x1e")
    if form != FORM:
        raise ValueError(f"the segment {first} to {last} has a form that is not known")
    try:
        events = [
            HistoryEvent(seq=int(seq), kind=KINDS[kind], op=op, name=name, payload=text, at=at)
            for seq, kind, op, name, text, at in (row.split("\x1f") for row in rows)
        ]
    except KeyError as error:
        raise ValueError(f"the segment {first} to {last} is damaged") from error
    if [event.seq for event in events] != list(range(first, last + 1)):
        raise ValueError(f"the segment {first} to {last} lacks events")
    return events


async def load(pool: ReadPool, workflow_id: str, first: int) -> tuple[list[HistoryEvent], int]:
    """The events of a run, and the number of the last one that a segment holds.

    Raises:
        StorageError: they cannot be read.
    """
    events: list[HistoryEvent] = []
    next_seq = first
    for row in await pool.fetch("segments", queries.SEGMENTS, (workflow_id, first)):
        if row["first_seq"] < next_seq:
            continue
        with suppress(ValueError):
            packed = unpack(row["body"], row["first_seq"], row["last_seq"])
            if row["first_seq"] > next_seq:
                events += await _rows(pool, workflow_id, next_seq, row["first_seq"] - 1)
            events += packed
            next_seq = row["last_seq"] + 1
    return events + await _rows(pool, workflow_id, next_seq, LAST), next_seq - 1


async def _rows(pool: ReadPool, workflow_id: str, first: int, last: int) -> list[HistoryEvent]:
    rows = await pool.fetch("history", queries.SPAN, (workflow_id, first, last))
    return [event_of(row) for row in rows]
