"""The cache's road to a workflow's record: memory, Redis where there is one, then the databases.

The record of the databases is the mapping's, with the engine's own status: the mapping follows the
engine a moment later, and an acknowledged pause is to be seen at once. Both are single rows by
primary key, read on the trio thread.

Lists are not cached. Children of workflows are read where they are, from the engine.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import trio

from actors.coordination import reading
from actors.coordination.messages import WorkflowRecord
from actors.coordination.record_memory import RecordMemory
from actors.damage import refusing_damage
from actors.errors import Overloaded
from actors.facts import LoggedFact
from actors.workflows.history import CLOSED, Status
from storage import payload
from storage.coordination import queries
from storage.errors import DatabaseFailure
from storage.pool import ReadPool
from storage.workflows import queries as workflows


class SharedCache(Protocol):
    """The second level. Whatever befalls it costs time only: it gives nothing, and never raises."""

    async def run(self) -> None:
        """Keeps the connection, until it is cancelled."""

    async def get(self, workflow_id: str) -> tuple[int, WorkflowRecord] | None:
        """Gives a copy and its version, if there is one; it may be too old."""

    async def put(self, workflow_id: str, version: int, record: WorkflowRecord) -> None:
        """Keeps a copy, unless there is a newer one."""

    def forget(self, workflow_ids: Iterable[str]) -> None:
        """Removes copies, some time soon."""


class CacheManager:
    """See the module. On the trio thread only.

    Args:
        coordination: a read-only connection for look-ups by key.
        tempolite: the same, to the engine's database.
        pool: read-only connections to the coordination database.
        histories: the same, to the engine's.
        memory: the first level.
        shared: the second level, if there is one.
    """

    def __init__(
        self,
        *,
        coordination: sqlite3.Connection,
        tempolite: sqlite3.Connection,
        pool: ReadPool,
        histories: ReadPool,
        memory: RecordMemory,
        shared: SharedCache | None = None,
    ) -> None:
        self._coordination = coordination
        self._tempolite = tempolite
        self._pool = pool
        self._histories = histories
        self._memory = memory
        self.shared = shared

    def hear(self, found: Sequence[LoggedFact]) -> None:
        """Lets the second level forget what has changed: nobody needs the copies any more."""
        if self.shared is not None:
            self.shared.forget({fact.workflow_id for fact in found if fact.workflow_id})

    def begin(self) -> None:
        """A manager that starts trusts nothing that a former one kept."""
        self._memory.clear()

    async def get_workflow(self, workflow_id: str) -> WorkflowRecord:
        """Gives the record, no older than the last acknowledged change of it.

        Raises:
            NotFound: there is no such workflow.
            Overloaded: it cannot be read now.
            StoreDamaged: it cannot be read at all.
        """
        known = self._memory.get(workflow_id, trio.current_time())
        if known is not None:
            return known
        version = self._memory.begin(workflow_id)
        if self.shared is not None and version is not None:
            copy = await self.shared.get(workflow_id)
            if copy is not None and self._memory.is_current(workflow_id, copy[0]):
                self._memory.put(workflow_id, *copy, trio.current_time())
                return copy[1]
        record, is_made = self._read(workflow_id)
        if record is None:
            return await reading.get_workflow(self._pool, self._histories, workflow_id)
        if version is not None and is_made:
            self._memory.put(workflow_id, version, record, trio.current_time())
            if self.shared is not None and self._memory.is_current(workflow_id, version):
                await self.shared.put(workflow_id, version, record)
        return record

    def _read(self, workflow_id: str) -> tuple[WorkflowRecord | None, bool]:
        """The third level, and whether the engine has it, too; only then it is worth keeping.

        The engine is read last: it is never behind its mapping.
        """
        try:
            with refusing_damage("get_workflow"):
                row = self._coordination.execute(queries.MAPPING, (workflow_id,)).fetchone()
                if row is None:
                    return None, False
                record = reading.workflow_record(row)
                view = self._tempolite.execute(workflows.VIEW, (workflow_id,)).fetchone()
                if view is None:
                    return record, False
                return self._as_it_is(record, view), True
        except DatabaseFailure as error:
            raise Overloaded(f"get_workflow could not be read now: {error}") from error

    def _as_it_is(self, record: WorkflowRecord, view: sqlite3.Row) -> WorkflowRecord:
        status = reading.shown_status(view["status"])
        if status == record.status:
            return record
        failure: dict[str, str] = {}
        if view["status"] in (Status.FAILED, Status.STALLED, Status.DEAD_LETTER):
            told = self._tempolite.execute(workflows.FAILURE, (record.id,)).fetchone()
            failure = payload.decode(told["payload"]) if told else {}
        return replace(
            record,
            status=status,
            completed_at=view["updated_at"] if view["status"] in CLOSED else None,
            error_code=failure.get("code"),
            error_message=failure.get("message"),
        )
