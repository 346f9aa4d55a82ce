"""JSON that is given on the command line, as the value of an option."""

import json
from typing import Any

from cli import problem


def read(option: str, text: str | None) -> Any:
    """The value; None where the option was not given.

    Raises:
        Problem: (usage) it is no JSON.
    """
    if text is None:
        return None
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as err:
        raise problem.usage(
            f"What {option} gives is not JSON", str(err), hint=f"a text is {option} '\"text\"'"
        ) from err


def _refuse_constant(constant: str) -> None:
    # Python reads NaN and Infinity, but no JSON can carry them to the server.
    raise ValueError(constant)
