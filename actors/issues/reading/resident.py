"""All issues in memory, level with the database: what the tracker answers from.

The journal says what changed; only these rows are read again. Long work gives way to other tasks:
no more than some milliseconds of the event loop at a time. Rows themselves are read when somebody
wants to see them, and the last ones seen are kept.
"""

import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

import trio

from actors.clock import Clock, rfc3339
from actors.issues import issue
from actors.issues.ids import prefixes
from actors.issues.messages import Issue
from actors.issues.reading.graph import Graph, Node, node_of
from actors.issues.reading.names import Names
from actors.issues.reading.ready import Readiness
from storage.issues import jsonl, leases, queries, reading

CHUNK: Final = 300
"""Lines read between two turns of the other tasks: about five milliseconds."""
SEEN: Final = 2048
"""Rows kept, some kilobytes each."""
RUN_OUT: Final = 100
"""Leases that have run out looked at, when nothing else is to be claimed."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Resident:
    """The graph, what is ready, and the names.

    Args:
        conn: a reader of beads.db, used on this thread only.
    """

    def __init__(self, conn: sqlite3.Connection, clock: Clock) -> None:
        self._conn = conn
        self._clock = clock
        self._seq = self._last_row = 0
        self._journaled = False
        self._seen: OrderedDict[str, Issue] = OrderedDict()
        self._busy = False
        self.readiness = Readiness(Graph())
        self.names = Names()

    @property
    def graph(self) -> Graph:
        return self.readiness.graph

    async def load(self, choose_prefix: Callable[[Counter[str]], str]) -> None:
        """Read everything anew.

        `choose_prefix` is told how many top-level ids have which prefix, and says which is the one
        of this project.
        """
        readiness, counts = Readiness(Graph()), Counter[str]()
        self._conn.execute("BEGIN")  # one state of the database, however long it takes
        try:
            seq, last_row = queries.last_seq(self._conn), queries.last_row(self._conn)
            self._journaled = queries.is_journaled(self._conn)
            for lines in reading.stored_lines(self._conn, CHUNK):
                nodes = [node_of(jsonl.parse_stored(line)) for line in lines]
                for node in nodes:
                    readiness.put(node)
                counts.update(prefixes(node.id for node in nodes))
                await trio.lowlevel.checkpoint()
        finally:
            self._conn.execute("COMMIT")
        readiness.prefix = choose_prefix(counts)
        names = Names()
        ids = [node.id for node in readiness.graph.nodes()]
        for _ in chain(readiness.settle(self._now_us()), names.fill(ids)):
            await trio.lowlevel.checkpoint()
        self.readiness, self.names = readiness, names
        self._seq, self._last_row = seq, last_row
        self._seen.clear()

    async def catch_up(self) -> None:
        """Take in every change that is committed by now, and what the time has changed."""
        if self._is_stale():
            prefix = self.readiness.prefix
            await self.load(lambda _: prefix)
        last = queries.last_seq(self._conn)
        self._busy = True
        try:
            for _ in self._follow(last):
                await trio.lowlevel.checkpoint()
        finally:
            self._busy = False

    def _is_stale(self) -> bool:
        """Whether the journal does not tell all that was changed since the last load.

        The rows of the first file are in no journal, and a database that was put back is behind us.
        """
        if self._journaled:
            return queries.last_seq(self._conn) < self._seq
        # In this order: what comes in after the first look is in the journal, if that said so.
        self._journaled = queries.is_journaled(self._conn)
        return queries.last_row(self._conn) != self._last_row

    def catch_up_now(self) -> None:
        """The same, without giving way; nothing when that is under way already."""
        if not self._busy:
            for _ in self._follow(queries.last_seq(self._conn)):
                pass

    def _follow(self, last: int) -> Iterator[None]:
        while self._seq < last:
            changes = reading.changed(self._conn, self._seq, CHUNK)
            for issue_id in dict.fromkeys(issue_id for _, issue_id in changes):
                self._read_again(issue_id)
            self._seq = changes[-1][0] if changes else last
            if self._seq < last:
                yield
        yield from self.readiness.settle(self._now_us())

    def _now_us(self) -> int:
        since = self._clock() - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    def _read_again(self, issue_id: str) -> None:
        self._seen.pop(issue_id, None)
        line = queries.get_line(self._conn, issue_id)
        if line is None:
            if self.readiness.remove(issue_id) is not None:
                self.names.remove(issue_id)
        elif self.readiness.put(node_of(jsonl.parse_stored(line))) is None:
            self.names.add(issue_id)

    def resolve(self, partial: str) -> str:
        """Return the id that is meant by an id or the beginning of one.

        Raises:
            NotFound: no issue's id begins so.
            AmbiguousId: several do.
        """
        return self.names.resolve(partial, self._is_deleted)

    def _is_deleted(self, issue_id: str) -> bool:
        node = self.graph.get(issue_id)
        return node is None or node.deleted

    def node(self, partial: str) -> Node:
        """Return the record of the issue that is meant. Raises as `resolve`."""
        node = self.graph.get(self.resolve(partial))
        assert node is not None  # noqa: S101 - every name has its record
        return node

    def view(self, issue_id: str) -> Issue | None:
        """Return an issue as readers want it; None where it is gone."""
        seen = self._seen.get(issue_id)
        if seen is not None:
            return seen
        line = queries.get_line(self._conn, issue_id)
        if line is None:
            return None
        found = issue.view(jsonl.parse(line))
        if len(self._seen) >= SEEN:
            self._seen.popitem(last=False)
        self._seen[issue_id] = found
        return found

    def lease(self, issue_id: str) -> Mapping[str, Any] | None:
        """Return who holds an issue, with which token, until when; None where nobody does."""
        lease = leases.get(self._conn, issue_id)
        if lease is None:
            return None
        return {"holder": lease.holder, "token": lease.token, "expires_at": lease.expires_at}

    def run_out(self) -> list[str]:
        """Return some issues whose lease has run out, the longest ago first."""
        found = leases.expired(self._conn, rfc3339(self._clock()), RUN_OUT)
        return [lease.issue_id for lease in found]
