"""Containment: where the system ends and the code of users begins.

Whatever that code raises is the outcome of an attempt or of a workflow. `Exception` is not enough:
a library written in another language may panic, a script may exit, and none of it may take the
process along. What passes is cancellation, trio's and the workflow's own, the end of a run, and a
divergence from the history.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from actors.workflows.definition import ActivityFailure
from actors.workflows.execution import CancelledError, ContinueAsNew
from actors.workflows.replay import NonDeterminismError

PASSES = (trio.Cancelled, NonDeterminismError, CancelledError, ContinueAsNew, GeneratorExit)


@contextmanager
def contained() -> Iterator[None]:
    """Run user code inside.

    Raises:
        ActivityFailure: the code raised what is no `Exception`; its class name is the code.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        contain(error)
        raise


def contain(error: BaseException) -> None:
    """Say of what is no `Exception` whether it may pass.

    Raises:
        ActivityFailure: it may not.
    """
    if isinstance(error, BaseExceptionGroup):
        if error.subgroup(PASSES) is None:
            raise _failure(error) from error
    elif not isinstance(error, PASSES):
        raise _failure(error) from error


def _failure(error: BaseException) -> ActivityFailure:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return ActivityFailure(type(error).__name__, str(error) or type(error).__name__)
