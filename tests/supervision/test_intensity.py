import pytest

from supervision.errors import SpecError
from supervision.intensity import Intensity, RestartWindow


def test_as_many_restarts_as_allowed_are_admitted_within_the_period() -> None:
    window = RestartWindow(Intensity(restarts=3, period_s=60))
    assert [window.admit(t) for t in (0, 1, 2, 3)] == [True, True, True, False]


def test_a_restart_older_than_the_period_no_longer_counts() -> None:
    window = RestartWindow(Intensity(restarts=1, period_s=10))
    assert window.admit(0)
    assert window.admit(10.1)


def test_a_restart_exactly_one_period_old_still_counts() -> None:
    window = RestartWindow(Intensity(restarts=1, period_s=10))
    assert window.admit(0)
    assert not window.admit(10)


def test_a_refused_restart_does_not_use_up_the_budget() -> None:
    window = RestartWindow(Intensity(restarts=1, period_s=10))
    assert window.admit(0)
    assert not window.admit(5)
    assert window.admit(11)


def test_an_intensity_of_zero_allows_no_restart() -> None:
    assert not RestartWindow(Intensity(restarts=0, period_s=1)).admit(0)


def test_no_window_of_one_period_ever_holds_more_restarts_than_allowed() -> None:
    window = RestartWindow(Intensity(restarts=3, period_s=5))
    admitted = [t / 4 for t in range(400) if window.admit(t / 4)]
    assert all(sum(t <= u <= t + 5 for u in admitted) <= 3 for t in admitted)


def test_a_negative_number_of_restarts_is_named_in_the_error() -> None:
    with pytest.raises(SpecError, match="restarts must be 0 or more, not -1"):
        Intensity(restarts=-1)


@pytest.mark.parametrize("period_s", [0, -1, float("inf"), float("nan")])
def test_a_period_that_is_no_positive_time_is_refused(period_s: float) -> None:
    with pytest.raises(SpecError, match="period_s must be above 0"):
        Intensity(period_s=period_s)
