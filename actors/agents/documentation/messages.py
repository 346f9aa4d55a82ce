"""What the documentation agent is asked, and what it answers.

Every answer is an `Outcome`; each names the commit it is about, so that a later step can go on from
the same one although the branch has moved on.
"""

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from actors.agents.kit.outcome import Model, Outcome, Place

PAGES: Final = "docs/api"
MAX_REPAIRS: Final = 1_000
MAX_FINDINGS: Final = 1_000
"""Of one activity: what a step comes to has to fit into the history. Metrics count all."""


def relative_path(text: str) -> str:
    """A path below the repository's root, as it is written in a request; ValueError if it is not.

    What Git keeps for itself is none.
    """
    path = PurePosixPath(text)
    parts = path.parts
    odd = path.is_absolute() or not parts or "\\" in text or not text.isprintable()
    if odd or any(part in {"..", "."} or part.casefold() == ".git" for part in text.split("/")):
        raise ValueError("give a path below the repository's root, e.g. 'docs/api'")
    return str(path)


RelativePath = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(relative_path)]
Ref = Annotated[str, Field(min_length=1, max_length=250)]
Percent = Annotated[float, Field(ge=0.0, le=100.0, allow_inf_nan=False)]


class Check(StrEnum):
    """What a review looks at."""

    SPELLING = "spelling"
    LINKS = "links"
    CODE = "code"


class Request(Model):
    """What all requests have.

    Attributes:
        ref: a branch, a tag or a commit.
        packages: paths of the packages to look at; () looks at all that would be installed.
    """

    ref: Ref = "HEAD"
    packages: tuple[RelativePath, ...] = Field(default=(), max_length=100)


class GenerateRequest(Request):
    """Asks for the pages of the API reference.

    Attributes:
        pages: the directory they are for; those that are there already are compared.
        branch: on which a later step is to commit: without it being free, nothing is done.
    """

    pages: RelativePath = PAGES
    branch: Ref | None = None


class PageStatus(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    GONE = "gone"
    KEPT = "kept"  # somebody wrote it by hand: it is not replaced


class PageNote(Model):
    path: str
    status: PageStatus


class Generated(Outcome):
    """The pages, as they would be, against those that are committed."""

    commit: str
    pages: tuple[PageNote, ...] = ()


class CoverageRequest(Request):
    """Asks what public things have no docstring, and what options no page speaks of.

    Attributes:
        minimum_percent: of public things that have to be described.
    """

    minimum_percent: Percent = 0.0


class Coverage(Outcome):
    """How much is described."""

    commit: str
    described: int = Field(ge=0)
    total: int = Field(ge=0)
    percent: float
    passed: bool


class ReviewRequest(Request):
    """Asks what is wrong with the documents.

    Attributes:
        run_code: whether Python and console blocks are run; None leaves it to the agent's
            configuration.
    """

    checks: tuple[Check, ...] = (Check.SPELLING, Check.LINKS, Check.CODE)
    run_code: bool | None = None


class Repair(Model):
    """A change of one line that mends a finding.

    Attributes:
        old: what the line has to hold, else the repair is not made; the first of several is mended.
    """

    rule: str
    place: Place
    old: Annotated[str, Field(min_length=1, max_length=2_000)]
    new: Annotated[str, Field(max_length=2_000)]


class Review(Outcome):
    """What is wrong with the documents, and what can be mended."""

    commit: str
    repairs: tuple[Repair, ...] = Field(default=(), max_length=MAX_REPAIRS)


class ApiChangesRequest(Request):
    """Asks what became of the public API since another commit."""

    base: Ref


class Change(Model):
    """Something public that is new or another than it was.

    Attributes:
        path: its full name.
        what: what is new about it; of a breaking change, what callers notice.
    """

    path: str
    what: str
    place: Place | None = None


class ApiChanges(Outcome):
    """What became of the public API. Each breaking change is a finding as well.

    Attributes:
        changelog: Markdown for a changelog; "" when nothing changed.
    """

    base: str
    commit: str
    breaking: tuple[Change, ...] = ()
    added: tuple[Change, ...] = ()
    changelog: str = ""


class UpdateRequest(Request):
    """Asks for the changes to be made, on a branch of their own.

    Attributes:
        branch: where they are committed; None makes a branch for this workflow.
        pages: the directory of the API reference; None leaves it alone.
        changelog: put under "Unreleased" of the changelog, unless it says so already.
    """

    branch: Ref | None = None
    pages: RelativePath | None = PAGES
    repairs: tuple[Repair, ...] = Field(default=(), max_length=MAX_REPAIRS)
    changelog: Annotated[str, Field(max_length=100_000)] = ""


class Updated(Outcome):
    """What was changed.

    Attributes:
        base: the commit the changes stand on.
        commit: None when there was nothing to change.
    """

    branch: str
    base: str
    commit: str | None
    diffstat: str = ""
    files: tuple[str, ...] = ()


class DocumentationRequest(Request):
    """The workflow's variables.

    Attributes:
        base: a commit; the changelog says what became of the API since.
        update: False only reports.
        branch: where the changes are committed; None makes a branch for this workflow.
    """

    base: Ref | None = None
    pages: RelativePath = PAGES
    checks: tuple[Check, ...] = (Check.SPELLING, Check.LINKS, Check.CODE)
    run_code: bool | None = None
    minimum_percent: Percent = 0.0
    update: bool = True
    branch: Ref | None = None


class ReportRequest(Model):
    """Asks for the report of what the other activities answered."""

    generated: Generated
    coverage: Coverage
    review: Review
    changes: ApiChanges | None = None
    update: Updated | None = None

    @property
    def parts(self) -> tuple[Outcome, ...]:
        parts = (self.generated, self.coverage, self.review, self.changes, self.update)
        return tuple(part for part in parts if part is not None)


class DocumentationReport(Outcome):
    """What the workflow comes to.

    Attributes:
        passed: enough is described, and no link, anchor or code block is broken.
        commit: that was looked at.
        update: what was changed; None when only a report was asked for.
        words: of a model, where one is configured; Markdown that shows as text.
    """

    passed: bool
    commit: str
    coverage_percent: float
    breaking: tuple[Change, ...] = ()
    added: tuple[Change, ...] = ()
    update: Updated | None = None
    words: str = ""
    markdown: str
