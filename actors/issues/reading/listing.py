"""Which issues go onto a page, in which order; and which of the ready ones are offered.

Long looks are generators that yield now and then, so that whoever runs them can let others run, and
return what they found. They work on what was there when they began.

Pure.
"""

import base64
import heapq
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from actors.errors import ValidationError
from actors.issues.questions import IssueFilter
from actors.issues.reading.filters import Accepts
from actors.issues.reading.graph import DELETED, Graph, Node, every
from actors.issues.reading.ranking import POLICIES, merged
from actors.issues.reading.ready import UNASKED, Readiness

CHUNK: Final = 1000
"""Issues looked at between two turns of the others: about a millisecond."""

Key = tuple[Any, ...]

SORTS: Final[Mapping[str, Callable[[Node], Key]]] = {
    "updated": lambda node: (-node.updated_us, node.id),
    "created": lambda node: (-node.created_us, node.id),
    "priority": lambda node: (node.priority, node.created_us, node.id),
    "id": lambda node: (node.id,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    ids: tuple[str, ...]
    total: int
    next_cursor: str | None


def candidates(graph: Graph, wanted: IssueFilter, *, closed: bool) -> list[Node]:
    """Return the issues of the statuses that are asked for, in no order."""
    by_status = graph.statuses()
    hidden = {DELETED} if closed else {DELETED, "closed"}
    names: Iterable[str] = dict.fromkeys(wanted.status) or by_status.keys() - hidden
    return list(chain.from_iterable(by_status.get(name, {}).values() for name in names))


def page(
    nodes: list[Node],
    fits: Accepts | None,
    *,
    sort: str,
    reverse: bool = False,
    limit: int,
    cursor: str | None = None,
) -> Generator[None, None, Page]:
    """Choose one page.

    Raises:
        ValidationError: the sort is unknown, or the cursor belongs to another list.
    """
    key = SORTS.get(sort)
    if key is None:
        text = f"a list is sorted by {', '.join(SORTS)}"
        raise ValidationError(text, field="sort", value=sort)
    after = _read(cursor, sort, reverse=reverse) if cursor is not None else None
    choose = heapq.nlargest if reverse else heapq.nsmallest
    total, best = 0, list[Key]()
    for part in every(nodes, CHUNK):
        if total or best:
            yield
        fitting = part if fits is None else list(filter(fits, part))
        total += len(fitting)
        keys: Iterable[Key] = map(key, fitting)
        if after is not None:
            keys = _beyond(keys, after, reverse=reverse)
        best = choose(limit + 1, chain(best, keys))
    more = len(best) > limit
    return Page(
        ids=tuple(key[-1] for key in best[:limit]),
        total=total,
        next_cursor=_write(best[limit - 1], sort, reverse=reverse) if more else None,
    )


def _beyond(keys: Iterable[Key], after: Key, *, reverse: bool) -> Iterator[Key]:
    return (key for key in keys if (key < after if reverse else key > after))


def _write(key: Key, sort: str, *, reverse: bool) -> str:
    text = json.dumps([sort, reverse, *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str, sort: str, *, reverse: bool) -> Key:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        decoded = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        given_sort, given_reverse, *key = decoded
        *numbers, issue_id = key
    except (ValueError, TypeError) as err:
        raise ValidationError("the cursor is none of ours", field="cursor", value=cursor) from err
    whole = all(type(number) is int for number in numbers) and isinstance(issue_id, str)
    expected = len(numbers) == {"priority": 2, "id": 0}.get(sort, 1)
    if not whole or not expected or (given_sort, given_reverse) != (sort, reverse):
        text = "the cursor belongs to a list that is sorted in another way"
        raise ValidationError(text, field="cursor", value=cursor)
    return tuple(key)


def ranked(
    readiness: Readiness,
    wanted: IssueFilter,
    fits: Accepts | None,
    *,
    policy: str,
    classic: bool = False,
) -> Iterator[Node]:
    """Yield the ready issues that fit, best first; nothing may change meanwhile.

    Types that are offered only to who asks for them are among them where the filter names one.

    Raises:
        ValidationError: there is no such policy.
    """
    return filter(_full(wanted, fits), _ranked(readiness, wanted, policy, classic=classic))


def _ranked(
    readiness: Readiness, wanted: IssueFilter, policy: str, *, classic: bool
) -> Iterator[Node]:
    if policy not in POLICIES:
        text = f"ready work is sorted by {', '.join(POLICIES)}"
        raise ValidationError(text, field="policy", value=policy)
    usual, unasked = (
        (readiness.classic, readiness.classic_unasked)
        if classic
        else (readiness.ready, readiness.ready_unasked)
    )
    rankings = [usual] if UNASKED.isdisjoint(wanted.issue_type) else [usual, unasked]
    return _nodes(readiness, merged(rankings, policy, readiness.now_us))


def _nodes(readiness: Readiness, issue_ids: Iterator[str]) -> Iterator[Node]:
    return (node for node in map(readiness.graph.get, issue_ids) if node is not None)


def _full(wanted: IssueFilter, fits: Accepts | None) -> Accepts:
    """Return the test for all of a filter, its status too."""
    statuses = frozenset(wanted.status)
    return lambda node: (not statuses or node.status in statuses) and (fits is None or fits(node))


def offered(
    readiness: Readiness,
    wanted: IssueFilter,
    fits: Accepts | None,
    *,
    policy: str,
    classic: bool = False,
    limit: int,
) -> Generator[None, None, list[Node]]:
    """Choose the best of the ready issues. As `ranked`, but in steps."""
    nodes = _ranked(readiness, wanted, policy, classic=classic)
    return (yield from _first(nodes, _full(wanted, fits), limit))


def waiting(
    readiness: Readiness, wanted: IssueFilter, fits: Accepts | None, *, limit: int
) -> Generator[None, None, list[Node]]:
    """Choose the most urgent of those that wait."""
    names = readiness.waiting.in_order("priority", readiness.now_us)
    return (yield from _first(_nodes(readiness, names), _full(wanted, fits), limit))


def _first(nodes: Iterator[Node], fits: Accepts, limit: int) -> Generator[None, None, list[Node]]:
    chosen: list[Node] = []
    for looked, node in enumerate(nodes, 1):
        if fits(node):
            chosen.append(node)
            if len(chosen) == limit:
                return chosen
        if looked == CHUNK:
            break
    # What is ranked may change while others run: the rest is looked through as it is now.
    for part in every(list(nodes), CHUNK):
        yield
        for node in filter(fits, part):
            chosen.append(node)
            if len(chosen) == limit:
                return chosen
    return chosen
