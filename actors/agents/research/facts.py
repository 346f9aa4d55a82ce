"""The facts research rests on, each stated once more as a piece of evidence.

Facts only: what an index, a distribution, a manifest or the history says. Judgement (scores,
ranking, prose) is made from them elsewhere and cites the evidence.
"""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Model(BaseModel):
    """The base of all: frozen, and a field it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Evidence(Model):
    """One fact as it was found: where, when, and what it says about whom."""

    id: str = Field(pattern=r"^E[1-9][0-9]*$")
    subject: str  # a candidate's name, or "repository"
    topic: str
    source: str  # a URL without credentials, or words such as "installed metadata"
    retrieved_at: AwareDatetime
    statement: str


PACKAGE_INDEX = "package index"
"""What a gap is about when an index gave no answer."""


class Gap(Model):
    """Something that could not be looked up, and why."""

    subject: str
    what: str
    why: str


# --- what is known about a candidate -------------------------------------------------------------


class PythonBound(Model):
    """From this version on (until the next bound) this requires-python holds."""

    version: str
    requires_python: str | None


class Releases(Model):
    """What the index says about a project's versions."""

    version: str  # what a plain install would choose: the newest stable one that is not yanked
    stable: bool  # false when there are only pre-releases
    released_at: datetime | None  # None: the index gives no upload times
    newer_prerelease: str | None
    count: int
    yanked: int
    first_at: datetime | None
    in_24_months: int | None
    requires_python: str | None
    python_bounds: tuple[PythonBound, ...]  # newest first, only where requires-python changed
    status: str | None  # PEP 792: active, archived, deprecated, quarantined
    status_reason: str | None


class Artefacts(Model):
    """What can be installed of the version chosen above."""

    sdist: bool
    wheels: int
    universal: bool
    stable_abi_from: str | None  # "3.10": one wheel for this Python and all later ones
    pythons: tuple[str, ...]
    platforms: tuple[str, ...]


class Metadata(Model):
    """Core metadata of one version."""

    version: str
    summary: str | None
    licence: str | None
    dependencies: tuple[str, ...]  # unconditional or by environment, never those of an extra
    extras: dict[str, tuple[str, ...]]  # extra -> names of what it requires
    development_status: int | None  # 1 (planning) to 7 (inactive)
    typed: bool  # says so by classifier; its absence proves nothing
    pythons: tuple[str, ...]
    urls: dict[str, str]
    question_words: dict[str, str]  # word of the question -> the field it was found in
    async_signals: tuple[str, ...]


class Contents(Model):
    """What is inside a distribution."""

    import_names: tuple[str, ...]
    typed: bool
    installed_bytes: int | None
    seen_in: Literal["wheel contents", "installed metadata"]


class Installed(Model):
    """A copy that is installed here."""

    version: str
    place: str


class Candidate(Model):
    """All facts found about one candidate; a part that is missing has its gap."""

    name: str
    found: Literal["found", "absent", "unknown"]
    releases: Releases | None = None
    artefacts: Artefacts | None = None
    metadata: Metadata | None = None
    contents: Contents | None = None
    installed: Installed | None = None


class Discovery(Model):
    """What the package index and the installed metadata say."""

    retrieved_at: AwareDatetime
    indexes: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    evidence: tuple[Evidence, ...]
    gaps: tuple[Gap, ...]


# --- what is known about the repository ----------------------------------------------------------


class Language(Model):
    name: str
    files: int
    lines: int


class Dependency(Model):
    """One dependency as a manifest declares it."""

    name: str
    requirement: str
    scope: str  # "runtime", "dev", "build" or "extra <name>"


class Manifest(Model):
    path: str
    ecosystem: Literal["python", "npm", "cargo", "go"]
    dependencies: tuple[Dependency, ...]
    requires_python: str | None = None
    problem: str | None = None


class Import(Model):
    """A top-level module the project imports, and where."""

    module: str
    kind: Literal["third-party", "standard library"]
    files: int
    test_files: int
    places: tuple[str, ...]  # "path:line", the first few


class Practices(Model):
    test_files: int
    documentation_files: int
    ci: tuple[str, ...]


class Activity(Model):
    """What the history says about the last year."""

    last_commit_at: datetime | None
    commits_90_days: int
    commits_365_days: int
    authors_365_days: int
    complete: bool  # false: more commits than were read


class Analysis(Model):
    """What the repository says about itself."""

    retrieved_at: AwareDatetime
    candidates: tuple[str, ...] = ()  # those to look up: the ones asked for, or found here
    listed_by: Literal["git ls-files", "directory walk"]
    files: int
    skipped: dict[str, int]  # reason -> files
    languages: tuple[Language, ...]
    manifests: tuple[Manifest, ...]
    requires_python: str | None
    imports: tuple[Import, ...]
    practices: Practices
    activity: Activity | None
    evidence: tuple[Evidence, ...]
    gaps: tuple[Gap, ...]
