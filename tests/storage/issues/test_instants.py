"""Times as text: compared as instants, written as Go writes them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from storage.issues import instants


def test_the_same_instant_in_two_zones_and_two_spellings_is_equal() -> None:
    west = instants.to_ns("2026-01-01T00:00:00.500-08:00")
    assert west == instants.to_ns("2026-01-01T08:00:00.5Z")
    assert west == instants.to_ns("2026-01-01T19:00:00.500000000+11:00")


def test_nanoseconds_are_told_apart() -> None:
    assert instants.to_ns("2026-01-01T00:00:00.000000001Z") % 1_000_000_000 == 1


def test_a_time_that_was_never_set_lies_before_every_other() -> None:
    assert instants.to_ns(instants.ZERO) < instants.to_ns("1970-01-01T00:00:00Z") == 0


@pytest.mark.parametrize(
    ("microsecond", "text"),
    [(0, "09:07:05Z"), (120_000, "09:07:05.12Z"), (1, "09:07:05.000001Z")],
)
def test_a_new_time_is_written_in_utc_without_trailing_zeros(microsecond: int, text: str) -> None:
    moment = datetime(2026, 3, 4, 10, 7, 5, microsecond, timezone(timedelta(hours=1)))
    assert instants.from_datetime(moment) == f"2026-03-04T{text}"


def test_what_is_written_reads_as_the_same_instant() -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 80, UTC)
    assert (
        instants.to_ns(instants.from_datetime(moment)) == int(moment.timestamp()) * 10**9 + 80_000
    )


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "٢٠٢٦-01-01T00:00:00Z"],
)
def test_a_text_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|day|month"):
        instants.to_ns(text)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z"),
        ("2026-01-01T00:59:59.999999999+01:00", "2026-01-01T00:00:00Z"),
        (instants.ZERO, "0001-01-01T00:00:00.000001Z"),
    ],
)
def test_the_time_just_after_is_later_by_a_microsecond_at_most(text: str, after: str) -> None:
    assert instants.just_after(text) == after
    assert 0 < instants.to_ns(after) - instants.to_ns(text) <= 1000


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-02T00:00:00.500Z", "2026-01-02T00:00:00.5Z"),
        ("2026-01-02T01:00:00.123456789+01:00", "2026-01-02T00:00:00.123456789Z"),
        ("1969-12-31T23:59:59.9-08:00", "1970-01-01T07:59:59.9Z"),
        ("1960-01-01T00:00:00.000000001Z", "1960-01-01T00:00:00.000000001Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00+01:00"),
    ],
)
def test_an_instant_has_one_spelling_in_utc(text: str, utc: str) -> None:
    assert instants.in_utc(text) == utc


def test_nothing_comes_after_the_end_of_time() -> None:
    last = "9999-12-31T23:59:59.9999999Z"
    assert instants.just_after(last) == last


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("9999-12-31T23:59:59-00:01", False),
        ("9999-12-31T23:59:59.999999999Z", True),
        ("0001-01-01T00:00:00+00:01", False),
        (instants.ZERO, True),
    ],
)
def test_zones_reach_beyond_the_years_that_utc_has(text: str, has: bool) -> None:
    assert instants.has_utc(text) is has
    kept = instants.from_us(instants.to_ns(text) // 1000)
    assert kept in {instants.ZERO, "9999-12-31T23:59:59.999999Z"}
