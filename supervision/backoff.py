"""How long to wait before the next restart: exponential, with jitter, forgetting after calm. Pure.

OTP restarts at once and relies on intensity alone; a child whose database is away then burns its
budget in a millisecond. The delay is Akka's addition. Jitter keeps siblings that fell together from
rising together.
"""

import math
from dataclasses import dataclass
from random import Random

from supervision.errors import SpecError

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays between restarts.

    Attributes:
        initial_s: delay in seconds before the first restart; 0 restarts at once, every time.
        factor: by what the delay grows with every failure in a row; 1 or more.
        max_s: no delay is longer, in seconds.
        jitter: share by which a delay is varied up or down at random, 0 to 1.
        reset_after_s: a child that was up this long, in seconds, has its failures forgotten.
    """

    initial_s: float = 0.05
    factor: float = 2.0
    max_s: float = 30.0
    jitter: float = 0.2
    reset_after_s: float = 60.0

    def __post_init__(self) -> None:
        self._require("initial_s", self.initial_s >= 0)
        self._require("factor", self.factor >= 1)
        self._require("max_s", self.max_s >= self.initial_s)
        self._require("jitter", 0 <= self.jitter <= 1)
        self._require("reset_after_s", self.reset_after_s > 0)

    def delay_s(self, failures: int, random: Random) -> float:
        """Returns the seconds to wait after the nth failure in a row, n from 1."""
        doublings = min(
            failures - 1, _ENOUGH
        )  # beyond this a float overflows; max_s rules long before
        delay = min(self.initial_s * self.factor**doublings, self.max_s)
        return min(delay * random.uniform(1 - self.jitter, 1 + self.jitter), self.max_s)

    def failures_in_a_row(self, before: int, up_s: float) -> int:
        """Counts a failure after `up_s` seconds of life; a calm life makes it the first again."""
        return 1 if up_s >= self.reset_after_s else before + 1

    def _require(self, name: str, holds: bool) -> None:
        value: float = getattr(self, name)
        if not (holds and math.isfinite(value)):
            raise SpecError(f"backoff: {name} cannot be {value!r}")


_ENOUGH = 64
