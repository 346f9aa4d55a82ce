"""Paths on the command line and in the environment.

An empty one is what a script gives whose variable is not set. Python takes it for the current
directory, where a restore or a backup was not meant to go, so it is refused.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cyclopts import Parameter, Token


def _given(kind: object, tokens: Sequence[Token]) -> Path:
    del kind
    if not tokens[0].value:
        raise ValueError("the path is empty; name one")
    return Path(tokens[0].value)


PATH: Final = Parameter(converter=_given)
"""Belongs into the annotation of every parameter that is a path."""


def named(path: Path) -> Path:
    """An absolute path without `~` and `..`. A link at its end is not followed: it is looked at."""
    whole = path.expanduser().absolute()
    return whole.resolve() if whole.name == ".." else whole.parent.resolve() / whole.name
