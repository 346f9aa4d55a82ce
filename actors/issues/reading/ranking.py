"""Issues in the orders of the sort policies, kept sorted while single ones come and go.

`hybrid` puts what is younger than two days first, the most urgent first; then the rest, oldest
first. `priority` puts the most urgent first, the oldest among equals; `oldest` looks at age alone.

Pure.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Final

from actors.issues.reading.graph import Node

RECENT_US: Final = 48 * 3600 * 1_000_000
POLICIES: Final = ("hybrid", "priority", "oldest")
_FEW: Final = 100
"""As many changes are made one by one; beyond, the lists are sorted again."""

Key = tuple[int, int, str]


class Ranking:
    """A set of issues, sorted by urgency and by age."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self._urgent: list[Key] = []
        self._old: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, issue_id: str) -> bool:
        return issue_id in self._keys

    def ids(self) -> list[str]:
        """Return its issues, the most urgent first."""
        return [issue_id for _, _, issue_id in self._urgent]

    def update(self, changes: Mapping[str, Node | None]) -> None:
        """Put issues where they belong, and take out those that come with None."""
        before = self._keys
        gone = [before[name] for name in changes if name in before]
        come = {node.id: _key(node) for node in changes.values() if node is not None}
        for key in gone:
            del before[key[2]]
        before.update(come)
        if len(gone) + len(come) > _FEW:
            self._sort(set(gone), come.values())
            return
        for key in gone:
            del self._urgent[bisect_left(self._urgent, key)]
            del self._old[bisect_left(self._old, key[1:])]
        for key in come.values():
            insort(self._urgent, key)
            insort(self._old, key[1:])

    def _sort(self, gone: set[Key], come: Collection[Key]) -> None:
        # What stays is in order already, which makes the sort a merge.
        self._urgent = [key for key in self._urgent if key not in gone]
        self._urgent += sorted(come)
        self._urgent.sort()
        names = {key[2] for key in gone}
        self._old = [key for key in self._old if key[1] not in names]
        self._old += sorted(key[1:] for key in come)
        self._old.sort()

    def in_order(self, policy: str, now_us: int) -> Iterator[str]:
        """Yield its ids, best first; it may not change meanwhile."""
        return (name for *_, name in self._in_order(policy, now_us))

    def _in_order(self, policy: str, now_us: int) -> Iterator[tuple[int, int, str]]:
        """Yield keys that sort as the policy does."""
        if policy == "priority":
            yield from self._urgent
        elif policy == "oldest":
            yield from ((0, *key) for key in self._old)
        else:
            recent_us = now_us - RECENT_US
            first = bisect_left(self._old, (recent_us, ""))
            if first < len(self._old):
                yield from (key for key in self._urgent if key[1] >= recent_us)
            yield from ((5, *key) for key in islice(self._old, first))


def merged(rankings: list[Ranking], policy: str, now_us: int) -> Iterator[str]:
    """Yield the ids of several, best first."""
    if len(rankings) == 1:
        return rankings[0].in_order(policy, now_us)
    keys = heapq.merge(*(ranking._in_order(policy, now_us) for ranking in rankings))  # noqa: SLF001 - the same class
    return (name for *_, name in keys)


def _key(node: Node) -> Key:
    return node.priority, node.created_us, node.id
