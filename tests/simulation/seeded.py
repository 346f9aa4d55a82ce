"""A trio run of which nothing is left to chance: virtual time, and a scheduler with a seed.

Time jumps to the next deadline whenever every task waits, so an hour of sleeping costs nothing.
trio shuffles the tasks that can run, on purpose; here it shuffles them by a seed. Both are set for
one run and put back after it.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio
import trio.testing
from trio._core import _run

T = TypeVar("T")


def run_seeded(seed: str, main: Callable[[], Awaitable[T]]) -> T:
    """Runs `main` to its end; with the same seed, and what it reads the same, in the same way."""
    with _scheduling_by(seed):
        return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@contextmanager
def _scheduling_by(seed: str) -> Iterator[None]:
    allowed, state = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate()
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    _run._r.seed(seed)
    try:
        yield
    finally:
        _run._ALLOW_DETERMINISTIC_SCHEDULING = allowed  # type: ignore[misc]
        _run._r.setstate(state)
