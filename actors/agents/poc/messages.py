"""What the POC agent is asked, and what it answers.

Every request may name the sandbox it is about by a key; without one it is the workflow's own, so
that the steps of a workflow work on the same branch.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from actors.agents.kit.argv import Argv
from actors.agents.kit.junit import Results
from actors.agents.kit.outcome import Model, Outcome

Key = Annotated[str, Field(max_length=300)]
Ref = Annotated[str, Field(max_length=250)]
FUNCTION = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"


class Verdict(StrEnum):
    """What the whole came to; it needs a human where nothing could be tried."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NEEDS_HUMAN = "needs_human"


class SandboxRequest(Model):
    """Open a work tree, with an environment beside it.

    Attributes:
        ref: where a new branch begins.
        branch: made at `ref`, or gone on with; None is `beadflow/<workflow>`.
        environment: whether a virtual environment is made for a Python project.
        install: whether what the project declares is installed into it.
    """

    key: Key = ""
    ref: Ref = "HEAD"
    branch: Ref | None = None
    environment: bool = True
    install: bool = True


class SandboxReady(Outcome):
    """A work tree that stands.

    Attributes:
        key: by which other steps find it.
        base: id of the commit at which its work began.
        python: version of the environment's Python; "" where there is no environment.
        installed: requirements that were installed into it.
    """

    key: str
    path: str
    branch: str
    base: str
    python: str = ""
    installed: tuple[str, ...] = ()


class Template(Model):
    """One of the agent's own templates, and the answers that it asks for."""

    name: str
    answers: dict[str, JsonValue] = Field(default_factory=dict)


class ImplementRequest(Model):
    """Change files and commit them; with nothing to change, commit what lies in the sandbox.

    Attributes:
        message: of the commit.
        patch: a unified diff, as `git diff` prints it.
        files: whole files by their paths.
    """

    key: Key = ""
    message: str = Field(default="", max_length=5_000)
    patch: str = ""
    template: Template | None = None
    files: dict[str, str] = Field(default_factory=dict, max_length=1_000)


class Implemented(Outcome):
    """What was committed.

    Attributes:
        commit: the tip of the branch.
        files: what the commit of this step changed.
    """

    commit: str
    files: tuple[str, ...] = ()


class BuildRequest(Model):
    """Build what is committed.

    Attributes:
        ref: what is built; "" is the tip of the sandbox.
        command: a program that the operator allows; without one the project's usual one.
    """

    key: Key = ""
    ref: Ref = ""
    command: Argv = ()


class Built(Outcome):
    """What a build came to; `ok` is None when nothing could be built."""

    ok: bool | None
    commit: str
    distributions: tuple[str, ...] = ()


class TestRequest(Model):
    """Run the tests of what is committed.

    Attributes:
        ref: what is tested; "" is the tip of the sandbox.
        command: a program that the operator allows; without one the project's usual runner.
        reruns: how often what failed is run again, to tell what fails only now and then.
    """

    __test__ = False

    key: Key = ""
    ref: Ref = ""
    command: Argv = ()
    reruns: int = Field(default=1, ge=0, le=5)


class Tested(Outcome):
    """What the tests came to; `ok` is None when none could be run.

    Attributes:
        flaky: tests that failed and then passed; they count as passed.
    """

    __test__ = False

    ok: bool | None
    commit: str
    results: Results = Results()
    flaky: tuple[str, ...] = ()


class Bench(Model):
    """What is timed: one of these.

    Attributes:
        function: called without arguments, e.g. "package.module:function".
        script: a Python file of the repository, run whole.
        command: a program that the operator allows.
    """

    function: str = Field(default="", pattern=rf"^$|{FUNCTION}", max_length=300)
    script: str = Field(default="", max_length=300)
    command: Argv = ()

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(map(bool, (self.function, self.script, self.command))) != 1:
            raise ValueError("a benchmark has one of function, script and command")
        return self

    def __str__(self) -> str:
        return self.function or self.script or " ".join(self.command)


class BenchmarkRequest(Model):
    """Compare how long something takes with how long it took at another commit.

    Attributes:
        ref: what is measured; "" is the tip of the sandbox.
        baseline: with what it is compared; "" is the sandbox's base.
        benches: none are the functions called `bench_…` in the project's benchmarks.
        rounds: how often each is run at each commit.
        tolerance: a difference below this is none, whatever the noise; 0.05 is five percent.
    """

    key: Key = ""
    ref: Ref = ""
    baseline: Ref = ""
    benches: tuple[Bench, ...] = Field(default=(), max_length=50)
    rounds: int = Field(default=10, ge=3, le=100)
    tolerance: float = Field(default=0.05, ge=0.0, le=10.0)


class Difference(StrEnum):
    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    NONE = "no difference"


class Timing(Model):
    """Seconds of several runs: their median, and the median of the deviations from it."""

    median_s: float
    mad_s: float
    runs: int


class Comparison(Model):
    """One benchmark at two commits.

    Attributes:
        ratio: the median at head, divided by that at base.
        bound: by how much the ratio has to leave 1 to be a difference.
    """

    name: str
    base: Timing
    head: Timing
    ratio: float
    bound: float
    difference: Difference


class Benchmarked(Outcome):
    """What was measured; `ok` is None when nothing was, and False when something got slower."""

    ok: bool | None
    base: str
    head: str
    comparisons: tuple[Comparison, ...] = ()


class PackageRequest(Model):
    """Put the result together: branch, patch and report; and tidy up.

    Attributes:
        title: of the report.
        prepared, implemented, built, tested, benchmarked: what the steps before came to.
        unfinished: why what was to be changed is not; "" when it is.
        close: whether the work tree and its environment go. The branch stays; the work tree stays,
            too, when something in it is not committed.
        drop_branch: whether a branch that is new and has no commit goes with the work tree.
    """

    key: Key = ""
    title: str = Field(default="Proof of concept", max_length=300)
    prepared: SandboxReady | None = None
    implemented: Implemented | None = None
    built: Built | None = None
    tested: Tested | None = None
    benchmarked: Benchmarked | None = None
    unfinished: str = ""
    close: bool = True
    drop_branch: bool = False


class Packaged(Outcome):
    """The result; its findings and what was skipped are those of all steps.

    Attributes:
        commit: the tip of the branch.
        kept: why the work tree still stands; "" when it is gone.
        markdown: the report.
    """

    verdict: Verdict
    branch: str
    base: str
    commit: str
    diffstat: str = ""
    files: tuple[str, ...] = ()
    kept: str = ""
    markdown: str = ""


class PocRequest(Model):
    """Try something out: on a branch of its own, built, tested and measured.

    Attributes:
        title: what is tried.
        patch, files, template: what is changed, in this order.
        prompt, preset, command: what the command agent is asked to do, in the same work tree;
            each as its workflow takes it.
        baseline: what speed is compared with; "" is where the branch begins.
    """

    title: str = Field(default="Proof of concept", max_length=300)
    ref: Ref = "HEAD"
    branch: Ref | None = None
    patch: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    template: Template | None = None
    prompt: str = Field(default="", max_length=200_000)
    preset: str | None = Field(default=None, max_length=100)
    command: Argv = ()
    install: bool = True
    build: bool = True
    build_command: Argv = ()
    test: bool = True
    test_command: Argv = ()
    reruns: int = Field(default=1, ge=0, le=5)
    benchmark: bool = True
    benches: tuple[Bench, ...] = Field(default=(), max_length=50)
    baseline: Ref = ""
    rounds: int = Field(default=10, ge=3, le=100)
    tolerance: float = Field(default=0.05, ge=0.0, le=10.0)
    close: bool = True

    @model_validator(mode="after")
    def _commands_one_way(self) -> Self:
        if self.command and self.preset:
            raise ValueError("give a preset or a command, not both")
        return self


class Checked(Outcome):
    """It can be tried.

    Attributes:
        base: the commit that the change was seen to fit.
    """

    base: str
