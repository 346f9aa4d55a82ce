"""Token buckets by the clock they are given."""

import random

import pytest

from api.buckets import Buckets
from api.exposure import Rate


def granted(buckets: Buckets, key: str, now: float, times: int) -> int:
    return sum(buckets.draw(key, now).granted for _ in range(times))


@pytest.mark.parametrize("per_s", [0.1, 1.0, 3.0, 7.0, 500.0, 1e6])
@pytest.mark.parametrize("burst", [1, 2, 10, 300, 5000])
def test_a_bucket_gives_its_burst_and_no_more(per_s: float, burst: int) -> None:
    buckets = Buckets(Rate(per_s=per_s, burst=burst))
    assert granted(buckets, "a", 1000.0, burst + 20) == burst


def test_a_bucket_fills_as_fast_as_its_rate() -> None:
    buckets = Buckets(Rate(per_s=2.0, burst=10))
    assert granted(buckets, "a", 0.0, 10) == 10
    assert [granted(buckets, "a", now, 5) for now in (0.4, 0.5, 0.9, 3.0)] == [0, 1, 0, 5]
    assert granted(buckets, "a", 1e6, 20) == 10


def test_a_refusal_says_when_there_will_be_a_token_and_costs_none() -> None:
    buckets = Buckets(Rate(per_s=2.0, burst=4))
    granted(buckets, "a", 0.0, 4)
    refusals = [buckets.draw("a", 0.1) for _ in range(50)]
    assert {round(drawn.wait_s, 6) for drawn in refusals} == {0.4}
    assert buckets.draw("a", 0.5 + 1e-9).granted


def test_what_is_left_counts_down_to_nothing() -> None:
    buckets = Buckets(Rate(per_s=1.0, burst=3))
    assert [buckets.draw("a", 0.0).left for _ in range(4)] == [2, 1, 0, 0]
    assert buckets.draw("a", 0.0).full_s == pytest.approx(3.0)


def test_nobody_draws_from_another_s_bucket() -> None:
    buckets = Buckets(Rate(per_s=1.0, burst=3))
    assert granted(buckets, "a", 0.0, 9) == 3
    assert granted(buckets, "b", 0.0, 9) == 3


@pytest.mark.parametrize("seed", range(20))
def test_no_order_of_requests_gets_more_than_the_rate_allows(seed: int) -> None:
    chance = random.Random(seed)
    rate = Rate(per_s=chance.uniform(0.5, 50.0), burst=chance.randrange(1, 40))
    buckets, now, times = Buckets(rate), 0.0, list[float]()
    for _ in range(2000):
        now += chance.choice((0.0, 0.0, 0.001, chance.expovariate(rate.per_s), 5.0 / rate.per_s))
        if buckets.draw("a", now).granted:
            times.append(now)
    for first, begun in enumerate(times):
        for last in range(first, min(first + 200, len(times))):
            most = rate.burst + (times[last] - begun) * rate.per_s
            assert last - first + 1 <= most + 1e-6, f"seed {seed}"


def test_memory_goes_no_further_than_its_bound() -> None:
    buckets = Buckets(Rate(per_s=1.0, burst=3), keys=100)
    for number in range(10_000):
        buckets.draw(f"k{number}", 0.0)
    assert len(buckets) == 100


def test_the_one_that_asked_least_recently_is_forgotten_first() -> None:
    buckets = Buckets(Rate(per_s=1.0, burst=3), keys=2)
    granted(buckets, "often", 0.0, 2)
    buckets.draw("once", 0.0)
    buckets.draw("often", 0.0)
    buckets.draw("new", 0.0)
    assert not buckets.draw("often", 0.0).granted


def test_full_buckets_are_forgotten_when_room_is_needed() -> None:
    buckets = Buckets(Rate(per_s=1.0, burst=3), keys=50)
    for number in range(50):
        buckets.draw(f"k{number}", 0.0)
    buckets.draw("later", 100.0)
    assert len(buckets) == 1
