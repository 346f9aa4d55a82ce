"""Issues in a graph without a database: rows in a short notation, and what is ready among them."""

from collections.abc import Generator, Iterable
from typing import Any, TypeVar

from actors.issues.questions import Cause, IssueFilter
from actors.issues.reading import listing, why
from actors.issues.reading.graph import Graph, node_of, to_us
from actors.issues.reading.ready import Readiness
from storage.issues.jsonl import Row

NOW = "2026-03-01T00:00:00Z"
EARLIER = "2026-02-01T00:00:00Z"
LATER = "2026-04-01T00:00:00Z"

T = TypeVar("T")


def row(issue_id: str, status: str = "open", needs: Iterable[str] = (), **more: Any) -> Row:
    """Make a row; `needs` are dependencies as `type:id`, `waits-for` with `|metadata` behind it."""
    usual = {
        "id": issue_id,
        "title": f"Title of {issue_id}",
        "status": status,
        "priority": 2,
        "issue_type": "task",
        "created_at": EARLIER,
        "updated_at": EARLIER,
    }
    if status == "closed":
        usual |= {"closed_at": EARLIER, "close_reason": "Closed"}
    edges = [edge(issue_id, text) for text in needs]
    return {**usual, **more, **({"dependencies": edges} if edges else {})}


def edge(issue_id: str, text: str) -> Row:
    kind, _, rest = text.partition(":")
    target, _, metadata = rest.partition("|")
    record = {"issue_id": issue_id, "depends_on_id": target, "type": kind, "created_at": EARLIER}
    return record | ({"metadata": metadata} if metadata else {})


def drive(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            answer: T = done.value
            return answer


class Board:
    """A graph of rows, settled after each change. Their prefix is `x`."""

    def __init__(self, *rows: Row, now: str = NOW) -> None:
        self.readiness = Readiness(Graph(), "x")
        self.now = now
        self.put(*rows)

    @property
    def graph(self) -> Graph:
        return self.readiness.graph

    def put(self, *rows: Row) -> None:
        for record in rows:
            self.readiness.put(node_of(record))
        self.settle()

    def remove(self, issue_id: str) -> None:
        self.readiness.remove(issue_id)
        self.settle()

    def settle(self, now: str | None = None) -> None:
        self.now = now or self.now
        for _ in self.readiness.settle(to_us(self.now)):
            pass

    def ready(
        self, policy: str = "priority", *, classic: bool = False, limit: int = 100, **wanted: Any
    ) -> list[str]:
        asked = IssueFilter(**wanted)
        steps = listing.offered(
            self.readiness, asked, None, policy=policy, classic=classic, limit=limit
        )
        return [node.id for node in drive(steps)]

    def classic(self) -> list[str]:
        return self.ready(classic=True)

    def waiting(self) -> list[str]:
        return sorted(self.readiness.waiting.ids())

    def why(self, issue_id: str) -> list[tuple[str, tuple[str, ...]]]:
        return [(cause.kind, cause.path) for cause in self.causes(issue_id)]

    def causes(self, issue_id: str) -> tuple[Cause, ...]:
        node = self.graph.get(issue_id)
        assert node is not None
        ready, causes = why.explain(self.readiness, node)
        offered = issue_id in {*self.readiness.ready.ids(), *self.readiness.ready_unasked.ids()}
        asked_for = [cause for cause in causes if cause.kind == "type"]
        assert ready == (offered and not asked_for)
        return causes
