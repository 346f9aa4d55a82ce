"""Why an issue is ready, or what it waits for and through which path.

Sentences for people, made only for issues that somebody looks at. The rules are `ready.py`'s.

Pure.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from actors.issues.questions import Cause
from actors.issues.reading.graph import WAITS_FOR, Link, Node, external_target
from actors.issues.reading.ready import (
    BLOCKED,
    DEFERRED,
    DONE,
    UNASKED,
    Readiness,
    has_hidden_id,
    is_unfinished,
)
from storage.issues import instants

NAMED: Final = 3
"""Children that a sentence names; the others are counted."""
HOLDING: Final = frozenset({"blocks", "conditional-blocks", WAITS_FOR})


def explain(readiness: Readiness, node: Node) -> tuple[bool, tuple[Cause, ...]]:
    """Return whether the issue is ready, and why: what has been settled, or what has not."""
    causes = tuple(_causes(readiness, node))
    if causes:
        return False, causes
    return True, tuple(_settled(readiness, node))


def waits(readiness: Readiness, node: Node) -> tuple[Cause, ...]:
    """Return only what holds or defers an issue, its own status left aside."""
    return tuple(_held_by(readiness, node))


def settled(readiness: Readiness, node: Node) -> tuple[Cause, ...]:
    """Return which dependencies of an issue no longer hold it."""
    return tuple(_settled(readiness, node))


def _causes(readiness: Readiness, node: Node) -> Iterator[Cause]:
    if node.status not in ("open", "deferred"):
        yield Cause(kind="status", path=(node.id,), text=f"it is {_said(node.status)}")
    if node.status not in DONE:
        yield from _held_by(readiness, node)
    yield from _not_work(node)
    if node.status not in DONE:
        yield from _open_children(readiness, node)


def _held_by(readiness: Readiness, node: Node) -> Iterator[Cause]:
    yield from _own(readiness, node)
    if readiness.inherited_holds(node.id) & (BLOCKED | DEFERRED):
        yield from _handed_down(readiness, node)


def _own(readiness: Readiness, node: Node) -> Iterator[Cause]:
    holds = readiness.own_holds(node.id)
    if holds & BLOCKED:
        for link in node.links:
            cause = _held(readiness, node, link)
            if cause is not None:
                yield cause
    if holds & DEFERRED:
        yield Cause(kind="deferred", path=(node.id,), text=f"it is {_deferral(node)}")


def _held(readiness: Readiness, node: Node, link: Link) -> Cause | None:
    if not readiness.holds(link):
        return None
    path: tuple[str, ...] = (node.id, link.target)
    if link.target.startswith("external:"):
        text = _external(readiness, link.target)
        return Cause(kind="external", path=path, text=text)
    if link.type == WAITS_FOR:
        return _awaited(readiness, node, link)
    target = readiness.graph.get(link.target)
    assert target is not None  # noqa: S101 - it would hold nothing
    text = f"{target.id} is {_said(target.status)}: {target.title}"
    if link.type == "conditional-blocks":
        text = f"{text}; this is to be done only if it fails"
    return Cause(kind=link.type, path=path, text=text)


def _external(readiness: Readiness, target: str) -> str:
    project, capability = external_target(target) or ("", "")
    if not project or not capability:
        return f"{target} does not say `external:<project>:<capability>`, so nothing settles it"
    if project != readiness.prefix:
        return f"whether {project} provides {capability} cannot be seen from here"
    return f"no closed issue has the label provides:{capability}"


def _awaited(readiness: Readiness, node: Node, link: Link) -> Cause:
    path: tuple[str, ...] = (node.id, link.target)
    if link.spawner != link.target:
        path += (link.spawner,)
    if link.any_child:
        text = f"no child of {link.spawner} is closed yet"
        return Cause(kind=WAITS_FOR, path=path, text=text)
    children = [child for child in readiness.children(link.spawner) if child.status not in DONE]
    text = f"children of {link.spawner} are to be closed: {_names(children)}"
    return Cause(kind=WAITS_FOR, path=(*path, children[0].id), text=text)


def _names(nodes: list[Node]) -> str:
    named = ", ".join(node.id for node in islice(nodes, NAMED))
    return f"{named} and {len(nodes) - NAMED} more" if len(nodes) > NAMED else named


def _handed_down(readiness: Readiness, node: Node) -> Iterator[Cause]:
    """Yield what holds the ancestors, the nearest first; each is reached by its shortest path."""
    seen = {node.id}
    level: list[tuple[Node, tuple[str, ...]]] = [(node, (node.id,))]
    while level:
        above: list[tuple[Node, tuple[str, ...]]] = []
        for child, path in level:
            for parent in map(readiness.graph.get, child.parents):
                if parent is not None and parent.id not in seen:
                    seen.add(parent.id)
                    above.append((parent, (*path, parent.id)))
        for parent, path in above:
            for cause in _own(readiness, parent):
                text = f"{parent.id}, above it, waits: {cause.text}"
                if cause.kind == "deferred":
                    text = f"{parent.id}, above it, is {_deferral(parent)}"
                yield Cause(kind="parent", path=(*path, *cause.path[1:]), text=text)
        level = above


def _not_work(node: Node) -> Iterator[Cause]:
    path = (node.id,)
    if node.pinned:
        yield Cause(kind="pinned", path=path, text="it is pinned: a note, not work")
    if node.template:
        yield Cause(kind="template", path=path, text="it is a template to make issues from")
    if node.ephemeral or "-wisp-" in node.id:
        yield Cause(kind="ephemeral", path=path, text="it is a wisp: nobody's queue has it")
    if node.issue_type in UNASKED:
        text = f"its type {node.issue_type} is offered only to who asks for it"
        yield Cause(kind="type", path=path, text=text)
    elif has_hidden_id(node) and not node.ephemeral and "-wisp-" not in node.id:
        text = "its id says it is part of a molecule, which is worked through from its root"
        yield Cause(kind="type", path=path, text=text)


def _open_children(readiness: Readiness, node: Node) -> Iterator[Cause]:
    children = [child for child in readiness.children(node.id) if is_unfinished(child)]
    if children:
        text = f"its children are the work: {_names(children)}"
        yield Cause(kind="open-children", path=(node.id, children[0].id), text=text)


def _settled(readiness: Readiness, node: Node) -> Iterator[Cause]:
    for link in node.links:
        if link.type in HOLDING and not readiness.holds(link):
            yield Cause(kind=link.type, path=(node.id, link.target), text=_was(readiness, link))


def _was(readiness: Readiness, link: Link) -> str:
    if link.target.startswith("external:"):
        return f"{link.target} is provided"
    if link.type == WAITS_FOR:
        return f"no child of {link.spawner} is to be waited for any more"
    target = readiness.graph.get(link.target)
    if target is None:
        return f"{link.target} is not here, so it holds nothing"
    if link.type == "conditional-blocks" and target.failed:
        return f"{target.id} failed: {target.close_reason}"
    return f"{target.id} is {_said(target.status)}"


def _said(status: str) -> str:
    return {"in_progress": "in progress", "tombstone": "deleted"}.get(status, status)


def _deferral(node: Node) -> str:
    if node.defer_us is None:
        return "deferred until it is reopened"
    return f"deferred until {instants.from_us(node.defer_us)}"
