"""Names that the system makes up itself. Randomness is passed in, so that a test can fix it."""

import random
from datetime import datetime

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS = 8


def workflow_id(workflow_type: str, at: datetime, chance: random.Random) -> str:
    """An id that says what it is and sorts by its time: `research-mb1x2k9q4h7t0c3a`.

    Milliseconds since 1970 and 41 random bits, both in base 36.
    """
    return f"{workflow_type}-{_base36(int(at.timestamp() * 1000))}{_random(chance)}"


def home_id(chance: random.Random) -> str:
    """The name of one installation among the clones of a repository."""
    return f"home-{_random(chance)}{_random(chance)}"


def _random(chance: random.Random) -> str:
    return "".join(chance.choices(_DIGITS, k=_RANDOM_DIGITS))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
