"""What the command agent is asked, and what it answers. Every model is JSON both ways."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import (
    AwareDatetime,
    Field,
    StringConstraints,
    model_validator,
)

from actors.agents.command.presets import Name
from actors.agents.kit.argv import Argv, Word
from actors.agents.kit.outcome import Model, Outcome
from actors.agents.kit.usage import Budget, Usage

MAX_PROMPT_CHARACTERS: Final = 200_000
MAX_TURNS: Final = 50

Prompt = Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARACTERS, pattern=r"^[^\x00]*$")]
Options = Annotated[dict[Name, Word], Field(max_length=100)]


class Status(StrEnum):
    """How a turn, or the whole work, ended.

    `done` is only said when the checklist agrees.
    """

    DONE = "done"
    NEEDS_ATTENTION = "needs_attention"
    FAILED = "failed"
    RATE_LIMITED = "rate_limited"
    OVER_BUDGET = "over_budget"


class Check(Model):
    """One thing that must be so before work is believed to be done; None: it was not looked at."""

    name: str
    passed: bool | None
    why: str


class Work(Model):
    """What is to be done, and what must be so when it is done.

    Attributes:
        prompt: what the program is told.
        preset: how it is called; the agent's own when empty.
        command: any command instead of a preset: it gets the prompt on stdin.
        options: of the preset.
        ref: where its branch begins.
        branch: on which it works; one of its own when empty.
        tests: a command that must succeed afterwards.
        wants_commits: whether there must be commits; an answer in words needs none.
        commit_message: with one, what is left uncommitted is committed with it.
    """

    prompt: Prompt = ""
    preset: Name | None = None
    command: Argv = ()
    options: Options = Field(default_factory=dict)
    ref: str = Field(default="HEAD", max_length=300)
    branch: str | None = Field(default=None, max_length=300)
    tests: Argv = ()
    wants_commits: bool = True
    commit_message: str = Field(default="", max_length=10_000, pattern=r"^[^\x00]*$")

    @model_validator(mode="after")
    def _says_what_to_do(self) -> Self:
        if self.command and (self.preset or self.options):
            raise ValueError("give a preset with its options, or a command, not both")
        if not self.command and not self.prompt.strip():
            raise ValueError("prompt: say what is to be done")
        return self


class TurnRequest(Work):
    """Asks for one turn.

    Attributes:
        session: turns of the same name are one conversation; the workflow's id when empty.
        sandbox: key of the work tree; that of the session when empty.
        number: of the turn; files are called by it.
    """

    session: str = Field(default="", max_length=300)
    sandbox: str = Field(default="", max_length=300)
    number: int = Field(default=1, ge=1)


class Turn(Outcome):
    """How a turn ended.

    Attributes:
        code: why it was not done, in a word; "" when it was.
        why: the same in a sentence.
        text: the program's last words.
        session: by which the program knows the conversation.
        resumed: whether it went on with an older session.
        resets_at: when a limit ends, where the program says that.
        checklist: what was looked at before it was believed.
        exit_status: minus the number of the signal that ended it; None if we did.
    """

    status: Status
    code: str = ""
    why: str = ""
    text: str = ""
    preset: str
    session: str = ""
    resumed: bool = False
    resets_at: AwareDatetime | None = None
    usage: Usage = Usage()
    checklist: tuple[Check, ...] = ()
    exit_status: int | None = None
    branch: str = ""
    base: str = ""
    head: str = ""

    @property
    def may_go_on(self) -> bool:
        """Whether another turn could get further: it broke off, or is not finished."""
        broke_off = self.status is Status.FAILED and self.code in BROKEN_OFF
        return broke_off or self.status is Status.NEEDS_ATTENTION


BROKEN_OFF: Final = frozenset(
    {"idle", "killed", "died", "no_result", "error_during_execution", "turn_failed"}
)


class CloseRequest(Model):
    """Asks for a work tree to be removed.

    Attributes:
        sandbox: its key.
        only_unused: keep it when there are commits in it; else its new branch goes, too.
    """

    sandbox: str = Field(min_length=1, max_length=300)
    only_unused: bool = False


class Closing(Outcome):
    """Whether it is gone; a branch with commits stays in any case.

    Attributes:
        kept: why it is not; "" when it is.
    """

    kept: str = ""


class CommandRequest(Work):
    """The workflow's variables.

    Attributes:
        session: names the conversation, for another workflow to go on with.
        sandbox: names the work tree, for one that another agent works in, too.
        turns: at most so many; waits for a limit to end are none.
        budget: once it is spent, no further turn is begun.
        waits: how often a limit is waited for.
    """

    session: str = Field(default="", max_length=300)
    sandbox: str = Field(default="", max_length=300)
    turns: int = Field(default=3, ge=1, le=MAX_TURNS)
    budget: Budget = Budget()
    waits: int = Field(default=20, ge=0, le=200)


class CommandReport(Outcome):
    """What became of the work.

    Attributes:
        turns: how many there were.
        waited_s: for limits.
    """

    status: Status
    code: str = ""
    why: str = ""
    text: str = ""
    preset: str = ""
    session: str = ""
    branch: str = ""
    base: str = ""
    head: str = ""
    turns: int = 0
    waited_s: float = 0.0
    usage: Usage = Usage()
    checklist: tuple[Check, ...] = ()
