"""Causes: which operations a workflow failed with, and what it did while it dealt with that.

A workflow is retried from what failed. The exception that ends it may be another one than that of
the operation: raised from it, raised while it was handled, or one of several branches'. And between
the failure and the end lies what the code did meanwhile: clean-up, which a retry has to forget. So
operations leave a mark on the exceptions that they raise, and on those that are being handled when
they are asked for; what ends the workflow is followed back through its marks.

Pure, but for the marks.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from actors.workflows.strand import place

_OF = "_beadflow_of"
_SINCE = "_beadflow_since"
_BESIDE = "_beadflow_beside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """What led to the end of a workflow, in the order of its code.

    Args:
        failed: the operations whose failures did.
        since: the first operations that were asked for while what they raised was handled.
    """

    failed: tuple[str, ...]
    since: tuple[str, ...]


def note_failure(error: BaseException, op: str) -> None:
    """Say whose failure an exception is."""
    vars(error)[_OF] = op


def note_handling(op: str) -> None:
    """Say that an operation is asked for, maybe while an exception is handled."""
    handled = sys.exception()
    if handled is not None:
        vars(handled).setdefault(_SINCE, op)


def note_beside(raised: BaseException, others: Sequence[BaseException]) -> None:
    """Say that other branches have failed beside the one whose exception is raised."""
    if others:
        vars(raised)[_BESIDE] = tuple(others)


def causes_of(error: BaseException) -> Causes:
    """What led to an exception."""
    failed, since = set(), set()
    for each in _led_to(error):
        found = vars(each)
        if _OF in found:
            failed.add(found[_OF])
        if _SINCE in found:
            since.add(found[_SINCE])
    return Causes(
        failed=tuple(sorted(failed, key=place)), since=tuple(sorted(since - failed, key=place))
    )


def _led_to(error: BaseException) -> Iterator[BaseException]:
    """An exception, and all that it was raised from, while handling, or beside."""
    seen: set[int] = set()
    left: list[BaseException] = [error]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if each.__cause__ is not None:
            left.append(each.__cause__)
        elif each.__context__ is not None and not each.__suppress_context__:
            left.append(each.__context__)
        left.extend(vars(each).get(_BESIDE, ()))
        if isinstance(each, BaseExceptionGroup):
            left.extend(each.exceptions)
