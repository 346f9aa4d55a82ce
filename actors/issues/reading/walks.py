"""Walks along the dependencies: the tree below or above an issue, and the circles there are.

Pure; yields now and then, as listing.py does.
"""

from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from actors.issues.reading.graph import Graph, every
from actors.issues.writing.dependencies import EXEMPT

CHUNK: Final = 1000
MAX_CIRCLES: Final = 100
"""Of one knot of issues: there may be more circles in it than there are issues in the world."""

Circle = tuple[str, ...]


@dataclass(slots=True)
class Branch:
    """A place in a tree. `seen` says that it stood in the tree before, with what is below it."""

    id: str
    type: str
    seen: bool = False
    below: list["Branch"] = field(default_factory=list)


def tree(graph: Graph, issue_id: str, *, up: bool, depth: int) -> Generator[None, None, Branch]:
    """Grow the tree of what an issue depends on, or (`up`) of what depends on it.

    `depth` counts the levels below the root. Each issue's own branches are shown where it is
    met first, from the left.
    """
    root = Branch(issue_id, "")
    seen = {issue_id}
    ahead = [(branch, 1) for branch in _grow(graph, root, up=up)][::-1] if depth else []
    count = 0
    while ahead:
        branch, level = ahead.pop()
        branch.seen = branch.id in seen
        if not branch.seen and level < depth:
            seen.add(branch.id)
            ahead += [(below, level + 1) for below in _grow(graph, branch, up=up)][::-1]
        count += 1
        if count % CHUNK == 0:
            yield
    return root


def _grow(graph: Graph, branch: Branch, *, up: bool) -> list[Branch]:
    edges = dependents(graph, branch.id) if up else depends_on(graph, branch.id)
    branch.below = [Branch(other, kind) for kind, other in edges]
    return branch.below


def depends_on(graph: Graph, issue_id: str) -> list[tuple[str, str]]:
    """Return type and id of what an issue depends on, in the order of its row."""
    node = graph.get(issue_id)
    return [(link.type, link.target) for link in node.links] if node is not None else []


def dependents(graph: Graph, issue_id: str) -> list[tuple[str, str]]:
    """Return type and id of what depends on an issue, its children among them, by id."""
    names = sorted({*graph.dependents(issue_id), *graph.children(issue_id)})
    return [
        (link.type, name)
        for name in names
        if (node := graph.get(name)) is not None
        for link in node.links
        if link.target == issue_id
    ]


def circles(graph: Graph) -> Generator[None, None, tuple[Circle, ...]]:
    """Find the circles, each once, its smallest id first.

    Of a knot of many circles, a short one through each of its edges is found.
    """
    edges = yield from _edges(graph)
    found: set[Circle] = set()
    for knot in (yield from _knots(edges)):
        for circle in _circles_of(edges, set(knot)):
            found.add(circle)
            yield
    return tuple(sorted(found))


def _circles_of(edges: Mapping[str, tuple[str, ...]], inside: set[str]) -> Iterator[Circle]:
    """Find a circle through each edge of a knot that no other one went through, up to a limit."""
    covered: set[tuple[str, str]] = set()
    count = 0
    for start in sorted(inside):
        for target in edges.get(start, ()):
            if target in inside and (start, target) not in covered and count < MAX_CIRCLES:
                circle = _rotated(_shortest(edges, inside, target, start))
                covered.update(zip(circle, circle[1:] + circle[:1], strict=True))
                count += 1
                yield circle


def _edges(graph: Graph) -> Generator[None, None, Mapping[str, tuple[str, ...]]]:
    edges = {}
    for part in every(list(graph.nodes()), CHUNK):
        for node in part:
            targets = (link.target for link in node.links if link.type != EXEMPT)
            here = tuple(dict.fromkeys(target for target in targets if target in graph))
            if here:
                edges[node.id] = here
        yield
    return edges


def _knots(edges: Mapping[str, tuple[str, ...]]) -> Generator[None, None, list[list[str]]]:
    """Find the strongly connected components that hold a circle: Tarjan's way, on a stack."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    knots = []
    for count, root in enumerate(edges, 1):
        if count % CHUNK == 0:
            yield
        if root in order:
            continue
        path: list[tuple[str, Iterator[str]]] = []

        def enter(name: str, path: list[tuple[str, Iterator[str]]] = path) -> None:
            order[name] = low[name] = len(order)
            stack.append(name)
            on_stack.add(name)
            path.append((name, iter(edges.get(name, ()))))

        enter(root)
        while path:
            name, targets = path[-1]
            for target in targets:
                if target not in order:
                    enter(target)
                    break
                if target in on_stack:
                    low[name] = min(low[name], order[target])
            else:
                path.pop()
                if path:
                    above = path[-1][0]
                    low[above] = min(low[above], low[name])
                if low[name] == order[name]:
                    knot = _unstacked(stack, on_stack, name)
                    if len(knot) > 1 or name in edges.get(name, ()):
                        knots.append(knot)
    return knots


def _unstacked(stack: list[str], on_stack: set[str], last: str) -> list[str]:
    knot = []
    while True:
        name = stack.pop()
        on_stack.discard(name)
        knot.append(name)
        if name == last:
            return knot


def _shortest(
    edges: Mapping[str, tuple[str, ...]], inside: set[str], start: str, goal: str
) -> Circle:
    """Return the ids from `start` to `goal`, both of one knot, by the fewest edges."""
    came_from = {start: start}
    ahead = deque([start])
    while goal not in came_from:
        name = ahead.popleft()
        for target in edges.get(name, ()):
            if target in inside and target not in came_from:
                came_from[target] = name
                ahead.append(target)
    path = [goal]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))


def _rotated(circle: Circle) -> Circle:
    first = circle.index(min(circle))
    return circle[first:] + circle[:first]
