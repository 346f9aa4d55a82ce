"""The tools that review Python, and their words as findings.

They read the code and never run it, and write nothing. What of a project's configuration would have
them do so (plug-ins and reports of mypy) is a reason not to run a tool.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from actors.agents.kit.checkouts import Checkout
from actors.agents.kit.outcome import Finding, Level, Place, Skipped
from actors.agents.kit.untrusted import plain
from actors.agents.tools import ToolResult, ToolStatus

OUTPUT_CAP_BYTES: Final = 32 << 20
AT_ONCE: Final = 500
"""Files on one command line."""

_RUFF_FALLBACK: Final = ("--select", "E4,E7,E9,F")  # the defaults of any version
_SEVERITIES: Final = {"HIGH": Level.ERROR, "MEDIUM": Level.WARNING, "LOW": Level.NOTE}
_ASSERTED: Final = "B101"
_MESSAGE_CHARACTERS: Final = 500

Read = Callable[[str], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Linter:
    """A tool for one review.

    Args:
        argv: its name and arguments; the files follow.
        read: turns its output into findings.
        whole: whether it must see all files at once.
        chooses: whether the project's configuration says what it looks at, and no files follow.
        leaves: files that it does not look at, as a pattern of the project's.
    """

    argv: tuple[str, ...]
    read: Read
    whole: bool = False
    chooses: bool = False
    leaves: re.Pattern[str] | None = None

    @property
    def name(self) -> str:
        return self.argv[0]


def linters(place: Checkout, *, plugins: bool) -> tuple[Linter | Skipped, ...]:
    """The tools for a work tree, or why one is not run. For a thread.

    Args:
        place: the work tree.
        plugins: whether mypy may load what the project's configuration names.
    """
    return (_ruff(place), _mypy(place, plugins=plugins), _bandit(place))


async def lint(
    linter: Linter, place: Checkout, files: Sequence[str], *, deadline_s: float
) -> list[Finding] | Skipped:
    """Run a tool over files, and give all that it found in them."""
    found: list[Finding] = []
    for names in _portions(linter, files):
        ran = await place.reading().run(
            *linter.argv,
            *names,
            deadline_s=deadline_s,
            ok=(0, 1),
            output_cap_bytes=OUTPUT_CAP_BYTES,
        )
        why = _refused(ran)
        if why is not None:
            return why
        assert isinstance(ran, ToolResult)  # noqa: S101 - else it was refused
        try:
            found += linter.read(ran.text)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return Skipped(what=linter.name, why="its output cannot be read", install="update it")
    return [_below(finding, place.path) for finding in found]


def _portions(linter: Linter, files: Sequence[str]) -> Iterator[list[str]]:
    """What follows on each command line. A name that begins with a dash is no option."""
    if linter.chooses:
        yield []
        return
    leaves = linter.leaves
    names = [f"./{name}" for name in files if leaves is None or not leaves.search(name)]
    step = len(names) if linter.whole else AT_ONCE
    for start in range(0, len(names), max(step, 1)):
        yield names[start : start + step]


def _refused(ran: ToolResult | Skipped) -> Skipped | None:
    if isinstance(ran, Skipped):
        return ran
    if ran.status is not ToolStatus.OK:
        said = "" if ran.stderr.strip() else f" {ran.text}"  # mypy complains on its output
        return Skipped(what=ran.tool, why=plain(f"{ran.why}{said}"))
    if ran.truncated:
        return Skipped(what=ran.tool, why="it said more than is read")
    return None


def _below(finding: Finding, root: Path) -> Finding:
    """The same with a path from the root on."""
    if finding.place is None:
        return finding
    path = PurePosixPath(finding.place.path)
    for start in (root, root.resolve()):
        if path.is_relative_to(start):
            path = path.relative_to(start)
    return finding.model_copy(
        update={"place": finding.place.model_copy(update={"path": str(path)})}
    )


# --- ruff ----------------------------------------------------------------------------------------


def _ruff(place: Checkout) -> Linter:
    configured = "ruff" in _tools(place.path) or any(
        (place.path / name).is_file() for name in ("ruff.toml", ".ruff.toml")
    )
    chosen = () if configured else ("--isolated", *_RUFF_FALLBACK)
    options = ("--output-format=json", "--no-cache", "--force-exclude", "--no-fix", *chosen)
    return Linter(("ruff", "check", *options, "--"), read_ruff)


def read_ruff(text: str) -> Iterator[Finding]:
    for found in _array(json.loads(text or "[]")):
        start, end = found["location"], found["end_location"]
        yield Finding(
            tool="ruff",
            rule=str(found["code"] or "syntax"),
            level=Level.ERROR,
            message=plain(str(found["message"]), _MESSAGE_CHARACTERS),
            place=_place(found["filename"], start["row"], end["row"], start["column"]),
        )


# --- mypy ----------------------------------------------------------------------------------------


def _mypy(place: Checkout, *, plugins: bool) -> Linter | Skipped:
    """Mypy as the project has set it; what it would run of that is named here instead."""
    found = _mypy_configuration(place.path)
    if found is None:
        return Skipped(what="mypy", why="the project has no configuration of it")
    name, configured = found
    if any(str(key).endswith("_report") or key == "install_types" for key in configured):
        return Skipped(what="mypy", why="its configuration has it write files or install packages")
    if configured.get("plugins") and not plugins:
        return Skipped(
            what="mypy",
            why="its configuration names plug-ins, which are programs",
            install="set mypy_plugins in the agent's configuration",
        )
    python = next((p for b in place.bins if (p := b / "python").exists()), None)
    options = (
        f"--config-file={name}",
        f"--python-executable={python or sys.executable}",
        *(() if python else ("--ignore-missing-imports",)),
        "--output=json",
        "--no-error-summary",
        "--no-incremental",
        "--cache-dir=/dev/null",
    )
    chooses = any(configured.get(name) for name in ("files", "packages", "modules"))
    argv = ("mypy", *options, *(() if chooses else ("--",)))
    return Linter(argv, read_mypy, whole=True, chooses=chooses, leaves=_excluded(configured))


def _excluded(configured: dict[str, Any]) -> re.Pattern[str] | None:
    """What the project has mypy leave out: a pattern or several, any of them."""
    said = configured.get("exclude") or ""
    patterns = map(str, said if isinstance(said, list) else [said])
    whole = "|".join(f"(?:{text})" for text in patterns if text.strip())
    try:
        return re.compile(whole) if whole else None
    except re.error:
        return None


def read_mypy(text: str) -> Iterator[Finding]:
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        found = json.loads(line)
        hint = f" ({found['hint']})" if found.get("hint") else ""
        yield Finding(
            tool="mypy",
            rule=str(found["code"] or "mypy"),
            level=Level.ERROR if found["severity"] == "error" else Level.NOTE,
            message=plain(f"{found['message']}{hint}", _MESSAGE_CHARACTERS),
            place=_place(found["file"], found["line"], found.get("end_line"), found["column"] + 1),
        )


def _mypy_configuration(root: Path) -> tuple[str, dict[str, Any]] | None:
    """The file that mypy would take, and what is set in it; None where there is none."""
    for name in ("mypy.ini", ".mypy.ini"):
        if _is_plain(root / name):
            return name, _section(root / name)
    tool = _tools(root).get("mypy")
    if isinstance(tool, dict):
        return "pyproject.toml", tool
    section = _section(root / "setup.cfg")
    return ("setup.cfg", section) if section else None


def _section(path: Path) -> dict[str, Any]:
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(_text(path))
    except ConfigError:
        return {"plugins": "perhaps"}  # what we cannot read mypy might
    return dict(parser["mypy"]) if parser.has_section("mypy") else {}


# --- bandit --------------------------------------------------------------------------------------


def _bandit(place: Checkout) -> Linter:
    configured = "bandit" in _tools(place.path)
    chosen = ("-c", "pyproject.toml") if configured else ()
    return Linter(("bandit", "-q", "-f", "json", *chosen), read_bandit)


def read_bandit(text: str) -> Iterator[Finding]:
    """What bandit found; an assertion in a test is none of it."""
    for found in _array(json.loads(text or "{}").get("results")):
        path, lines = str(found["filename"]), found.get("line_range") or [found["line_number"]]
        if found["test_id"] == _ASSERTED and is_test(path):
            continue
        yield Finding(
            tool="bandit",
            rule=str(found["test_id"]),
            level=_SEVERITIES.get(str(found["issue_severity"]), Level.NOTE),
            message=plain(str(found["issue_text"]), _MESSAGE_CHARACTERS),
            place=_place(path, found["line_number"], max(lines), found.get("col_offset", 0) + 1),
        )


def is_test(path: str) -> bool:
    """Whether a file is one of tests, by its name and place."""
    parts = PurePosixPath(path).parts
    name = parts[-1] if parts else ""
    is_below = any(part in {"test", "tests", "testing"} for part in parts[:-1])
    return is_below or re.fullmatch(r"(test_.*|.*_test|conftest)\.py", name) is not None


# --- what they share -----------------------------------------------------------------------------


def _place(path: str, line: int | None, end_line: int | None, column: int | None) -> Place:
    name = str(path).removeprefix("./")
    return Place(path=name, line=_count(line), end_line=_count(end_line), column=_count(column))


def _count(number: int | None) -> int | None:
    """Tools say 0 or -1 where they do not know."""
    return number if number is not None and number > 0 else None


def _array(found: object) -> Iterable[dict[str, Any]]:
    return found if isinstance(found, list) else ()


def _tools(root: Path) -> dict[str, Any]:
    try:
        tool = tomllib.loads(_text(root / "pyproject.toml")).get("tool")
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    return tool if isinstance(tool, dict) else {}


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if _is_plain(path) else ""
    except OSError:
        return ""
