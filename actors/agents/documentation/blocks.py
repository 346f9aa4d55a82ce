"""Runs the code of documents, to see whether it still does what it shows.

Python blocks of a document run one after the other in one process, as a reader would type them.
Of console blocks those lines run that begin with `$ ` and name a program that the operator lets
agents run, or Python with code of the project; never through a shell. All of it happens in a copy
of the commit's files, with limits on time, memory and files.
"""

import ast
import json
import re
import shlex
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import trio

from actors.agents.documentation import runner
from actors.agents.documentation.markdown import Document, Fence
from actors.agents.guarded import Rlimits
from actors.agents.kit.checkouts import Checkout, allowed_variables
from actors.agents.kit.outcome import Finding, Level, Place, Skipped
from actors.agents.kit.parsing import parsing
from actors.agents.kit.toolbox import Toolbox
from actors.agents.kit.untrusted import plain
from actors.agents.protocol import Task
from actors.agents.site import Site
from actors.agents.tools import ToolResult, ToolStatus
from actors.errors import ValidationError

RULE: Final = "code-block"
_PYTHON: Final = frozenset({"py", "pycon", "python", "python3"})
_CONSOLE: Final = frozenset({"console", "shell-session", "shellsession", "terminal"})
_NOT_RUN: Final = frozenset({"no-run", "no_run", "norun", "noexec", "notest", "skip"})
_SHELL: Final = frozenset("|&;<>$`*?~(){}[]\\\n")
_ONLY_SHELL: Final = "only a shell could run them"
_QUOTED: Final = re.compile(r"""'[^']*'|"[^"$`\\]*"|#.*""")
_FILE_BYTES: Final = 64 << 20
_MEMORY_BYTES: Final = 8 << 30
_PROMPT: Final = "$ "
_ALLOW: Final = "name it under [agents] commands in the settings file"


@dataclass(slots=True)
class Ran:
    """What came of the blocks of some documents."""

    findings: list[Finding] = field(default_factory=list)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    blocks: int = 0
    commands: int = 0

    def fail(self, path: str, line: int, message: str) -> None:
        found = Finding(
            tool="beadflow",
            rule=RULE,
            level=Level.ERROR,
            message=plain(message),
            place=Place(path=path, line=max(line, 1)),
        )
        self.findings.append(found)

    def skip(self, what: str, why: str, install: str = "", *, like: str = "") -> None:
        """Say it once, and once of all that are alike."""
        said = Skipped(what=plain(what, 80), why=plain(why), install=install)
        self.skipped.setdefault(like or what, said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where blocks run.

    Args:
        scripts: commands of the project, and the functions behind them.
        own: top-level names of the project's packages.
        files: paths of all files of the tree.
        deadline_s: for the Python of one document, and for each command.
    """

    task: Task
    checkout: Checkout
    scripts: Mapping[str, str]
    own: frozenset[str]
    files: frozenset[str]
    deadline_s: int


async def run_blocks(bench: Bench, documents: Mapping[str, Document]) -> Ran:
    """Run what can be run."""
    ran = Ran()
    home = bench.checkout.scratch / "home"
    home.mkdir(exist_ok=True)
    for number, (path, document) in enumerate(documents.items()):
        fences = [fence for fence in document.fences if is_run(fence)]
        if fences:
            bench.task.progress(f"running the code of {path}", number / len(documents))
        python = [fence for fence in fences if fence.language in _PYTHON]
        if python:
            await _run_python(bench, path, python, ran)
        for fence in fences:
            if fence.language in _CONSOLE:
                await _run_console(bench, path, fence, ran)
    return ran


def check_syntax(documents: Mapping[str, Document]) -> list[Finding]:
    """The Python blocks that are no Python, for when none are run."""
    ran = Ran()
    for path, document in documents.items():
        for fence in filter(is_run, document.fences):
            if fence.language not in _PYTHON or fence.code.lstrip().startswith(">>>"):
                continue
            try:
                with parsing():
                    ast.parse(fence.code)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                line = getattr(error, "lineno", 1) or 1
                ran.fail(path, fence.line + line - 1, runner.said(error))
    return ran.findings


def is_run(fence: Fence) -> bool:
    """Whether a block is code that is to be run, and nothing says that it is not."""
    words = set(fence.words[1:])
    is_code = fence.language in _PYTHON | _CONSOLE
    return is_code and words.isdisjoint(_NOT_RUN) and not any(no in fence.note for no in _NOT_RUN)


async def _run_python(bench: Bench, path: str, fences: list[Fence], ran: Ran) -> None:
    scratch = bench.checkout.scratch
    given = {
        "path": path,
        "blocks": [
            {"line": f.line, "code": f.code, "is_session": f.code.lstrip().startswith(">>>")}
            for f in fences
        ],
    }
    asked, answers = scratch / "blocks.json", scratch / "answers.jsonl"
    await trio.Path(asked).write_text(json.dumps(given), encoding="utf-8")
    await trio.Path(answers).write_text("", encoding="utf-8")
    argv = (str(Path(runner.__file__)), str(asked), str(answers))
    result = await _toolbox(bench).run("python", *argv, deadline_s=bench.deadline_s)
    if isinstance(result, Skipped):
        ran.skip("Python blocks", result.why, result.install)
        return
    last: dict[str, Any] = {"number": 0, "outcome": "started"}
    async for last in _answers(answers):
        _judge(bench, path, fences, last, ran)
    if last["outcome"] == "started":
        ran.blocks += 1
        ran.fail(path, fences[last["number"]].line, _broken_off(result, bench.deadline_s))


async def _answers(file: Path) -> AsyncIterator[dict[str, Any]]:
    for line in (await trio.Path(file).read_text(encoding="utf-8")).splitlines():
        yield json.loads(line)


def _judge(bench: Bench, path: str, fences: list[Fence], answer: dict[str, Any], ran: Ran) -> None:
    why, line = answer["why"], answer["line"]
    match answer["outcome"]:
        case "ok":
            ran.blocks += 1
        case "failed":
            ran.blocks += 1
            ran.fail(path, line, why)
        case runner.NOT_HERE if why.partition(".")[0] in bench.own:
            ran.blocks += 1
            ran.fail(path, line, f"there is no module {why}")
        case runner.NOT_HERE if why:
            name = why.partition(".")[0]
            ran.skip(f"blocks that import {name}", "it is not installed", f"install {name}")
        case runner.NOT_HERE:
            line = fences[answer["number"]].line
            ran.skip(f"the block at {path}:{line}", "it awaits at its top level")


def _broken_off(result: ToolResult, deadline_s: int) -> str:
    if result.status is ToolStatus.TIMED_OUT:
        return f"it did not end within {deadline_s} s"
    return f"it ended Python with status {result.returncode}"


async def _run_console(bench: Bench, path: str, fence: Fence, ran: Ran) -> None:
    for line, command in _commands(fence):
        try:
            argv = _argv(bench, command)
        except ValidationError as error:
            ran.skip(f"commands like `{command}`", str(error), _ALLOW, like=str(error))
            continue
        if not argv:
            ran.skip(f"commands like `{command}`", _ONLY_SHELL, like=_ONLY_SHELL)
            continue
        ran.commands += 1
        toolbox = _toolbox(bench, **_variables(bench.task.site, argv))
        result = await toolbox.run(*argv, deadline_s=bench.deadline_s)
        if isinstance(result, Skipped):
            ran.skip(argv[0], result.why, result.install)
        elif not result.ok:
            ran.fail(path, line, f"`{command}`: {result.why}")


def _commands(fence: Fence) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(fence.code.splitlines()):
        if line.startswith(_PROMPT):
            yield fence.line + number, line.removeprefix(_PROMPT).strip()


def _argv(bench: Bench, command: str) -> list[str]:
    """What to run for a line; [] for what only a shell could run.

    Raises:
        ValidationError: the operator does not let agents run that.
    """
    try:
        argv = shlex.split(command, comments=True)
    except ValueError:
        return []
    if not argv or not _SHELL.isdisjoint(_QUOTED.sub("", command)):
        return []
    if argv[0] in {"python", "python3"} and _is_own(bench, argv[1:]):
        return ["python", *argv[1:]]
    bench.task.site.check(argv)
    function = bench.scripts.get(argv[0])
    return _script(argv, function) if function else argv


def _is_own(bench: Bench, arguments: list[str]) -> bool:
    """Whether Python is to run code of the project's: not e.g. an installer."""
    match arguments:
        case ["-c", _, *_]:
            return True
        case ["-m", module, *_]:
            return module.partition(".")[0] in bench.own
        case [script, *_]:
            return script in bench.files
        case _:
            return False


def _script(argv: list[str], function: str) -> list[str]:
    """A command of the project, as its installation would start it."""
    module, _, name = function.partition(":")
    code = (
        "import importlib, operator, sys; "
        f"sys.argv[0] = {argv[0]!r}; "
        f"sys.exit(operator.attrgetter({name!r})(importlib.import_module({module!r}))())"
    )
    return ["python", "-c", code, *argv[1:]]


def _variables(site: Site, argv: list[str]) -> dict[str, str]:
    """What the operator lets programs have that they have named; others have none of it."""
    if argv[0] not in site.commands:
        return {}
    return allowed_variables(site)


def _toolbox(bench: Bench, **variables: str) -> Toolbox:
    home = str(bench.checkout.scratch / "home")
    own = {"HOME": home, "NO_COLOR": "1"}
    limits = Rlimits(cpu_s=bench.deadline_s + 1, memory_bytes=_MEMORY_BYTES, file_bytes=_FILE_BYTES)
    return replace(bench.checkout.guarded(**own, **variables), limits=limits)
