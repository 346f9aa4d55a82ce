"""The Prefer header (RFC 7240): to wait for the end of what was asked, or not to wait at all.

What nobody here knows, or what is badly written, is no reason to refuse: the answer names in
`Preference-Applied` what was done.
"""

import re
from dataclasses import dataclass
from typing import Final

from quart import Request, Response

LONGEST_WAIT_S: Final = 60
_WAIT: Final = re.compile(r'wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE)
_ASYNC: Final = "respond-async"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a client would rather have.

    Args:
        wait_s: for how long it would wait for the end; None where it says nothing of it.
        accepted: it wants to hear that its request was accepted, and nothing else.
    """

    wait_s: int | None
    accepted: bool

    @classmethod
    def of(cls, request: Request) -> "Preferences":
        words = [
            word.partition(";")[0].strip()
            for line in request.headers.getlist("Prefer")
            for word in line.split(",")
        ]
        found = [match for match in map(_WAIT.fullmatch, words) if match]
        wait_s = min(int(found[0][1]), LONGEST_WAIT_S) if found else None
        return cls(wait_s, any(word.lower() == _ASYNC for word in words))


def applied(response: Response, what: str) -> None:
    """Say which preference was followed."""
    response.headers["Preference-Applied"] = what
    response.headers.add("Vary", "Prefer")
