import pytest

from cli import when


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.0s"),
        (0.44, "0.4s"),
        (12.4, "12s"),
        (59.6, "1m00s"),
        (185, "3m05s"),
        (7620, "2h07m"),
        (86_399.6, "1d00h"),
        (788_400, "9d03h"),
    ],
)
def test_a_duration_is_shown_in_at_most_two_units(seconds: float, shown: str) -> None:
    assert when.duration(seconds) == shown


def test_a_moment_is_shown_in_utc() -> None:
    assert when.moment("2025-03-01T11:00:00.25+01:00") == "2025-03-01 10:00:00Z"


def test_a_moment_without_a_zone_counts_as_utc() -> None:
    assert when.moment("2025-03-01T11:00:00") == "2025-03-01 11:00:00Z"


def test_what_is_no_moment_is_shown_as_it_came() -> None:
    assert when.moment("soon") == "soon"
    assert when.moment(None) == ""
