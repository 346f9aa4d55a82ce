"""The ids there are, to find one by its beginning.

A part of an id means an issue when it is the beginning of its id, or of what follows the prefix and
its hyphen, and of no other. Never from the middle: that hit issues nobody meant. A whole id, and a
whole hash, beat longer ones that begin so; an issue that is there beats one that was deleted.

Pure.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import takewhile
from typing import Final, TypeVar

from actors.errors import NotFound
from actors.issues.ids import prefix_of
from actors.issues.reading.graph import every
from actors.issues.verbs import AmbiguousId

CHUNK: Final = 2000
NAMED: Final = 5
"""Candidates that a refusal names."""

T = TypeVar("T", str, tuple[str, str])


class Names:
    """All ids, sorted whole and by what follows their prefix."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._tails: list[tuple[str, str]] = []

    def fill(self, issue_ids: Iterable[str]) -> Iterator[None]:
        """Begin with these, in steps: to sort a hundred thousand at once takes too long."""
        self._ids = yield from _sorted(issue_ids)
        self._tails = yield from _sorted((_tail(name), name) for name in self._ids)

    def add(self, issue_id: str) -> None:
        insort(self._ids, issue_id)
        insort(self._tails, (_tail(issue_id), issue_id))

    def remove(self, issue_id: str) -> None:
        del self._ids[bisect_left(self._ids, issue_id)]
        del self._tails[bisect_left(self._tails, (_tail(issue_id), issue_id))]

    def resolve(self, partial: str, is_deleted: Callable[[str], bool]) -> str:
        """Return the one id that is meant.

        Raises:
            NotFound: no id begins so.
            AmbiguousId: several do.
        """
        if not partial:
            raise NotFound("there is no issue without an id")
        place = bisect_left(self._ids, partial)
        if self._ids[place : place + 1] == [partial]:
            return partial
        for found in (self._whole_tails(partial), self._beginnings(partial)):
            names = sorted(set(found))
            live = [name for name in names if not is_deleted(name)]
            if len(live or names) == 1:
                return (live or names)[0]
            if names:
                raise AmbiguousId(_which(partial, live or names))
        raise NotFound(f"there is no issue {partial}")

    def _whole_tails(self, partial: str) -> Iterator[str]:
        tails = _from(self._tails, (partial, ""))
        return (name for _, name in takewhile(lambda pair: pair[0] == partial, tails))

    def _beginnings(self, partial: str) -> Iterator[str]:
        names = _from(self._ids, partial)
        yield from takewhile(lambda name: name.startswith(partial), names)
        tails = _from(self._tails, (partial, ""))
        yield from (name for _, name in takewhile(lambda pair: pair[0].startswith(partial), tails))


def _sorted(items: Iterable[T]) -> Generator[None, None, list[T]]:
    runs = []
    for part in every(items, CHUNK):
        runs.append(sorted(part))
        yield
    ordered: list[T] = []
    for part in every(heapq.merge(*runs), CHUNK):
        ordered += part
        yield
    return ordered


def _from(ordered: list[T], first: T) -> Iterator[T]:
    # Not a slice: it would copy all that follows.
    return map(ordered.__getitem__, range(bisect_left(ordered, first), len(ordered)))


def _tail(issue_id: str) -> str:
    return issue_id.removeprefix(f"{prefix_of(issue_id)}-")


def _which(partial: str, names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} issues begin with {partial}: {', '.join(names[:NAMED])}{more}"
