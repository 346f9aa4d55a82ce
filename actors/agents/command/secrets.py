"""Takes the operator's secrets out of what a program says: logs, answers and files are kept.

A program is given keys in its variables, and tells what its tools have printed. Only values of
variables that are called like secrets are looked for: others are paths, addresses and numbers.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final

HIDDEN: Final = b"***"

_CALLED_SO: Final = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
_LEAST_BYTES: Final = 8  # what is shorter stands in other words, too


def secrets_in(env: Mapping[str, str]) -> tuple[bytes, ...]:
    """The values that are to be hidden, the longest first: one may be a part of another."""
    values = {os.fsencode(value) for name, value in env.items() if _CALLED_SO.search(name)}
    return tuple(sorted((v for v in values if len(v) >= _LEAST_BYTES), key=len, reverse=True))


def hide(said: bytes, secrets: Sequence[bytes]) -> bytes:
    """The same without them."""
    for secret in secrets:
        said = said.replace(secret, HIDDEN)
    return said
