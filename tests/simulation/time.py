"""The wall clock of a simulation: it shows the time that has passed for trio."""

from datetime import UTC, datetime, timedelta

import trio

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def now() -> datetime:
    return EPOCH + timedelta(seconds=trio.current_time())
