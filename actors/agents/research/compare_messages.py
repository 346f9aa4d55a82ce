"""What a comparison is asked for, and what it answers."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from actors.agents.kit.outcome import Evidence, Model, Outcome
from actors.agents.research.messages import Claim, Ranked, Score, Weight

MAX_OPTIONS = 20
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]
Reason = Annotated[str, Field(max_length=500)]


class WeighedCriterion(Model):
    """What options are compared by, and how much it counts."""

    name: Name
    weight: Weight = 1.0
    better: Literal["higher", "lower"] = Field(
        default="higher", description="Which values are better; a score is better when higher"
    )


class Value(Model):
    """What is known of one option on one criterion: a score, or a value that is made one."""

    option: Name
    criterion: Name
    score: Score | None = Field(default=None, description="0 for the worst, 1 for the best")
    value: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="A measured number; the best of all options becomes 1"
    )
    reason: Reason = ""
    evidence: tuple[str, ...] = Field(default=(), max_length=50)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.score is None) == (self.value is None):
            raise ValueError(f"{self.option} on {self.criterion}: give a score or a value")
        return self


class CompareRequest(Model):
    """Asks which option is best. What is not said of an option is unknown, which is not bad."""

    question: str = Field(min_length=3, max_length=2_000)
    options: tuple[Name, ...] = Field(min_length=1, max_length=MAX_OPTIONS)
    criteria: tuple[WeighedCriterion, ...] = Field(min_length=1, max_length=50)
    values: tuple[Value, ...] = Field(max_length=1_000)
    evidence: tuple[Evidence, ...] = Field(default=(), max_length=1_000)
    obstacles: dict[Name, tuple[Reason, ...]] = Field(
        default_factory=dict, description="What keeps an option from being chosen, by its name"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        options, criteria = set(self.options), {c.name for c in self.criteria}
        _once("option", self.options)
        _once("criterion", (criterion.name for criterion in self.criteria))
        _once("evidence", (evidence.id for evidence in self.evidence))
        _once("value", (f"{v.option} on {v.criterion}" for v in self.values))
        _known("option", options, (v.option for v in self.values))
        _known("option", options, self.obstacles)
        _known("criterion", criteria, (v.criterion for v in self.values))
        known = {evidence.id for evidence in self.evidence}
        _known("evidence", known, (one for value in self.values for one in value.evidence))
        if not any(criterion.weight for criterion in self.criteria):
            raise ValueError("every criterion has the weight 0: leave at least one above 0")
        return self


def _once(what: str, names: Iterable[str]) -> None:
    double = [name for name, number in Counter(names).items() if number > 1]
    if double:
        raise ValueError(f"the {what} {double[0]!r} is given twice")


def _known(what: str, known: set[str], names: Iterable[str]) -> None:
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"there is no {what} {unknown[0]!r}; given: {', '.join(sorted(known))}")


class Entry(Model):
    """One field of the matrix."""

    candidate: str
    criterion: str
    score: Score | None
    reason: str
    evidence: tuple[str, ...]


class Comparison(Outcome):
    """The matrix, the order, and what it hangs on.

    Attributes:
        chosen: the first, unless it has an obstacle, nothing is known of it, or another is equal.
    """

    question: str
    chosen: str | None
    ranking: tuple[Ranked, ...]
    matrix: tuple[Entry, ...]
    weights: dict[str, float]
    sensitivity: tuple[Claim, ...]
    confidence: Score
    confidence_reason: str
    markdown: str
