"""Commands in requests: a list of words, or one line that is told apart as a shell does."""

import shlex
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

MOST_WORDS: Final = 500
WORD_CHARACTERS: Final = 4_000


def _words(value: object) -> object:
    """No shell reads it: the line is only split."""
    return shlex.split(value) if isinstance(value, str) else value


Word = Annotated[str, StringConstraints(max_length=WORD_CHARACTERS, pattern=r"^[^\x00]*$")]
Argv = Annotated[
    tuple[Word, ...],
    BeforeValidator(_words),
    Field(max_length=MOST_WORDS),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}),
]
