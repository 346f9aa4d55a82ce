"""What a search in the code is asked for, and what it answers."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from actors.agents.kit.outcome import Model, Outcome, Place

QUERY_CHARACTERS: Final = 500


class Kind(StrEnum):
    """How a query is read."""

    WORDS = "words"
    TEXT = "text"
    REGEX = "regex"


class CodeSearchRequest(Model):
    """Asks where in the code something is. Upper and lower case are the same."""

    query: str = Field(
        min_length=1,
        max_length=QUERY_CHARACTERS,
        pattern=r"^[^\x00\r\n]+$",
        description="Words, a text, or a regular expression",
    )
    kind: Kind = Field(
        default=Kind.WORDS,
        description="words: any of the words that mean something, more of them first; text: as it "
        "is written; regex: as ripgrep understands it",
    )
    paths: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        default=(),
        max_length=50,
        description="Only files whose path one of these fits, e.g. src/*.py; * also fits /",
    )
    hits: int = Field(default=20, ge=1, le=100, description="How many are answered")
    context: int = Field(default=2, ge=0, le=5, description="Lines before and after each")


class Symbol(Model):
    """A class, a function, an attribute or a module of Python code."""

    name: str
    kind: str
    place: Place
    summary: str


class Hit(Model):
    """A line that fits.

    Attributes:
        score: how telling it is: a definition more than a use, code more than tests and documents.
        inside: the class or function it is in, where that is known.
        words: which of the query's words are on the line.
    """

    place: Place
    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    score: float
    inside: str | None
    words: tuple[str, ...]


class CodeSearch(Outcome):
    """The lines that fit best, and the symbols whose names fit."""

    tool: str
    hits: tuple[Hit, ...]
    symbols: tuple[Symbol, ...]
