"""How long the storms last: short by default, long in `make soak`."""

import os

__all__ = ["STORM", "amount"]

SOAK = 10_000
STORM = int(os.environ.get("BEADFLOW_STORM", "2000"))
"""Crashes in a storm; from 10,000 on, everything else that comes in masses takes its long form."""


def amount(*, usual: int, soak: int) -> int:
    """Chooses the number of whatever a suite does in masses."""
    return soak if STORM >= SOAK else usual
