"""Token buckets that are counted in one number each, for as many keys as there is room for.

A bucket of `burst` tokens that fills at `per_s` is the moment at which it is full again (the
generic cell rate algorithm): a request moves that moment on by 1/per_s, and is refused where it
would then lie further ahead than the burst allows. A full bucket is one that nobody needs to know
of, so memory goes with those who have just asked; beyond KEYS of them the one that asked least
recently is forgotten. The packages for this count windows, keep all keys, and read the clock of the
day.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from api.exposure import Rate

KEYS: Final = 10_000
"""Buckets that are kept at most, of one rate."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of asking for a token.

    Args:
        granted: whether there was one.
        left: tokens that may be drawn at once now.
        full_s: seconds until the bucket is full.
        wait_s: seconds until there is one, 0 where it was granted.
    """

    granted: bool
    left: int
    full_s: float
    wait_s: float


class Buckets:
    """The buckets of one rate, by whoever draws from them.

    Args:
        rate: what each of them holds and how fast it fills; its `per_s` is not 0.
        keys: buckets that are kept at most.
    """

    def __init__(self, rate: Rate, keys: int = KEYS) -> None:
        self._step_s = 1.0 / rate.per_s
        self._depth_s = rate.burst * self._step_s
        self._keys = keys
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def draw(self, key: str, now: float) -> Drawn:
        """Take a token, if there is one."""
        found = self._look(key, now)
        if not found.granted:
            return found
        self._full_at[key] = full_at = now + found.full_s + self._step_s
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._keys:
            self._forget(now)
        return Drawn(True, found.left - 1, full_at - now, 0.0)

    def _look(self, key: str, now: float) -> Drawn:
        full_s = max(self._full_at.get(key, now) - now, 0.0)
        # what is left is rounded, or a burst of 10 would hold 9 for the sake of the last digit
        left = math.floor((self._depth_s - full_s) / self._step_s + 1e-9)
        wait_s = 0.0 if left >= 1 else full_s + self._step_s - self._depth_s
        return Drawn(left >= 1, max(left, 0), full_s, wait_s)

    def _forget(self, now: float) -> None:
        """Make room: those that are full again and lie in front, and one in any case."""
        self._full_at.popitem(last=False)
        while self._full_at and next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)
