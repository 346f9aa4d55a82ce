import math
import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.errors import CircuitOpen, Conflict, ExternalServiceError, Overloaded
from actors.retrying import Retries, backoff_s, retrying, retrying_in_thread


class Flaky:
    """Fails with what it is given, in order; then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.at: list[float] = []

    def now(self) -> str:
        self.at.append(trio.current_time())
        if self.failures:
            raise self.failures.pop(0)
        return "done"

    async def __call__(self) -> str:
        return self.now()


def service(**given: object) -> ExternalServiceError:
    return ExternalServiceError("away", service="s", endpoint="/", **given)  # type: ignore[arg-type]


async def test_what_succeeds_is_tried_once(autojump_clock: MockClock) -> None:
    flaky = Flaky()
    assert await retrying(flaky, Retries(), random.Random(1)) == "done"
    assert len(flaky.at) == 1


async def test_a_failure_that_says_it_is_retryable_is_tried_again(
    autojump_clock: MockClock,
) -> None:
    flaky = Flaky(service(), Overloaded("full"))
    assert await retrying(flaky, Retries(), random.Random(1)) == "done"
    assert len(flaky.at) == 3


async def test_a_failure_that_is_not_retryable_is_final(autojump_clock: MockClock) -> None:
    flaky = Flaky(Conflict("no"))
    with pytest.raises(Conflict):
        await retrying(flaky, Retries(), random.Random(1))
    assert len(flaky.at) == 1


async def test_kinds_that_are_listed_are_retried(autojump_clock: MockClock) -> None:
    flaky = Flaky(ConnectionResetError())
    policy = Retries(kinds=(ConnectionError,))
    assert await retrying(flaky, policy, random.Random(1)) == "done"


async def test_the_last_failure_is_raised_once_the_tries_are_used_up(
    autojump_clock: MockClock,
) -> None:
    failures = [service() for _ in range(5)]
    with pytest.raises(ExternalServiceError) as raised:
        await retrying(Flaky(*failures), Retries(attempts=3), random.Random(1))
    assert raised.value is failures[2]


async def test_no_try_begins_after_the_deadline(autojump_clock: MockClock) -> None:
    flaky = Flaky(*(service() for _ in range(1000)))
    began = trio.current_time()
    with pytest.raises(ExternalServiceError):
        await retrying(flaky, Retries(attempts=0, deadline_s=20.0), random.Random(1))
    assert 2 <= len(flaky.at) < 1000
    assert flaky.at[-1] - began < 20.0


async def test_a_service_that_says_when_is_waited_for(autojump_clock: MockClock) -> None:
    flaky = Flaky(service(retry_after_s=40.0))
    await retrying(flaky, Retries(maximum_s=2.0), random.Random(1))
    assert flaky.at[1] - flaky.at[0] >= 40.0


async def test_a_service_that_asks_for_more_than_there_is_time_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    flaky = Flaky(CircuitOpen("open", service="s", endpoint="/", retry_after_s=40.0))
    with pytest.raises(CircuitOpen):
        await retrying(flaky, Retries(deadline_s=30.0), random.Random(1))
    assert len(flaky.at) == 1


async def test_the_same_random_waits_the_same(autojump_clock: MockClock) -> None:
    seen = []
    for _ in range(2):
        flaky = Flaky(*(service() for _ in range(3)))
        await retrying(flaky, Retries(), random.Random(7))
        seen.append([round(at - flaky.at[0], 6) for at in flaky.at])
    assert seen[0] == seen[1]


async def test_who_watches_is_told_of_each_failure(autojump_clock: MockClock) -> None:
    told: list[tuple[int, str]] = []
    failures = service(), Overloaded("full")
    await retrying(
        Flaky(*failures),
        Retries(),
        random.Random(1),
        on_retry=lambda attempt, error, _: told.append((attempt, str(error))),
    )
    assert told == [(1, "away"), (2, "full")]


async def test_a_wait_can_be_cancelled(autojump_clock: MockClock) -> None:
    flaky = Flaky(service(retry_after_s=1000.0))
    with trio.move_on_after(10.0) as scope:
        await retrying(flaky, Retries(), random.Random(1))
    assert scope.cancelled_caught
    assert len(flaky.at) == 1


def test_a_thread_retries_the_same_way() -> None:
    clock, slept = [0.0], []

    def sleep(pause_s: float) -> None:
        slept.append(pause_s)
        clock[0] += pause_s

    failures = [service() for _ in range(3)]

    def operation() -> str:
        if failures:
            raise failures.pop()
        return "done"

    policy = Retries()
    answer = retrying_in_thread(
        operation, policy, random.Random(3), now=lambda: clock[0], sleep=sleep
    )
    again = random.Random(3)
    assert answer == "done"
    assert slept == [policy.jittered_s(attempt, again) for attempt in (1, 2, 3)]


@given(
    attempt=st.integers(1, 10_000),
    initial_s=st.floats(0, 10),
    coefficient=st.floats(1, 1e6),
    maximum_s=st.floats(10, 1e6),
    seed=st.integers(0, 100),
)
def test_a_wait_is_never_negative_nor_longer_than_the_longest(
    attempt: int, initial_s: float, coefficient: float, maximum_s: float, seed: int
) -> None:
    policy = Retries(initial_s=initial_s, coefficient=coefficient, maximum_s=maximum_s)
    whole_s = backoff_s(attempt, initial_s=initial_s, coefficient=coefficient, maximum_s=maximum_s)
    assert 0 <= policy.jittered_s(attempt, random.Random(seed)) <= whole_s <= maximum_s


@pytest.mark.parametrize(
    "given",
    [
        {"attempts": -1},
        {"attempts": 0},
        {"initial_s": -1.0},
        {"initial_s": 2.0, "maximum_s": 1.0},
        {"maximum_s": math.inf},
        {"coefficient": 0.5},
        {"deadline_s": -1.0},
        {"deadline_s": math.nan},
    ],
)
def test_a_policy_that_cannot_work_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Retries"):
        Retries(**given)  # type: ignore[arg-type]
