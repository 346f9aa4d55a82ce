"""What two clones have in common when they have several merge bases: the bases are merged first.

Two clones that merged each other at the same time have two best common ancestors, and so has
whatever they merge next. Taking either one for the base would bring back what the other removed.
As Git does for its own merges, the base is then a merge that nobody made: of the bases, on top of
their own bases, and so on.

Commits are taken in the order of their names, so every clone makes the same base. Generic in what
is merged: a file here, a row in tests. Pure: the caller knows the history.
"""

from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class History(Protocol[T_co]):
    """The commits and what was recorded in each."""

    def read(self, commit: str) -> T_co:
        """Return what the commit holds."""

    def merge_bases(self, commit: str, others: Collection[str]) -> Collection[str]:
        """Return the best common ancestors of a commit and a merge of the others.

        That is `git merge-base --all COMMIT OTHER…`.
        """


Merge = Callable[[T, T, T], T]
"""Merge base, ours and theirs."""


def base_of(one: str, other: str, history: History[T], merge: Merge[T], nothing: T) -> T:
    """Return the base on which two commits are to be merged.

    Commits without a common ancestor have `nothing` in common.
    """
    return _whole(frozenset(history.merge_bases(one, (other,))), history, merge, nothing, {})


def _whole(
    heads: frozenset[str],
    history: History[T],
    merge: Merge[T],
    nothing: T,
    known: dict[frozenset[str], T],
) -> T:
    """Return what a merge of all these commits would hold."""
    if heads not in known:
        known[heads] = _merged(heads, history, merge, nothing, known)
    return known[heads]


def _merged(
    heads: frozenset[str],
    history: History[T],
    merge: Merge[T],
    nothing: T,
    known: dict[frozenset[str], T],
) -> T:
    if not heads:
        return nothing
    *first, last = sorted(heads)
    if not first:
        return history.read(last)
    common = _whole(frozenset(history.merge_bases(last, first)), history, merge, nothing, known)
    return merge(
        common, _whole(frozenset(first), history, merge, nothing, known), history.read(last)
    )
