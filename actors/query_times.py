"""How long queries and commands took: a histogram that counts many at once.

A writer has up to a hundred commands of one batch that took equally long. prometheus_client's own
histogram takes them one by one, each 2 µs; this one takes them together, in 0.3 µs. What is scraped
is the same.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isinf
from threading import Lock

from prometheus_client import Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

_BOUNDS_S = tuple(float(bound) for bound in Histogram.DEFAULT_BUCKETS)


@dataclass(slots=True)
class _Times:
    """Of one operation: how many took as long as each bound, and no less; and all together."""

    numbers: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS_S))
    seconds: float = 0.0
    since: float = field(default_factory=time.time)


class QueryTimes(Collector):
    """By database and operation. Safe to call from any thread.

    Args:
        name: the metric's.
        documentation: one line.
    """

    def __init__(self, name: str, documentation: str) -> None:
        self._name = name
        self._documentation = documentation
        self._times: dict[tuple[str, str], _Times] = {}
        self._lock = Lock()

    def observe(self, database: str, operation: str, seconds: float, number: int) -> None:
        """Count so many that took so long, each."""
        with self._lock:
            times = self._times.get((database, operation))
            if times is None:
                times = self._times[database, operation] = _Times()
            times.numbers[bisect_left(_BOUNDS_S, seconds)] += number
            times.seconds += seconds * number

    def describe(self) -> list[HistogramMetricFamily]:
        return [self._family()]

    def _family(self) -> HistogramMetricFamily:
        labels = ("database", "operation")
        return HistogramMetricFamily(self._name, self._documentation, labels=labels)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = self._family()
        with self._lock:
            for (database, operation), times in self._times.items():
                below = 0
                buckets: list[tuple[str, float]] = []
                for bound, number in zip(_BOUNDS_S, times.numbers, strict=True):
                    below += number
                    buckets.append(("+Inf" if isinf(bound) else str(bound), below))
                family.add_metric((database, operation), buckets, times.seconds)
                labels = {"database": database, "operation": operation}
                family.add_sample(f"{self._name}_created", labels, times.since)
        yield family
