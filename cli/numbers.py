"""Whole numbers on the command line.

The parser would round: half a day, or a version and a half, becomes something that nobody said.
"""

import re
from collections.abc import Sequence
from typing import Final

from cyclopts import Parameter, Token

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")


def _given(kind: object, tokens: Sequence[Token]) -> int:
    del kind
    text = tokens[0].value
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


WHOLE: Final = Parameter(converter=_given)
"""Belongs into the annotation of every parameter that is a whole number."""
