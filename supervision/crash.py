"""What counts as a crash of the code that raised it.

Everything that anybody's code raises is one, whatever its base class, but for two: trio's own
cancellation, which is on its way to whoever cancelled, and control-C, which is meant for the main
task.
"""

import trio

__all__ = ["is_crash"]

_PASSING = (trio.Cancelled, KeyboardInterrupt)


def is_crash(error: BaseException) -> bool:
    """Says whether the actor is to blame; what is not a crash must be raised on."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(_PASSING) is None
    return not isinstance(error, _PASSING)
