"""What the workflow `feature` is started with, and what it comes to."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from actors.agents.documentation.messages import PAGES, RelativePath
from actors.agents.kit.argv import Argv
from actors.agents.kit.outcome import Model, Outcome
from actors.agents.poc.messages import Key, PocRequest, Ref, Template
from actors.agents.research.messages import CandidateNames, Question
from actors.agents.validation.messages import CRITERIA_CHARACTERS, Percent, Verdict
from actors.workflows.gates import Decision

LONGEST_S = 366 * 24 * 3600.0

Seconds = Annotated[float, Field(gt=0, le=LONGEST_S, allow_inf_nan=False)]


class FeatureRequest(Model):
    """The workflow's variables.

    Attributes:
        title: what the feature is: it heads the gate, the commit and the reports.
        question: what research is to find out first; without one, the title.
        candidates: libraries that are compared; see the workflow `research`.
        patch, files, template, prompt, preset, command: what is changed, as in the workflow `poc`;
            something has to be.
        ref: where the branch begins.
        branch: None is `beadflow/<workflow>`.
        decide_within_s: seconds after which a gate that nobody has answered is rejected.
        benchmark: whether speed is compared with that of `ref`.
        minimum_coverage: per cent of the changed lines that tests have to run.
        criteria, issue_id: what the change has to meet; see the workflow `validation`.
        pages: the directory of the API reference.
    """

    title: str = Field(min_length=3, max_length=300)
    question: Question | None = None
    candidates: CandidateNames = ()
    patch: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    template: Template | None = None
    prompt: str = Field(default="", max_length=200_000)
    preset: str | None = Field(default=None, max_length=100)
    command: Argv = ()
    ref: Ref = "HEAD"
    branch: Ref | None = None
    decide_within_s: Seconds | None = None
    install: bool = True
    build_command: Argv = ()
    test_command: Argv = ()
    benchmark: bool = True
    minimum_coverage: Percent | None = None
    criteria: str = Field(default="", max_length=CRITERIA_CHARACTERS)
    issue_id: Key = ""
    pages: RelativePath = PAGES

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.patch or self.files or self.template or self.prompt or self.command):
            raise ValueError("say what is to be changed: patch, files, template, prompt or command")
        self.trial()  # what it does not take is refused now, and not after a person was asked
        return self

    def trial(self) -> PocRequest:
        """What is asked of the proof of concept."""
        same = FeatureRequest.model_fields.keys() & PocRequest.model_fields.keys()
        return PocRequest(**{name: getattr(self, name) for name in same})


class Stage(StrEnum):
    """How far it got."""

    RESEARCH = "research"
    POC = "poc"
    VALIDATION = "validation"
    DOCUMENTATION = "documentation"


class Feature(Outcome):
    """What it came to.

    Attributes:
        done: the branch builds, was found valid and is documented.
        stage: the last one that was done.
        decisions: how the gates were answered, in order.
        branch: where the change is; "" before there is one.
        base: the commit that it begins at.
        commit: its tip.
        verdict: of the validation; None where it did not get there.
        documented: whether enough is described and no link is broken; None likewise.
    """

    done: bool
    stage: Stage
    decisions: tuple[Decision, ...]
    branch: str = ""
    base: str = ""
    commit: str = ""
    verdict: Verdict | None = None
    documented: bool | None = None
    markdown: str
