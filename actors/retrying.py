"""When something that failed is tried again: exponential backoff with full jitter.

`Retries` decides, and is pure; `retrying` carries it out on trio's clock, `retrying_in_thread` in a
thread that may block. The steps of workflows are not retried here but by the engine, which survives
the process (`actors.workflows.definition.RetryPolicy`); both wait by the same arithmetic.

Not stamina or tenacity: their jitter comes from the process's own random and their deadline from
its own clock, so nothing that retries with them replays from a seed.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import Final, TypeVar

import trio

T = TypeVar("T")
OnRetry = Callable[[int, Exception, float], None]
"""Told the number of the try that failed (from 1), why, and the seconds until the next one."""


_DIGITS: Final = 9


def backoff_s(attempt: int, *, initial_s: float, coefficient: float, maximum_s: float) -> float:
    """Gives the seconds to wait after the failed try number `attempt` (from 1), without jitter."""
    if not initial_s:
        return 0.0
    try:
        return float(min(maximum_s, initial_s * float(coefficient) ** (attempt - 1)))
    except OverflowError:  # whatever is that large is more than the maximum
        return float(maximum_s)


def _unwatched(attempt: int, error: Exception, pause_s: float) -> None:
    del attempt, error, pause_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often something is tried, and how long to wait in between.

    Args:
        attempts: tries in all, 1 or more; 0 means as many as the deadline allows.
        initial_s: the longest wait before the second try, seconds.
        coefficient: the longest wait is the one before times this, 1.0 or more.
        maximum_s: no wait is longer, seconds, but for one that the service itself asks for.
        deadline_s: seconds from the first try on, after which no other one begins.
        kinds: exceptions that are retried whatever they say of themselves.
    """

    attempts: int = 5
    initial_s: float = 1.0
    coefficient: float = 2.0
    maximum_s: float = 30.0
    deadline_s: float = math.inf
    kinds: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        if self.attempts < 0 or (self.attempts == 0 and self.deadline_s == math.inf):
            raise ValueError(f"Retries need an end: {self.attempts} attempts, no deadline")
        if not (0 <= self.initial_s <= self.maximum_s < math.inf):
            raise ValueError(
                f"Retries wait 0 <= initial_s <= maximum_s: {self.initial_s}, {self.maximum_s}"
            )
        if not 1 <= self.coefficient < math.inf or not self.deadline_s >= 0:
            raise ValueError(f"Retries cannot be used: {self}")

    def jittered_s(self, attempt: int, chance: Random) -> float:
        """Gives the seconds to wait after the failed try `attempt` (from 1), at random up to all.

        Full jitter: what failed together comes back spread over the whole wait.
        """
        longest_s = backoff_s(
            attempt,
            initial_s=self.initial_s,
            coefficient=self.coefficient,
            maximum_s=self.maximum_s,
        )
        return chance.uniform(0.0, longest_s)

    def retries(self, error: BaseException) -> bool:
        """Whether another try may help: the error says so (`retryable`), or its kind is listed."""
        return isinstance(error, self.kinds) or getattr(error, "retryable", False) is True

    def pause_s(
        self, attempt: int, error: BaseException, chance: Random, elapsed_s: float = 0.0
    ) -> float | None:
        """Gives the seconds until the next try, None where this failure is final.

        A service that said when to come back (`retry_after_s` of the error) is waited for so long
        at least; when that is beyond the deadline, there is no other try.

        Args:
            attempt: number of the try that failed, from 1.
            error: what it failed with.
            chance: gives the jitter.
            elapsed_s: seconds since the first try began.
        """
        if not self.retries(error) or (self.attempts and attempt >= self.attempts):
            return None
        asked_s = getattr(error, "retry_after_s", None) or 0.0
        pause_s = max(self.jittered_s(attempt, chance), float(asked_s))
        return pause_s if elapsed_s + pause_s < self.deadline_s else None


def retry_after_s(header: str, now: datetime) -> float | None:
    """Gives the seconds that a `Retry-After` header means, None where it means nothing.

    Args:
        header: seconds, or a moment as HTTP writes it.
        now: aware.
    """
    if header.isascii() and header.isdigit() and len(header) <= _DIGITS:
        return float(header)
    try:
        at = parsedate_to_datetime(header)
        return max(0.0, (at - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


async def retrying(
    operation: Callable[[], Awaitable[T]],
    policy: Retries,
    chance: Random,
    *,
    on_retry: OnRetry = _unwatched,
) -> T:
    """Does it until it succeeds, or the policy gives up; then raises the last failure.

    Cancellation ends a try and a wait alike. A try is not cut off by the deadline: it has its own.
    """
    began = trio.current_time()
    attempt = 0
    while True:
        attempt += 1
        try:
            return await operation()
        except Exception as error:
            pause_s = policy.pause_s(attempt, error, chance, trio.current_time() - began)
            if pause_s is None:
                raise
            on_retry(attempt, error, pause_s)
        await trio.sleep(pause_s)


def retrying_in_thread(
    operation: Callable[[], T],
    policy: Retries,
    chance: Random,
    *,
    now: Callable[[], float],
    sleep: Callable[[float], object],
    on_retry: OnRetry = _unwatched,
) -> T:
    """Does in a thread what `retrying` does on trio: `now` is monotonic, `sleep` blocks."""
    began = now()
    attempt = 0
    while True:
        attempt += 1
        try:
            return operation()
        except Exception as error:
            pause_s = policy.pause_s(attempt, error, chance, now() - began)
            if pause_s is None:
                raise
            on_retry(attempt, error, pause_s)
        sleep(pause_s)
