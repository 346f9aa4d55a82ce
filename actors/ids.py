"""Names that the system makes up itself. Randomness is passed in, so that a test can fix it."""

import random
import re
from datetime import datetime

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS = 8
_CHOSEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,99}")
_CHILD = re.compile(r"\.[0-9.~]+$")
_TAKEN = frozenset({"types", "batch"})


def workflow_id(workflow_type: str, at: datetime, chance: random.Random) -> str:
    """An id that says what it is and sorts by its time: `research-mb1x2k9q4h7t0c3a`.

    Milliseconds since 1970 and 41 random bits, both in base 36.
    """
    return f"{workflow_type}-{_base36(int(at.timestamp() * 1000))}{_random(chance)}"


def is_chosen_id(text: str) -> bool:
    """Whether a workflow may be called so: 1 to 100 letters, digits, ".", "_", "~" and "-".

    It begins with a letter or a digit, and is not what an address takes for something else
    ("types"), nor what a child is called, which is its parent's id and a number: "parent.3".
    """
    return bool(_CHOSEN.fullmatch(text)) and text not in _TAKEN and not _CHILD.search(text)


def is_reserved_id(text: str) -> bool:
    """Whether the text stands for something else where an address has a workflow's id."""
    return text in _TAKEN


def message_id(chance: random.Random) -> str:
    """The name of a signal whose sender has given it none."""
    return f"message-{_random(chance)}{_random(chance)}"


def move_id(chance: random.Random) -> str:
    """The name of one time that a workflow goes from one agent to another."""
    return f"move-{_random(chance)}{_random(chance)}"


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
