"""How many issues there are of what, and how long they take.

Pure; yields now and then, as listing.py does.
"""

from collections import Counter
from collections.abc import Generator
from typing import Final

from actors.issues.questions import IssueStats
from actors.issues.reading.graph import DELETED, Node, every
from actors.issues.reading.ready import DONE, Readiness

CHUNK: Final = 1000
_HOUR_US: Final = 3_600_000_000


def count(readiness: Readiness) -> Generator[None, None, IssueStats]:
    """Count all issues; those that were deleted only under their status."""
    graph = readiness.graph
    by_status = {name: len(nodes) for name, nodes in sorted(graph.statuses().items())}
    ready, blocked = len(readiness.ready), len(readiness.waiting)
    by_type, by_priority = Counter[str](), Counter[int]()
    total = epics = closed = lead_us = 0
    for part in every(list(graph.nodes()), CHUNK):
        live = [node for node in part if not node.deleted]
        total += len(live)
        by_type.update(node.issue_type for node in live)
        by_priority.update(node.priority for node in live)
        leads = [lead for lead in map(_lead_us, live) if lead is not None]
        closed += len(leads)
        lead_us += sum(leads)
        epics += sum(1 for node in live if _may_close(readiness, node))
        yield
    return IssueStats(
        total=total,
        by_status=by_status,
        by_type=dict(sorted(by_type.items())),
        by_priority=dict(sorted(by_priority.items())),
        ready=ready,
        blocked=blocked,
        epics_to_close=epics,
        lead_time_h=lead_us / closed / _HOUR_US if closed else None,
    )


def _lead_us(node: Node) -> int | None:
    if node.status != "closed" or node.closed_us is None:
        return None
    return max(0, node.closed_us - node.created_us)


def _may_close(readiness: Readiness, node: Node) -> bool:
    """Whether it is an epic with children, all of which are done."""
    if node.issue_type != "epic" or node.status in DONE:
        return False
    children = [child for child in readiness.children(node.id) if child.status != DELETED]
    return bool(children) and all(child.status == "closed" for child in children)
