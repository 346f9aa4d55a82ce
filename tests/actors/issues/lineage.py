"""Clones of one repository in memory: commits with parents, and Git's choice of merge bases."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from actors.issues.merging.bases import Merge, base_of

T = TypeVar("T")


@dataclass
class History(Generic[T]):
    """A graph of commits; each holds one value."""

    merge: Merge[T]
    nothing: T
    contents: dict[str, T] = field(default_factory=dict)
    ancestors: dict[str, frozenset[str]] = field(default_factory=dict)

    def commit(self, content: T, *parents: str) -> str:
        name = f"{len(self.contents) * 7919 % 10007:05}"  # in no order, like real names
        self.contents[name] = content
        above = frozenset().union(*(self.ancestors[parent] for parent in parents))
        self.ancestors[name] = above | {name}
        return name

    def read(self, commit: str) -> T:
        return self.contents[commit]

    def merge_bases(self, commit: str, others: Collection[str]) -> Collection[str]:
        theirs = frozenset().union(*(self.ancestors[other] for other in others))
        common = self.ancestors[commit] & theirs
        return {one for one in common if not any(one in self._above(other) for other in common)}

    def _above(self, commit: str) -> frozenset[str]:
        return self.ancestors[commit] - {commit}

    def merged(self, ours: str, theirs: str) -> str:
        """Return a commit of both: one of the two where it is ahead of the other."""
        for ahead, behind in ((ours, theirs), (theirs, ours)):
            if behind in self.ancestors[ahead]:
                return ahead
        return self.forced(ours, theirs)

    def forced(self, ours: str, theirs: str) -> str:
        """Return a new commit of both, as of a clone that does not know of any other merge."""
        base = base_of(ours, theirs, self, self.merge, self.nothing)
        return self.commit(self.merge(base, self.read(ours), self.read(theirs)), ours, theirs)
