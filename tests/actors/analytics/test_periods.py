"""Which period is meant, and how it is divided."""

from datetime import UTC, datetime, timedelta

import pytest

from actors.analytics import periods
from actors.analytics.messages import Asked
from actors.errors import ValidationError

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def span(**asked: str) -> tuple[str, str]:
    period = periods.period_of(Asked(**asked), NOW)
    return period.since[:16], period.until[:16]


@pytest.mark.parametrize(
    ("asked", "since", "until"),
    [
        ({}, "2026-02-28T12:30", "2026-03-01T12:30"),
        ({"period": "90m"}, "2026-03-01T11:00", "2026-03-01T12:30"),
        ({"period": "1w"}, "2026-02-22T12:30", "2026-03-01T12:30"),
        ({"since": "2026-03-01T00:00:00Z"}, "2026-03-01T00:00", "2026-03-01T12:30"),
        ({"until": "2026-02-01T00:00:00Z"}, "2026-01-31T00:00", "2026-02-01T00:00"),
        (
            {"since": "2026-02-01T01:00:00+01:00", "period": "2d"},
            "2026-02-01T00:00",
            "2026-02-03T00:00",
        ),
        (
            {"until": "2026-02-01T00:00:00Z", "period": "2d"},
            "2026-01-30T00:00",
            "2026-02-01T00:00",
        ),
    ],
)
def test_a_period_is_said_with_two_of_three(asked: dict[str, str], since: str, until: str) -> None:
    assert span(**asked) == (since, until)


def test_the_period_before_ends_where_this_one_begins() -> None:
    period = periods.period_of(Asked(period="7d"), NOW)
    before = periods.before(period)
    assert (before.until, before.seconds) == (period.since, period.seconds)


@pytest.mark.parametrize(
    ("length", "group"), [("2h", "minute"), ("3h", "hour"), ("3d", "hour"), ("4d", "day")]
)
def test_the_length_decides_about_the_buckets(length: str, group: str) -> None:
    assert periods.grouping(periods.period_of(Asked(period=length), NOW), None) == group


def test_buckets_begin_with_the_clock_and_cover_the_period() -> None:
    period = periods.period_of(Asked(period="2h"), NOW)
    found = [
        (key, since[11:16], until[11:16]) for key, since, until in periods.buckets(period, "hour")
    ]
    assert found == [
        ("2026-03-01T10", "10:30", "11:00"),
        ("2026-03-01T11", "11:00", "12:00"),
        ("2026-03-01T12", "12:00", "12:30"),
    ]


@pytest.mark.parametrize("group", ["minute", "hour", "day"])
def test_no_more_buckets_are_made_than_an_answer_may_hold(group: str) -> None:
    period = periods.period_of(Asked(period="366d"), NOW)
    if group == "day":
        assert len(list(periods.buckets(period, group))) == 367
        return
    with pytest.raises(ValidationError, match="buckets"):
        periods.grouping(period, group)


@pytest.mark.parametrize(("group", "hours"), [("minute", 25), ("hour", 1500)])
def test_a_bucket_that_is_cut_off_counts_as_one(group: str, hours: int) -> None:
    def asked(since: datetime) -> Asked:
        until = since + timedelta(hours=hours)
        return Asked(since=since.isoformat(), until=until.isoformat())

    even = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
    whole = periods.period_of(asked(even), NOW)
    assert periods.grouping(whole, group) == group
    assert len(list(periods.buckets(whole, group))) == 1500
    with pytest.raises(ValidationError, match=rf"1500 buckets of an? {group},"):
        periods.grouping(periods.period_of(asked(even + timedelta(seconds=1)), NOW), group)
