"""Runs a suite of tests, and gives what it came to in one form whatever the runner.

A runner that fails without naming a test that did is a broken test itself, so that a run that never
began is not taken for one that passed. Result files that were there before the run do not count.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import trio

from actors.agents.kit.junit import (
    DETAIL_CHARACTERS,
    Case,
    JUnitError,
    Results,
    Status,
    read_cases,
    results_of,
)
from actors.agents.kit.outcome import Skipped
from actors.agents.kit.runners import SCRATCH, Reads, Runner
from actors.agents.kit.toolbox import Toolbox, install_hint
from actors.agents.kit.untrusted import plain
from actors.agents.tools import ToolResult, ToolStatus

OUTPUT_CAP_BYTES: Final = 16 << 20
REPORTS: Final = 1_000
"""JUnit files of one run."""

_CARGO: Final = re.compile(r"^test (.+?) \.\.\. (ok|FAILED|ignored)\b", re.MULTILINE)
_CARGO_SAID: Final = re.compile(
    r"^---- (.+?) stdout ----\n(.*?)(?=^---- |^failures:|\Z)", re.MULTILINE | re.DOTALL
)
_CARGO_STATUS: Final = {"ok": Status.PASSED, "FAILED": Status.FAILED, "ignored": Status.SKIPPED}
_GO_STATUS: Final = {"pass": Status.PASSED, "fail": Status.FAILED, "skip": Status.SKIPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of tests.

    Args:
        cases: all of them; `results` counts them and keeps those that did not pass.
        argv: what was run.
        seconds: how long it took.
    """

    results: Results
    cases: tuple[Case, ...]
    argv: tuple[str, ...]
    seconds: float


async def run_suite(
    runner: Runner, box: Toolbox, scratch: Path, *, deadline_s: float
) -> Run | Skipped:
    """Run tests in a work tree.

    Args:
        runner: how.
        box: runs tools in the work tree.
        scratch: a directory outside of it for what the run writes.
        deadline_s: after so many seconds it is killed; what it had written by then counts.
    """
    argv = tuple(_filled(part, scratch) for part in runner.argv)
    given = {name: _filled(value, scratch) for name, value in runner.env.items()}
    tools = replace(box, env={**box.env, **given})
    before = await trio.to_thread.run_sync(_reports, runner, box.cwd, scratch)
    started = trio.current_time()
    ran = await tools.run(
        *argv,
        deadline_s=deadline_s,
        output_cap_bytes=OUTPUT_CAP_BYTES,
    )
    seconds = round(trio.current_time() - started, 3)
    if isinstance(ran, Skipped):
        return Skipped(what=runner.name, why=ran.why, install=ran.install)
    try:
        cases = await trio.to_thread.run_sync(_read, runner, ran, box.cwd, scratch, before)
    except ImportError:
        return Skipped(
            what=runner.name, why="junitparser is missing", install=install_hint("pytest")
        )
    results = results_of(cases, seconds)
    return Run(results=results, cases=cases, argv=argv, seconds=seconds)


def _filled(text: str, scratch: Path) -> str:
    return text.replace(SCRATCH, str(scratch))


def _read(
    runner: Runner,
    ran: ToolResult,
    root: Path,
    scratch: Path,
    before: dict[Path, tuple[int, int]],
) -> tuple[Case, ...]:
    match runner.reads:
        case Reads.JUNIT:
            after = _reports(runner, root, scratch)
            written = [file for file, state in after.items() if before.get(file) != state]
            cases = _junit(runner, ran, written)
        case Reads.GO:
            cases = list(go_cases(ran.text))
        case Reads.CARGO:
            cases = list(cargo_cases(ran.text))
        case Reads.STATUS:
            cases = [_own(runner, ran)]
    is_told = any(case.is_failure for case in cases) and ran.status is not ToolStatus.TIMED_OUT
    is_silent = runner.nothing is not None and ran.returncode == runner.nothing and not cases
    if ran.ok or is_told or is_silent or runner.reads is Reads.STATUS:
        return tuple(cases)
    return (*cases, _own(runner, ran))


def _junit(runner: Runner, ran: ToolResult, files: list[Path]) -> list[Case]:
    try:
        cases = read_cases(files)
    except JUnitError as error:
        return [Case(id=runner.name, status=Status.ERROR, message=plain(str(error)))]
    if not cases and ran.ok:  # a command that writes none has its exit status to show
        return [_own(runner, ran)] if runner.nothing is None else []
    return cases


def _own(runner: Runner, ran: ToolResult) -> Case:
    """The runner's own end, as a case."""
    said = f"{ran.text}\n{ran.stderr.decode('utf-8', 'replace')}".strip()
    if ran.ok:
        return Case(id=runner.name, status=Status.PASSED)
    why = plain(ran.why, 500)
    return Case(id=runner.name, status=Status.ERROR, message=why, detail=said[-DETAIL_CHARACTERS:])


def _reports(runner: Runner, root: Path, scratch: Path) -> dict[Path, tuple[int, int]]:
    """The JUnit files that are there, and when each was written; none outside of both places."""
    found: dict[Path, tuple[int, int]] = {}
    for pattern in runner.reports:
        for file in _matching(pattern, root, scratch):
            if file.is_symlink() or not file.is_file() or len(found) >= REPORTS:
                continue
            if any(file.resolve().is_relative_to(place.resolve()) for place in (root, scratch)):
                state = file.stat()
                found[file] = (state.st_mtime_ns, state.st_size)
    return found


def _matching(pattern: str, root: Path, scratch: Path) -> Iterable[Path]:
    if pattern.startswith(SCRATCH):
        return [Path(_filled(pattern, scratch))]
    try:
        return sorted(root.glob(pattern))
    except (ValueError, NotImplementedError):  # empty, or absolute
        return []


def cargo_cases(text: str) -> Iterator[Case]:
    """What `cargo test` prints of each test."""
    said = {match[1]: match[2].strip() for match in _CARGO_SAID.finditer(text)}
    for match in _CARGO.finditer(text):
        name = plain(match[1])
        detail = said.get(match[1], "")[:DETAIL_CHARACTERS]
        message = plain(" ".join(detail.splitlines()[:3]), 300)
        yield Case(id=name, status=_CARGO_STATUS[match[2]], message=message, detail=detail)


def go_cases(text: str) -> Iterator[Case]:
    """What `go test -json` says of each test, and of a package that cannot be built."""
    said: dict[tuple[str, str], list[str]] = {}
    failing: set[str] = set()
    for event in _events(text):
        package, test = str(event.get("Package", "")), str(event.get("Test", ""))
        action = str(event.get("Action", ""))
        lines = said.setdefault((package, test), [])
        if action == "output":
            lines.append(str(event.get("Output", "")))
        elif action in _GO_STATUS and (test or (action == "fail" and package not in failing)):
            if test and action == "fail":
                failing.add(package)
            yield _go_case(package, test, action, "".join(lines), event.get("Elapsed"))


def _go_case(package: str, test: str, action: str, detail: str, elapsed: object) -> Case:
    status = _GO_STATUS[action] if test else Status.ERROR
    is_shown = status not in {Status.PASSED, Status.SKIPPED}
    return Case(
        id=plain(f"{package}.{test}" if test else package),
        status=status,
        seconds=float(elapsed) if isinstance(elapsed, int | float) and elapsed >= 0 else 0.0,
        message=plain(detail, 300) if is_shown else "",
        detail=detail[-DETAIL_CHARACTERS:] if is_shown else "",
    )


def _events(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event
