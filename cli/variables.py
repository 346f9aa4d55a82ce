"""Variables on the command line: `k=v` is text, `k:=json` is JSON, a repeated key makes a list.

Nothing else is guessed: `count=3` stays the text "3" and `candidates=a,b` stays one text, because
the workflow's own model knows what it wants and says so when it is not that.
"""

import json
from collections.abc import Sequence
from typing import Any

from cli import problem


def parse(assignments: Sequence[str]) -> dict[str, Any]:
    """Raises: Problem (usage) for an assignment without a name or `=`, or with broken JSON."""
    found: dict[str, list[Any]] = {}
    for assignment in assignments:
        name, value = _assignment(assignment)
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _assignment(assignment: str) -> tuple[str, Any]:
    left, equals, value = assignment.partition("=")
    name = left.removesuffix(":")
    if not equals or not name:
        raise problem.usage(
            "A variable needs a name and a value",
            assignment,
            hint="--var name=text, or --var name:=json",
        )
    return name, value if left == name else _json(name, value)


def _json(name: str, value: str) -> Any:
    try:
        return json.loads(value, parse_constant=_refuse_constant)
    except ValueError as err:
        raise problem.usage(
            f"The value of {name} is not JSON",
            str(err),
            hint=f"for plain text write --var {name}=…; `:=` announces JSON",
        ) from err


def _refuse_constant(constant: str) -> None:
    # Python reads NaN and Infinity, but no JSON can carry them to the server.
    raise ValueError(constant)
