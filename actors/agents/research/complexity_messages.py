"""What a measurement of complexity is asked for, and what it answers."""

from typing import Annotated

from pydantic import Field

from actors.agents.kit.outcome import Model, Outcome, Place


class ComplexityRequest(Model):
    """Asks which functions have many ways through them."""

    paths: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        default=(),
        max_length=50,
        description="Only files whose path one of these fits, e.g. src/*.py; * also fits /",
    )
    threshold: int = Field(
        default=15, ge=1, le=1_000, description="A function above it is a finding"
    )
    shown: int = Field(default=20, ge=1, le=200, description="How many functions are listed")


class Function(Model):
    """One function: `complexity` is the number of ways through it, by McCabe."""

    name: str
    place: Place
    complexity: int
    lines: int
    parameters: int


class Complexity(Outcome):
    """The most complex functions first."""

    threshold: int
    functions: tuple[Function, ...]
