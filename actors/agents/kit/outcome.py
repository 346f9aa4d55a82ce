"""What an activity of a built-in agent comes to: findings, evidence, files, and what was skipped.

Each activity's answer is a model of its own that has these fields, so that whoever reads the
results of one agent can read those of all. Levels are those of SARIF 2.1.0 (§3.27.10).
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """The base of all: frozen, and a field it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Level(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Place(Model):
    """A place in a file; the path is relative to the root of the work tree, lines are from 1."""

    path: str
    line: int | None = Field(default=None, ge=1)
    end_line: int | None = Field(default=None, ge=1)
    column: int | None = Field(default=None, ge=1)

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.path, self.line, self.column) if part)


class Finding(Model):
    """Something that was found and that somebody may have to do something about.

    Attributes:
        tool: who found it, e.g. "ruff"; "beadflow" where no tool did.
        rule: what kind of thing it is, as the tool calls it, e.g. "F401".
    """

    tool: str
    rule: str
    level: Level
    message: str
    place: Place | None = None


class Evidence(Model):
    """One thing that was seen: what was asked, and what was answered.

    Attributes:
        id: by which a claim names it, e.g. "E3".
        source: a command, a file or an address without credentials.
    """

    id: str = Field(pattern=r"^E[1-9][0-9]*$")
    source: str
    statement: str


class Skipped(Model):
    """Something that was not done, and what would have to be installed or set for it."""

    what: str
    why: str
    install: str = ""

    def __str__(self) -> str:
        return f"{self.what} skipped, because {self.why}" + (
            f": {self.install}" if self.install else ""
        )


class StoredFile(Model):
    """A file that was stored with the workflow: what `Task.artifact` answers."""

    name: str
    version: int
    sha256: str
    size: int
    media_type: str


class Outcome(Model):
    """What every activity of a built-in agent answers with, and more of its own.

    Attributes:
        summary: one sentence or two, for the log and the issue.
        metrics: numbers by name; the unit is in the name, e.g. "seconds".
    """

    summary: str
    findings: tuple[Finding, ...] = ()
    artifacts: tuple[StoredFile, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    skipped: tuple[Skipped, ...] = ()
