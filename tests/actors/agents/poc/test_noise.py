import pytest

from actors.agents.poc.messages import Difference
from actors.agents.poc.noise import compare

STEADY = [1.00, 1.01, 0.99, 1.00, 1.01, 0.99, 1.00, 1.01, 0.99, 1.00]


def scaled(by: float) -> list[float]:
    return [one * by for one in STEADY]


@pytest.mark.parametrize(
    ("by", "difference"),
    [
        (10.0, Difference.REGRESSION),
        (1.2, Difference.REGRESSION),
        (1.03, Difference.NONE),
        (1.0, Difference.NONE),
        (0.97, Difference.NONE),
        (0.8, Difference.IMPROVEMENT),
        (0.1, Difference.IMPROVEMENT),
    ],
)
def test_a_difference_counts_when_it_exceeds_the_bound(by: float, difference: Difference) -> None:
    found = compare("b", STEADY, scaled(by), tolerance=0.05)
    assert found.difference is difference
    assert found.ratio == pytest.approx(by)


def test_a_few_slow_runs_do_not_make_a_regression() -> None:
    disturbed = [*STEADY[:7], 9.0, 12.0, 30.0]
    assert compare("b", STEADY, disturbed, tolerance=0.05).difference is Difference.NONE


def test_the_noisier_the_runs_the_wider_the_bound() -> None:
    noisy = [0.5, 1.5, 0.7, 1.3, 0.6, 1.4, 1.0, 0.8, 1.2, 1.0]
    found = compare("b", noisy, [one * 1.2 for one in noisy], tolerance=0.05)
    assert found.difference is Difference.NONE
    assert found.bound > 0.2


def test_more_runs_make_the_bound_narrower() -> None:
    noisy = [0.8, 1.2, 0.9, 1.1, 1.0]
    few = compare("b", noisy, noisy, tolerance=0.0)
    many = compare("b", noisy * 10, noisy * 10, tolerance=0.0)
    assert many.bound < few.bound


def test_the_tolerance_is_the_least_bound() -> None:
    assert compare("b", [1.0] * 5, [1.0] * 5, tolerance=0.3).bound == 0.3


def test_nothing_is_divided_by_nothing() -> None:
    assert compare("b", [0.0] * 3, [0.0] * 3, tolerance=0.05).difference is Difference.NONE
