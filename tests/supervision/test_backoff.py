import pytest

from supervision.backoff import Backoff
from supervision.errors import SpecError

from .support import seeded

EXACT = Backoff(initial_s=1, factor=2, max_s=10, jitter=0, reset_after_s=60)


def test_the_delay_doubles_with_every_failure_up_to_its_maximum() -> None:
    delays = [EXACT.delay_s(failures, seeded(1)) for failures in (1, 2, 3, 4, 5, 6)]
    assert delays == [1, 2, 4, 8, 10, 10]


def test_jitter_varies_the_delay_within_its_share_and_never_beyond_the_maximum() -> None:
    backoff = Backoff(initial_s=1, factor=2, max_s=4, jitter=0.25)
    random = seeded(7)
    first = [backoff.delay_s(1, random) for _ in range(500)]
    late = [backoff.delay_s(9, random) for _ in range(500)]
    assert 0.75 <= min(first) < 0.8
    assert 1.2 < max(first) <= 1.25
    assert max(late) == 4


def test_the_same_seed_gives_the_same_delays() -> None:
    backoff = Backoff()
    assert backoff.delay_s(3, seeded(5)) == backoff.delay_s(3, seeded(5))


def test_thousands_of_failures_do_not_overflow() -> None:
    assert EXACT.delay_s(100_000, seeded(1)) == 10


def test_an_initial_delay_of_zero_restarts_at_once_every_time() -> None:
    assert Backoff(initial_s=0).delay_s(50, seeded(1)) == 0


def test_failures_add_up_until_a_calm_life_forgets_them() -> None:
    assert EXACT.failures_in_a_row(3, up_s=59.9) == 4
    assert EXACT.failures_in_a_row(3, up_s=60) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("initial_s", -1),
        ("factor", 0.5),
        ("max_s", 0.01),
        ("max_s", float("inf")),
        ("jitter", 1.5),
        ("jitter", float("nan")),
        ("reset_after_s", 0),
    ],
)
def test_an_impossible_setting_is_named_in_the_error(name: str, value: float) -> None:
    with pytest.raises(SpecError, match=f"{name} cannot be {value}"):
        Backoff(**{name: value})
