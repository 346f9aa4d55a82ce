"""The first level of the cache: workflows' records in memory, and how new a copy must be.

Never does it give a record that is older than what a writer has acknowledged, or the bus published.
That does not rest on messages, which may be lost or late: the writers themselves tell of each row
they change, in their own thread, before the transaction is committed (`changes`), and when it has
ended, before anybody is answered (`settled`). In between a workflow is read from the databases.
A copy carries the number of the last change there was when its reading began; a later change of
that workflow makes it worthless, wherever it lies by then, also outside of this process.

Safe to use from any thread. It lives as long as the process, and is emptied by a manager that
starts and by a writer that opens its database.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

from actors.coordination.messages import WorkflowRecord
from actors.writer import Witness
from storage import payload
from storage.changes import changed, note_changes

RECORD_BYTES: Final = 1024
"""What a record takes in memory beside its texts, roughly."""

KNOWN_CHANGES: Final = 20_000
"""Changes that are known one by one; of those before, only that there were some."""

Count = Callable[[str, str], None]
"""Told (level, what happened): "hit", "miss", or why something was given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of the first level.

    Args:
        records: so many at most; 0 keeps none.
        size_bytes: of all of them, roughly.
        age_s: seconds after which a record is read anew all the same.
    """

    records: int = 1000
    size_bytes: int = 16 * 1024 * 1024
    age_s: float = 600.0


@dataclass(frozen=True, slots=True)
class _Kept:
    record: WorkflowRecord
    variables: str
    version: int
    at: float
    size: int


class RecordMemory:
    """See the module.

    Args:
        count: told of hits, misses and evictions of level "memory".
    """

    def __init__(self, limits: Limits, count: Count, known_changes: int = KNOWN_CHANGES) -> None:
        self._limits = limits
        self._count = count
        self._known_changes = known_changes
        self._lock = Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0
        self._changes = 0
        self._changed: OrderedDict[str, int] = OrderedDict()
        self._all_changed = 0
        self._changing: dict[str, set[str]] = {}

    # for who reads

    def get(self, workflow_id: str, now: float) -> WorkflowRecord | None:
        """Gives the record, if it is here and as new as any."""
        with self._lock:
            kept = self._kept.get(workflow_id)
            if kept is not None and now - kept.at >= self._limits.age_s:
                self._drop(workflow_id)
                self._count("memory", "aged")
                kept = None
            if kept is not None:
                self._kept.move_to_end(workflow_id)
        if not self._limits.records:
            return None
        self._count("memory", "miss" if kept is None else "hit")
        # Whoever gets it may change the variables: each has their own.
        if kept is None:
            return None
        return replace(kept.record, variables=payload.decode(kept.variables))

    def begin(self, workflow_id: str) -> int | None:
        """Gives the version of a copy whose reading begins now; None where it is not to be kept."""
        with self._lock:
            return None if self._is_changing(workflow_id) else self._changes

    def is_current(self, workflow_id: str, version: int) -> bool:
        """Whether a copy of this version is still as new as any."""
        with self._lock:
            return self._is_current(workflow_id, version)

    def put(self, workflow_id: str, version: int, record: WorkflowRecord, now: float) -> None:
        """Keeps a copy, unless there was a change since its reading began."""
        if not self._limits.records:
            return
        variables = payload.encode(record.variables)
        texts = (variables, record.title, record.error_message or "")
        size = RECORD_BYTES + sum(map(len, texts))
        if size > self._limits.size_bytes:
            return
        kept = _Kept(replace(record, variables={}), variables, version, now, size)
        evicted = 0
        with self._lock:
            if not self._is_current(workflow_id, version):
                return
            self._drop(workflow_id)
            self._kept[workflow_id] = kept
            self._size += size
            while len(self._kept) > self._limits.records or self._size > self._limits.size_bytes:
                self._drop(next(iter(self._kept)))
                evicted += 1
        for _ in range(evicted):
            self._count("memory", "evicted")

    def clear(self) -> None:
        """Forgets everything, and makes every copy worthless that lies elsewhere."""
        with self._lock:
            self._changes += 1
            self._all_changed = self._changes
            self._changed.clear()
            self._kept.clear()
            self._size = 0

    # for who writes

    def changes(self, database: str, workflow_ids: Iterable[str]) -> None:
        """Rows of these workflows change in a transaction that is about to be committed."""
        dropped = 0
        with self._lock:
            for workflow_id in workflow_ids:
                self._changes += 1
                self._changed[workflow_id] = self._changes
                self._changed.move_to_end(workflow_id)
                if len(self._changed) > self._known_changes:
                    _, self._all_changed = self._changed.popitem(last=False)
                self._changing.setdefault(database, set()).add(workflow_id)
                dropped += self._drop(workflow_id)
        for _ in range(dropped):
            self._count("memory", "changed")

    def settled(self, database: str) -> None:
        """The transaction has ended, in whichever way."""
        if self._changing.get(database):
            with self._lock:
                self._changing[database].clear()

    def _is_changing(self, workflow_id: str) -> bool:
        return any(workflow_id in changing for changing in self._changing.values())

    def _is_current(self, workflow_id: str, version: int) -> bool:
        last = self._changed.get(workflow_id, self._all_changed)
        return version >= last and not self._is_changing(workflow_id)

    def _drop(self, workflow_id: str) -> bool:
        kept = self._kept.pop(workflow_id, None)
        if kept is not None:
            self._size -= kept.size
        return kept is not None


class MemoryWitness(Witness):
    """Tells a memory what the writer of one database does."""

    def __init__(self, memory: RecordMemory, database: str, triggers: str) -> None:
        self._memory = memory
        self._database = database
        self._triggers = triggers

    def opened(self, connection: sqlite3.Connection) -> None:
        """What the former connection did last may not have been told."""
        note_changes(connection, self._triggers)
        self._memory.clear()
        self._memory.settled(self._database)

    def committing(self, connection: sqlite3.Connection) -> None:
        self._memory.changes(self._database, changed(connection))

    def settled(self) -> None:
        self._memory.settled(self._database)
