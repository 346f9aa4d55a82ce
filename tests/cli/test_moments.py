"""Moments as people write them."""

import time
from datetime import UTC, datetime

import pytest

from cli import moments
from cli.problem import Problem

NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", "2026-01-31T14:30:00Z"),
        ("+3d", "2026-02-03T12:30:00Z"),
        ("-1w", "2026-01-24T12:30:00Z"),
        ("1m", "2026-03-03T12:30:00Z"),
        ("-1m", "2025-12-31T12:30:00Z"),
        ("1y", "2027-01-31T12:30:00Z"),
        ("tomorrow", "2026-02-01T00:00:00Z"),
        ("2026-12-24", "2026-12-24T00:00:00Z"),
        ("2026-12-24T01:02:03+02:00", "2026-12-24T01:02:03+02:00"),
        (" 2026-12-24T01:02:03Z ", "2026-12-24T01:02:03Z"),
    ],
)
def test_a_moment_is_read(text: str, meant: str) -> None:
    assert moments.parse("--due", text, NOW) == meant


@pytest.mark.parametrize(
    "text", ["", "soon", "3", "1s", "2026-12-24T01:02:03", "999999y", "2026-13-01"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="--due is no moment"):
        moments.parse("--due", text, NOW)
