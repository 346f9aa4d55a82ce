"""What the validation agent is asked and what it answers. Every model is JSON both ways."""

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from actors.agents.kit.argv import Argv
from actors.agents.kit.followups import Opened
from actors.agents.kit.junit import Results
from actors.agents.kit.outcome import Finding, Model, Outcome, StoredFile

CRITERIA_CHARACTERS: Final = 64 * 1024
REF_CHARACTERS: Final = 250

Ref = Annotated[str, Field(min_length=1, max_length=REF_CHARACTERS)]


def _below_the_root(pattern: str) -> str:
    path = PurePosixPath(pattern)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{pattern[:80]!r} is no pattern below the root of the work tree")
    return pattern


Pattern = Annotated[str, Field(max_length=500), AfterValidator(_below_the_root)]
Percent = Annotated[float, Field(ge=0.0, le=100.0, allow_inf_nan=False)]

_REF = "the commit that is looked at: a branch, a tag or an id"
_BASE = "the commit from which on changes count; without it all files do"


class Verdict(StrEnum):
    """What validation comes to. A person decides where something could not be checked."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    NEEDS_HUMAN = "needs_human"


# --- tests ---------------------------------------------------------------------------------------


class TestRequest(Model):
    """Asks for a run of the tests."""

    __test__ = False

    ref: Ref = Field(default="HEAD", description=_REF)
    command: Argv = Field(
        default=(),
        description="what runs the tests; without it the runner that the files of the project show",
    )
    reports: Pattern = Field(
        default="",
        description="where that command writes JUnit files, a pattern below the root; without it "
        "its exit status counts",
    )
    coverage: bool = Field(default=False, description="measure which lines the tests run (pytest)")
    base: Ref | None = Field(
        default=None, description="a commit that later steps need: without it no test is run"
    )
    issue_id: str = Field(
        default="", description="an issue that later steps need: without it no test is run"
    )

    @model_validator(mode="after")
    def _names_what_writes_reports(self) -> Self:
        _reports_need_a_command(self.command, self.reports)
        return self


def _reports_need_a_command(command: Argv, reports: str) -> None:
    """A known runner writes its own, so that a pattern would be without effect."""
    if reports and not command:
        raise ValueError("reports are those that a command writes: name the `command` as well")


class TestOutcome(Outcome):
    """What the tests came to.

    Attributes:
        runner: empty where there was none.
        coverage: the stored coverage report, where it was measured.
    """

    __test__ = False

    ref: str
    commit: str
    runner: str = ""
    results: Results = Results()
    coverage: StoredFile | None = None


# --- review --------------------------------------------------------------------------------------


class ReviewRequest(Model):
    """Asks for static analysis of a change."""

    ref: Ref = Field(default="HEAD", description=_REF)
    base: Ref | None = Field(default=None, description=_BASE)


class ReviewOutcome(Outcome):
    """What static analysis found on the lines that changed.

    Attributes:
        base: id of the commit from which on changes count; None where all files do.
        tools: those that ran.
        elsewhere: findings on other lines, which are not listed.
    """

    ref: str
    commit: str
    base: str | None
    files: int
    tools: tuple[str, ...]
    elsewhere: int = 0


# --- coverage ------------------------------------------------------------------------------------


class CoverageRequest(Model):
    """Asks how much of a change the tests run."""

    ref: Ref = Field(default="HEAD", description=_REF)
    base: Ref = Field(description="the commit from which on changes count")
    coverage: StoredFile | None = Field(
        default=None, description="what run_tests has stored; without it nothing can be said"
    )
    minimum: Percent = Field(default=80.0, description="per cent of the changed lines")


class CoverageOutcome(Outcome):
    """Which changed lines the tests do not run; `percent` is None where none can be run."""

    percent: float | None
    minimum: float
    lines: int
    is_met: bool


# --- acceptance ----------------------------------------------------------------------------------


class AcceptRequest(Model):
    """Asks whether criteria are met, those of an issue or those given."""

    ref: Ref = Field(default="HEAD", description=_REF)
    issue_id: str = Field(default="", description="whose acceptance criteria are checked")
    criteria: str = Field(
        default="",
        max_length=CRITERIA_CHARACTERS,
        description="one criterion in a line; `cmd: make test`, `file: docs/*.md` and "
        "`text: README.md: Install` are checked, anything else is for a person",
    )


class Criterion(Model):
    """One criterion and what became of it.

    Attributes:
        evidence: ids of what was seen.
    """

    text: str
    kind: str
    verdict: Verdict
    why: str
    evidence: tuple[str, ...] = ()


class AcceptOutcome(Outcome):
    criteria: tuple[Criterion, ...]
    issue_id: str = ""


# --- the report ----------------------------------------------------------------------------------


class ReportRequest(Model):
    """Asks for the verdict over everything that was found out."""

    ref: Ref = "HEAD"
    tests: TestOutcome | None = None
    review: ReviewOutcome | None = None
    coverage: CoverageOutcome | None = None
    acceptance: AcceptOutcome | None = None
    issue_id: str = Field(default="", description="what follow-up issues are discovered from")
    follow_ups: bool = Field(default=True, description="open issues for what is wrong")


class Reason(Model):
    """Why the verdict is what it is."""

    verdict: Verdict
    text: str


class Validation(Outcome):
    """The report.

    Attributes:
        reasons: those that count most first.
        issues: which follow-ups have.
        words: of a model, where one is configured; Markdown that shows as text.
    """

    ref: str
    commit: str = ""
    verdict: Verdict
    reasons: tuple[Reason, ...]
    criteria: tuple[Criterion, ...] = ()
    issues: tuple[Opened, ...] = ()
    words: str = ""
    markdown: str


class ValidationRequest(Model):
    """The workflow's variables."""

    ref: Ref = Field(default="HEAD", description=_REF)
    base: Ref | None = Field(default=None, description=_BASE)
    command: Argv = Field(default=(), description="what runs the tests, as for run_tests")
    reports: Pattern = Field(
        default="", description="where it writes JUnit files, as for run_tests"
    )
    minimum_coverage: Percent | None = Field(
        default=None,
        description="per cent of the changed lines that tests have to run; needs a base",
    )
    issue_id: str = Field(default="", description="whose acceptance criteria are checked")
    criteria: str = Field(
        default="", max_length=CRITERIA_CHARACTERS, description="further acceptance criteria"
    )
    follow_ups: bool = Field(default=True, description="open issues for what is wrong")

    @model_validator(mode="after")
    def _names_what_writes_reports(self) -> Self:
        _reports_need_a_command(self.command, self.reports)
        return self

    @model_validator(mode="after")
    def _asks_for_what_can_be_measured(self) -> Self:
        """A gate that could never close would look as if it had been passed."""
        if self.minimum_coverage is not None and self.base is None:
            raise ValueError(
                "minimum_coverage is about changed lines: name the `base` from which on they count"
            )
        return self


FINDINGS: Final = 300
"""Findings in an answer; a stored file has all of them."""


def shown(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(findings[:FINDINGS])
