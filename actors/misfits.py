"""What a model says of a value that does not fit, in words for those who have sent JSON.

The one place that reads pydantic's errors for people: its words speak of Python's types, and of who
has raised. Every door and every activity that shows such a message takes it from here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

UNKNOWN: Final = "extra_forbidden"

_WORDS: Final = (
    (re.compile(r"^(Value error|Assertion failed), "), ""),
    (
        re.compile(r"^Input should be a valid (tuple|set|frozenset)$"),
        "Input should be a valid list",
    ),
    (
        re.compile(r"^Input should be a valid dictionary( or .*)?$"),
        "Input should be a valid object",
    ),
    (re.compile(r"^(Tuple|Set|Frozenset) should"), "List should"),
    (re.compile(r"^Dictionary should"), "Object should"),
    (re.compile(r" after validation, "), ", "),
)


@dataclass(frozen=True, slots=True)
class Misfit:
    """The first thing that does not fit.

    Args:
        place: names of fields and numbers of items, from the outside in.
        kind: pydantic's name for what is wrong.
        value: what was given there; not for display.
    """

    place: tuple[int | str, ...]
    kind: str
    words: str
    value: Any

    @property
    def is_unknown(self) -> bool:
        """Whether there is no such field."""
        return self.kind == UNKNOWN


def first(error: ValidationError) -> Misfit:
    """What is wrong first."""
    found = error.errors(include_url=False, include_context=False)[0]
    return Misfit(found["loc"], found["type"], in_words(found["msg"]), found["input"])


def in_words(message: str) -> str:
    """A message of pydantic's as it is shown."""
    for said, meant in _WORDS:
        message = said.sub(meant, message, count=1)
    return message


def fields_there(model: type[BaseModel], misfit: Misfit) -> str:
    """For a field that there is not: those that there are at its place, to follow the words.

    "" for all other misfits, and where it cannot be told which model was meant.
    """
    models: list[type[BaseModel]] = [model]
    for step in misfit.place[:-1]:
        fields = [one.model_fields[step] for one in models if step in one.model_fields]
        if fields:  # otherwise a key, a number, or what tells the types of a union apart
            models = [found for field in fields for found in _models(field.annotation)]
    if not misfit.is_unknown or len(models) != 1:
        return ""
    return f"; known: {', '.join(models[0].model_fields) or 'none'}"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
