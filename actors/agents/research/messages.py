"""What the research agent is asked and what it answers.

Every model is JSON both ways, because each is stored as a step's result. The facts themselves are
in `facts.py`.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from packaging.utils import InvalidName, canonicalize_name
from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from actors.agents.kit.followups import Opened
from actors.agents.kit.outcome import Finding, Skipped, StoredFile
from actors.agents.research.dependency_messages import Dependencies, LicencePolicy
from actors.agents.research.facts import Analysis, Candidate, Discovery, Evidence, Gap, Model
from actors.agents.research.inventory_messages import Inventory
from actors.agents.research.search_messages import CodeSearch
from actors.agents.research.vulnerability_messages import Vulnerabilities

MAX_CANDIDATES: Final = 20
MAX_NAME_CHARACTERS: Final = 100


class Criterion(StrEnum):
    """What candidates are compared by."""

    RELEVANCE = "relevance"
    MAINTENANCE = "maintenance"
    CADENCE = "cadence"
    PYTHON = "python"
    WHEELS = "wheels"
    LICENCE = "licence"
    DEPENDENCIES = "dependencies"
    MATURITY = "maturity"
    TYPED = "typed"
    ASYNC_FIT = "async_fit"
    IN_USE = "in_use"


DEFAULT_WEIGHTS: Final[dict[Criterion, float]] = {
    Criterion.RELEVANCE: 2.0,
    Criterion.MAINTENANCE: 2.0,
    Criterion.CADENCE: 1.0,
    Criterion.PYTHON: 2.0,
    Criterion.WHEELS: 1.0,
    Criterion.LICENCE: 1.5,
    Criterion.DEPENDENCIES: 1.0,
    Criterion.MATURITY: 1.0,
    Criterion.TYPED: 0.5,
    Criterion.ASYNC_FIT: 2.0,
    Criterion.IN_USE: 1.5,
}


LABELS: Final[dict[Criterion, str]] = {
    Criterion.RELEVANCE: "relevance",
    Criterion.MAINTENANCE: "maintenance",
    Criterion.CADENCE: "release cadence",
    Criterion.PYTHON: "Python versions",
    Criterion.WHEELS: "wheels",
    Criterion.LICENCE: "licence",
    Criterion.DEPENDENCIES: "dependencies",
    Criterion.MATURITY: "maturity",
    Criterion.TYPED: "types",
    Criterion.ASYNC_FIT: "async fit",
    Criterion.IN_USE: "use in the project",
}


def candidate_name(text: str) -> str:
    """Parses the name of a distribution into its canonical form, or refuses it with ValueError."""
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise ValueError(f"a candidate's name has 1 to {MAX_NAME_CHARACTERS} characters")
    try:
        return canonicalize_name(name, validate=True)
    except InvalidName as err:
        raise ValueError(
            f"{name!r} is not the name of a distribution: use letters, digits, '.', '_' and '-', "
            "as in 'pip install <name>', without a version"
        ) from err


def _names(value: object) -> object:
    if isinstance(value, str):
        return [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError("give a list of names, or one string with commas between them")  # noqa: TRY004 - pydantic reports ValueError only
    return value


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


CandidateName = Annotated[str, AfterValidator(candidate_name)]
CandidateNames = Annotated[
    tuple[CandidateName, ...],
    BeforeValidator(_names),
    AfterValidator(_distinct),
    Field(max_length=MAX_CANDIDATES),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string"}, "maxItems": MAX_CANDIDATES},
                {"type": "string"},
            ]
        }
    ),
]
Weight = Annotated[float, Field(ge=0.0, le=100.0, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=0.0, le=1.0)]
Question = Annotated[str, Field(min_length=3, max_length=2_000)]


class ResearchRequest(Model):
    """The workflow's variables."""

    question: Question = Field(
        validation_alias=AliasChoices("question", "query"),
        description="What to find out, e.g. 'Which SQLite library should this project use?'",
    )
    candidates: CandidateNames = Field(
        default=(),
        description=(
            "Names of distributions to compare, a list or one comma-separated string; without any, "
            "the project's own dependencies that match words of the question are compared; where "
            "none does, the report is on the project alone"
        ),
    )
    weights: dict[Criterion, Weight] = Field(
        default_factory=dict,
        description="Overrides the weight of single criteria; 0 leaves a criterion out",
    )
    policy: LicencePolicy = Field(
        default=LicencePolicy(),
        description="Which licences the dependencies may have; without, the project's own decides",
    )
    follow_ups: bool = Field(
        default=False, description="Open an issue for each error found in the project"
    )

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if not any({**DEFAULT_WEIGHTS, **self.weights}.values()):
            raise ValueError("every criterion has the weight 0: leave at least one above 0")
        return self


class DiscoverRequest(Model):
    """Asks for the facts about each candidate."""

    question: Question
    candidates: CandidateNames = Field(min_length=1)


class AnalyseRequest(Model):
    """Asks for the facts about the repository."""

    question: Question
    candidates: CandidateNames = ()
    as_of: AwareDatetime | None = None


class Use(Model):
    """How far a candidate is in use in the project already."""

    candidate: str
    declared: tuple[str, ...]  # "pyproject.toml (runtime)"
    runtime: bool
    import_names: tuple[str, ...]
    names_from: str  # "installed metadata", "wheel contents" or "a guess from the name"
    imported_files: int
    places: tuple[str, ...]


class Cell(Model):
    """One candidate on one criterion; a score of None means that the fact is unknown."""

    candidate: str
    criterion: Criterion
    score: Score | None
    reason: str
    evidence: tuple[str, ...]


class Ranked(Model):
    candidate: str
    rank: int
    score: Score | None
    known: Score  # the share of the weights that rests on known facts
    blockers: tuple[str, ...]


class Claim(Model):
    """A sentence that rests on evidence."""

    text: str
    evidence: tuple[str, ...]


class SynthesiseRequest(Model):
    """Asks for the judgement over both sets of facts."""

    question: Question
    weights: dict[Criterion, Weight] = Field(default_factory=dict)
    discovery: Discovery
    analysis: Analysis
    as_of: AwareDatetime
    inventory: Inventory | None = None
    dependencies: Dependencies | None = None
    vulnerabilities: Vulnerabilities | None = None
    search: CodeSearch | None = None
    issue_id: str = Field(default="", description="What follow-up issues are discovered from")
    follow_ups: bool = Field(default=False, description="Open issues for errors")


class Report(Model):
    """What there is to say of the candidates. Older runs have recorded it: it stays as it is."""

    question: str
    as_of: AwareDatetime
    candidates: tuple[str, ...]
    recommendation: str
    reasons: tuple[Claim, ...]
    summary: str = Field(max_length=400)
    confidence: Score
    confidence_reason: str
    ranking: tuple[Ranked, ...]
    matrix: tuple[Cell, ...]
    weights: dict[Criterion, float]
    relations: tuple[Claim, ...]
    sensitivity: tuple[Claim, ...]
    open_questions: tuple[str, ...]
    uses: tuple[Use, ...]
    discovery: tuple[Candidate, ...]
    repository: Analysis
    evidence: tuple[Evidence, ...]
    gaps: tuple[Gap, ...]
    markdown: str


class ProjectReport(Report):
    """The answer: the candidates, and the project as a whole.

    No field has a default, so that what older runs have recorded is not taken for one of these.

    Attributes:
        inventory: None, as the three after it, in a run that had begun before there were any.
        search: lines of code that have to do with the question.
        findings: what is wrong with the project itself, the worst first.
        skipped: what was not looked at, and what to install for it.
        artifacts: the same report as files.
        issues: those that were opened, or had been, for errors.
        prose: a few words of a model about the report; None without a model.
    """

    inventory: Inventory | None
    dependencies: Dependencies | None
    vulnerabilities: Vulnerabilities | None
    search: CodeSearch | None
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    artifacts: tuple[StoredFile, ...]
    issues: tuple[Opened, ...]
    prose: str | None
