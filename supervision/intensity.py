"""How many restarts in how many seconds are too many: OTP's intensity and period. Pure.

Nested supervisors multiply: a budget of 3 under a budget of 3 allows 16 starts of the innermost
child before the outer one gives up. Keep trees shallow and budgets small.
"""

import math
from collections import deque
from dataclasses import dataclass

from supervision.errors import SpecError

__all__ = ["Intensity", "RestartWindow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """A restart budget.

    Attributes:
        restarts: how many restarts are allowed within the period; 0 allows none.
        period_s: length of the sliding period in seconds.
    """

    restarts: int = 3
    period_s: float = 60.0

    def __post_init__(self) -> None:
        if self.restarts < 0:
            raise SpecError(f"intensity: restarts must be 0 or more, not {self.restarts!r}")
        if not (math.isfinite(self.period_s) and self.period_s > 0):
            raise SpecError(f"intensity: period_s must be above 0, not {self.period_s!r}")


class RestartWindow:
    """The restarts of the last period. Time is what the caller says it is."""

    __slots__ = ("_intensity", "_times")

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        self._times: deque[float] = deque()

    def admit(self, now_s: float) -> bool:
        """Counts one more restart; False when it is too many. One exactly a period old counts."""
        times = self._times
        while times and now_s - times[0] > self._intensity.period_s:
            times.popleft()
        if len(times) >= self._intensity.restarts:
            return False
        times.append(now_s)
        return True
