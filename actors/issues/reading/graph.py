"""The resident index of all issues: a slim record of each, its edges both ways, its children.

It holds what decides and sorts, not what is shown: texts stay in the database. Edges may lead to
issues that are not here, and may close circles, since other programs write the file too; nothing
here minds either. What follows from the edges (who is ready, who waits) is `ready.py`'s to say.

Pure. The tracker keeps it level with the journal.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from sys import intern
from typing import Any, Final, NamedTuple

from storage.issues import instants

PARENT_CHILD: Final = "parent-child"
WAITS_FOR: Final = "waits-for"
DELETED: Final = "tombstone"
PROVIDES: Final = "provides:"
FAILURES: Final = (
    "failed", "rejected", "wontfix", "won't fix", "canceled", "cancelled", "abandoned", "blocked",
    "error", "timeout", "aborted",
)  # fmt: skip
"""A close reason with one of these in it says that the work failed: the words are bd's."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOBODY: Final[Mapping[str, None]] = {}


class Link(NamedTuple):
    """One dependency, seen from the issue that has it.

    `spawner` is whose children a waits-for edge waits for, and `any_child` whether one of them is
    enough; an edge of another type has neither.
    """

    type: str
    target: str
    spawner: str = ""
    any_child: bool = False


@dataclass(slots=True, kw_only=True)
class Node:
    """What is kept of an issue. Times are microseconds since 1970. Never changed once made."""

    id: str
    title: str
    status: str
    priority: int
    issue_type: str
    assignee: str
    created_by: str
    labels: tuple[str, ...]
    links: tuple[Link, ...]
    created_us: int
    updated_us: int
    closed_us: int | None
    defer_us: int | None
    close_reason: str
    pinned: bool
    ephemeral: bool
    template: bool

    @property
    def parents(self) -> list[str]:
        return [link.target for link in self.links if link.type == PARENT_CHILD]

    @property
    def deleted(self) -> bool:
        return self.status == DELETED

    @property
    def failed(self) -> bool:
        """Whether it was closed for a reason that says so."""
        reason = self.close_reason.lower()
        return self.status == "closed" and any(word in reason for word in FAILURES)

    @property
    def provides(self) -> frozenset[str]:
        """What capabilities its labels say it provides, once it is closed."""
        if self.status != "closed":
            return frozenset()
        labels = (label for label in self.labels if label.startswith(PROVIDES))
        return frozenset(label.removeprefix(PROVIDES) for label in labels)


def node_of(row: Mapping[str, Any]) -> Node:
    """Return the record of a row; what the row lacks reads as its default."""
    closed_at, defer_until = row.get("closed_at"), row.get("defer_until")
    status = row.get("status") or "open"
    return Node(
        id=row["id"],
        title=row.get("title") or "",
        status=intern(DELETED if status == "deleted" else status),
        priority=row.get("priority") or 0,
        issue_type=intern(row.get("issue_type") or "task"),
        assignee=intern(row.get("assignee") or ""),
        created_by=intern(row.get("created_by") or ""),
        labels=tuple(map(intern, row.get("labels") or ())),
        links=tuple(map(_link, row.get("dependencies") or ())),
        created_us=to_us(row.get("created_at") or instants.ZERO),
        updated_us=to_us(row.get("updated_at") or instants.ZERO),
        closed_us=to_us(closed_at) if closed_at else None,
        defer_us=to_us(defer_until) if defer_until else None,
        close_reason=row.get("close_reason") or "",
        pinned=bool(row.get("pinned")),
        # Files from before bd v0.37 call it so.
        ephemeral=bool(row.get("ephemeral") or row.get("wisp")),
        template=bool(row.get("is_template")),
    )


def _link(dependency: Mapping[str, Any]) -> Link:
    kind = intern(dependency.get("type") or "blocks")
    target = dependency.get("depends_on_id") or ""
    if kind != WAITS_FOR:
        return Link(kind, target)
    gate = _gate(dependency.get("metadata") or "{}")
    spawner = gate.get("spawner_id")
    named = spawner if isinstance(spawner, str) and spawner else target
    return Link(kind, target, named, gate.get("gate") == "any-children")


def _gate(metadata: str) -> Mapping[str, Any]:
    try:
        gate = json.loads(metadata)
    except (ValueError, RecursionError):
        return {}
    return gate if isinstance(gate, dict) else {}


def to_us(text: str) -> int:
    """Return an RFC 3339 time as microseconds since 1970.

    Raises:
        ValueError: it is none.
    """
    # Many times faster than `instants.to_ns`, and a hundred thousand issues have 200,000 times.
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError):
        return instants.to_ns(text) // 1000
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class Graph:
    """All issues and how they hang together."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        # Dictionaries in place of sets, here and below: their order is the same in every run.
        self._children: dict[str, dict[str, None]] = {}
        self._dependents: dict[str, dict[str, None]] = {}
        self._by_status: dict[str, dict[str, Node]] = {}
        self._providers: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, issue_id: str) -> bool:
        return issue_id in self._nodes

    def get(self, issue_id: str) -> Node | None:
        return self._nodes.get(issue_id)

    def nodes(self) -> Collection[Node]:
        return self._nodes.values()

    def statuses(self) -> Mapping[str, Mapping[str, Node]]:
        """Return the issues of each status that any has, by id."""
        return self._by_status

    def children(self, issue_id: str) -> Collection[str]:
        """Return who names it as a parent."""
        return self._children.get(issue_id, _NOBODY)

    def dependents(self, issue_id: str) -> Collection[str]:
        """Return who depends on it, or waits for its children, but is not a child itself."""
        return self._dependents.get(issue_id, _NOBODY)

    def providers(self, capability: str) -> Collection[str]:
        """Return the closed issues that provide a capability."""
        return self._providers.get(capability, _NOBODY)

    def descendants(self, issue_id: str) -> set[str]:
        """Return the children, theirs and so on; itself only where the parents are a circle."""
        found: set[str] = set()
        ahead = list(self.children(issue_id))
        while ahead:
            child = ahead.pop()
            if child not in found:
                found.add(child)
                ahead.extend(self.children(child))
        return found

    def put(self, node: Node) -> Node | None:
        """Insert or replace an issue; return what was there."""
        before = self.remove(node.id)
        self._nodes[node.id] = node
        self._by_status.setdefault(node.status, {})[node.id] = node
        for index, key in self._places(node):
            index.setdefault(key, {})[node.id] = None
        return before

    def remove(self, issue_id: str) -> Node | None:
        """Forget an issue; return what was there. Who depends on it still does."""
        node = self._nodes.pop(issue_id, None)
        if node is not None:
            del self._by_status[node.status][issue_id]
            if not self._by_status[node.status]:
                del self._by_status[node.status]
            for index, key in self._places(node):
                _drop(index, key, issue_id)
        return node

    def _places(self, node: Node) -> Iterator[tuple[dict[str, dict[str, None]], str]]:
        """Name the entries of the indexes that an issue stands in."""
        for link in node.links:
            if link.type == PARENT_CHILD:
                yield self._children, link.target
            else:
                yield self._dependents, link.target
                if link.spawner and link.spawner != link.target:
                    yield self._dependents, link.spawner
        for capability in node.provides if node.labels else ():
            yield self._providers, capability


def _drop(index: dict[str, dict[str, None]], key: str, member: str) -> None:
    members = index.get(key)
    if members is not None:
        members.pop(member, None)
        if not members:
            del index[key]


def external_target(target: str) -> tuple[str, str] | None:
    """Return project and capability of `external:<project>:<capability>`; "" where one lacks.

    None for the id of an issue.
    """
    if not target.startswith("external:"):
        return None
    project, _, capability = target.removeprefix("external:").partition(":")
    return project, capability


def every(items: Iterable[Any], many: int) -> Iterator[list[Any]]:
    """Cut a sequence into lists of at most `many`."""
    part: list[Any] = []
    for item in items:
        part.append(item)
        if len(part) == many:
            yield part
            part = []
    if part:
        yield part
