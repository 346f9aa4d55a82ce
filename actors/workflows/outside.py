"""What a run of a workflow learns of the world outside, and what it tells it."""

from collections.abc import Callable
from datetime import datetime

import trio

from actors.agents.messages import TaskReady
from actors.bus import log_line, tell_bus
from actors.clock import rfc3339
from actors.hints import hint
from actors.workflows.execution import ChildEnd
from actors.workflows.history import CLOSED, Kind
from actors.workflows.messages import RecordHeartbeat
from actors.workflows.parts import EngineParts
from storage.workflows import queries
from storage.workflows.records import TaskRow


class Outside:
    """The surroundings of a run in a workflow's actor.

    Args:
        idle: called when the run may be doing nothing but wait.
    """

    def __init__(self, workflow_id: str, parts: EngineParts, idle: Callable[[], None]) -> None:
        self._workflow_id = workflow_id
        self._parts = parts
        self._news = trio.lowlevel.ParkingLot()
        self.idle = idle

    def tell(self) -> None:
        """Say that there may be something new in the rows."""
        self._news.unpark_all()

    def now(self) -> datetime:
        return self._parts.clock()

    def offer_task(self) -> None:
        hint(self._parts.coordinator, TaskReady(workflow_id=self._workflow_id))

    def task_outcome(self, op: str) -> TaskRow | None:
        row = queries.task(self._parts.reader, self._workflow_id, op)
        return row if row is not None and row.state in ("done", "failed") else None

    def child_end(self, workflow_id: str) -> ChildEnd | None:
        row = queries.instance(self._parts.reader, workflow_id)
        if row is None or row.status not in CLOSED:
            return None
        _, kind, text = queries.last_event(self._parts.reader, workflow_id)
        return ChildEnd(kind=Kind(kind), payload=text)

    async def news(self) -> None:
        await self._news.park()

    def heartbeat(self, command: RecordHeartbeat) -> None:
        hint(self._parts.writer, command)

    def last_heartbeat(self, op: str) -> str | None:
        return queries.heartbeat(self._parts.reader, self._workflow_id, op)

    def log(self, message: str, level: str) -> None:
        line = log_line(
            workflow_id=self._workflow_id,
            source="workflow",
            level=level,
            message=message,
            at=rfc3339(self._parts.clock()),
        )
        tell_bus(self._parts.bus, line)
