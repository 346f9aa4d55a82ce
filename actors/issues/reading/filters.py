"""Which issues a reader asked for: a filter checked, and turned into a test of one issue.

A word that no issue could match is refused instead of finding nothing: a status or a type that is
neither usual nor in use, a priority out of range, times that leave nothing between them.

Pure. What needs the database (words in texts) or the graph (descendants) is given.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from actors.errors import ValidationError
from actors.issues.questions import IssueFilter
from actors.issues.reading.graph import DELETED, Graph, Node, to_us

STATUSES: Final = frozenset(
    {"open", "in_progress", "blocked", "deferred", "closed", DELETED, "pinned", "hooked"}
)
TYPES: Final = frozenset(
    {"bug", "feature", "task", "epic", "chore", "event", "message", "merge-request", "molecule"}
    | {"gate", "agent", "role", "rig", "convoy", "slot", "decision", "spike", "story", "milestone"}
)
"""Of bd, in all its versions; others are known once an issue has them."""
PRIORITIES: Final = range(5)

Accepts = Callable[[Node], bool]


def check(wanted: IssueFilter, graph: Graph) -> None:
    """Refuse a filter that can find nothing.

    Raises:
        ValidationError: with the field.
    """
    for status in wanted.status:
        if status not in STATUSES and status not in graph.statuses():
            raise _unknown("status", status, STATUSES | graph.statuses().keys())
    for issue_type in wanted.issue_type:
        if issue_type not in TYPES and all(n.issue_type != issue_type for n in graph.nodes()):
            raise _unknown("type", issue_type, TYPES)
    for priority in wanted.priority:
        if priority not in PRIORITIES:
            text = "a priority is a whole number from 0 (critical) to 4"
            raise ValidationError(text, field="priority", value=priority)
    after, before = _time("updated_after", wanted), _time("updated_before", wanted)
    if after is not None and before is not None and after >= before:
        text = "nothing lies between updated_after and updated_before: swap them"
        raise ValidationError(text, field="updated_after", value=wanted.updated_after)


def _unknown(what: str, value: str, known: Iterable[str]) -> ValidationError:
    text = f"no issue has the {what} {value!r}; there are {', '.join(sorted(known))}"
    return ValidationError(text, field=what, value=value)


def _time(name: str, wanted: IssueFilter) -> int | None:
    text = getattr(wanted, name)
    if text is None:
        return None
    try:
        return to_us(text)
    except ValueError as err:
        raise ValidationError(f"{name}: {err}", field=name, value=text) from err


def accepts(
    wanted: IssueFilter,
    *,
    under: Collection[str] | None = None,
    saying: Collection[str] | None = None,
) -> Accepts | None:
    """Return the test of one issue for all but its status; None where every issue passes.

    `under` are the descendants of the parent that is asked for, `saying` those that hold the words.
    """
    tests = list(_tests(wanted))
    tests += [_is_among(ids) for ids in (under, saying) if ids is not None]
    if not tests:
        return None
    return lambda node: all(test(node) for test in tests)


def _is_among(ids: Collection[str]) -> Accepts:
    return lambda node: node.id in ids


def _tests(wanted: IssueFilter) -> Iterator[Accepts]:
    if wanted.issue_type:
        types = frozenset(wanted.issue_type)
        yield lambda node: node.issue_type in types
    if wanted.priority:
        priorities = frozenset(wanted.priority)
        yield lambda node: node.priority in priorities
    if wanted.assignee is not None:
        yield lambda node: node.assignee == wanted.assignee
    if wanted.created_by is not None:
        yield lambda node: node.created_by == wanted.created_by
    yield from _label_tests(wanted)
    after, before = _time("updated_after", wanted), _time("updated_before", wanted)
    if after is not None:
        yield lambda node: node.updated_us > after
    if before is not None:
        yield lambda node: node.updated_us < before


def _label_tests(wanted: IssueFilter) -> Iterator[Accepts]:
    every, some, none = map(frozenset, (wanted.labels, wanted.any_labels, wanted.without_labels))
    if every:
        yield lambda node: every.issubset(node.labels)
    if some:
        yield lambda node: not some.isdisjoint(node.labels)
    if none:
        yield lambda node: none.isdisjoint(node.labels)
