"""Which lines the tests run: measured while they do, and held against what a change adds.

The stored report names files from the root of the work tree on, wherever that was, so that a later
step finds them in a work tree of its own.
"""

import json
import re
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import trio

from actors.agents.kit.artifacts import fetch
from actors.agents.kit.changed import changed_lines
from actors.agents.kit.checkouts import Checkout, checked_out
from actors.agents.kit.files import Skips, read_file, read_toml
from actors.agents.kit.outcome import Finding, Level, Place, Skipped, StoredFile
from actors.agents.kit.runners import SCRATCH, Runner
from actors.agents.kit.toolbox import Toolbox
from actors.agents.kit.untrusted import plain
from actors.agents.protocol import Task
from actors.agents.tools import ToolResult
from actors.agents.validation.messages import CoverageOutcome, CoverageRequest, shown
from actors.workflows.definition import ActivityFailure
from supervision import Target

REPORT: Final = "coverage.xml"
STORED: Final = "diff-coverage.md"
_DATA: Final = "coverage.data"
_XML_S: Final = 120.0
_SOURCE: Final = re.compile(rb"<source>(.*?)</source>", re.DOTALL)
_TITLE: Final = re.compile(rb"^## Diff: .*$", re.MULTILINE)
_LCOV: Final = re.compile(rb"^SF:(.*)$", re.MULTILINE)
_QUIET: Final = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


def measuring(runner: Runner, box: Toolbox) -> Runner | None:
    """The same tests run under coverage; None where it is not installed beside the runner."""
    tests, coverage = box.find(runner.argv[0]), box.find("coverage")
    if tests is None or coverage is None or Path(tests).parent != Path(coverage).parent:
        return None
    source = () if _has_source(box.cwd) else ("--source=.",)  # files that no test loads count, too
    prefix = ("coverage", "run", f"--data-file={SCRATCH}/{_DATA}", *source, "-m")
    return replace(runner, argv=(*prefix, *runner.argv))


async def measured(box: Toolbox, scratch: Path) -> bytes | Skipped:
    """The report of what a run under coverage has measured."""
    data, report = scratch / _DATA, scratch / REPORT
    named = f"--data-file={data}"
    if not data.exists():  # the project's configuration has each process write its own
        await box.run("coverage", "combine", named, str(scratch), deadline_s=_XML_S)
    made = await box.run("coverage", "xml", named, "-o", str(report), "-i", deadline_s=_XML_S)
    if isinstance(made, Skipped):
        return made
    if not made.ok or not report.is_file():
        return Skipped(what="coverage", why=plain(made.why))
    return portable(await trio.to_thread.run_sync(report.read_bytes), box.cwd)


async def gate(
    task: Task, results: Target, request: CoverageRequest, *, deadline_s: float
) -> CoverageOutcome:
    """Hold a coverage report against the lines that a change adds.

    Raises:
        ActivityFailure: as `changed_lines`, `checked_out`, `fetch`; "coverage_unreadable".
    """
    if request.coverage is None:
        return _unknown(request, Skipped(what="coverage", why="it was not measured"))
    changed = await changed_lines(task.site, request.base, request.ref)
    report = await fetch(results, task, request.coverage)
    async with checked_out(task.site, key=task.idempotency_key, ref=changed.head) as place:
        task.progress("diff-cover compares the change with what the tests ran")
        named = await trio.to_thread.run_sync(_write, place, report, changed.diff)
        ran = await _diff_cover(place, named, deadline_s)
        if isinstance(ran, Skipped):
            return _unknown(request, ran)
        found = await trio.to_thread.run_sync(_read, place.scratch / "diff.json")
        page = await trio.to_thread.run_sync((place.scratch / "diff.md").read_bytes)
    title = f"## Changes from {changed.base} to {changed.head}".encode()
    page = _TITLE.sub(title, page, count=1)  # it knows of no base but its own default
    stored = await task.artifact(STORED, page, "text/markdown")
    return _outcome(request, found, StoredFile(**stored))


def _write(place: Checkout, report: bytes, diff: bytes) -> Path:
    """Put both where diff-cover finds them; it tells Cobertura from LCOV by the file's name."""
    named = place.scratch / ("report.xml" if report.lstrip().startswith(b"<") else "report.info")
    named.write_bytes(placed(report, place.path))
    (place.scratch / "change.diff").write_bytes(diff)
    return named


async def _diff_cover(place: Checkout, report: Path, deadline_s: float) -> ToolResult | Skipped:
    scratch = place.scratch
    quiet = Toolbox(place.path, env=_QUIET)  # our own: the project's need not be there
    ran = await quiet.run(
        "diff-cover",
        str(report),
        "--diff-file",
        str(scratch / "change.diff"),
        "--format",
        f"json:{scratch / 'diff.json'},markdown:{scratch / 'diff.md'}",
        "--total-percent-float",
        "--quiet",
        deadline_s=deadline_s,
    )
    if isinstance(ran, ToolResult) and not ran.ok:
        raise ActivityFailure("coverage_unreadable", plain(ran.why), retryable=False)
    return ran


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def _outcome(
    request: CoverageRequest, found: dict[str, Any], stored: StoredFile
) -> CoverageOutcome:
    lines, missed = int(found["total_num_lines"]), int(found["total_num_violations"])
    percent = round(100.0 * (lines - missed) / lines, 2) if lines else None
    is_met = percent is None or percent >= request.minimum
    findings = [
        _finding(path, run, Level.WARNING if is_met else Level.ERROR)
        for path, stats in sorted(found["src_stats"].items())
        for run in _runs(stats["violation_lines"])
    ]
    return CoverageOutcome(
        summary=_summary(percent, lines, request.minimum),
        findings=shown(findings),
        artifacts=(stored,),
        metrics={"changed_lines": lines, "changed_lines_untested": missed}
        | ({} if percent is None else {"coverage_percent": percent}),
        percent=percent,
        minimum=request.minimum,
        lines=lines,
        is_met=is_met,
    )


def _unknown(request: CoverageRequest, why: Skipped) -> CoverageOutcome:
    return CoverageOutcome(
        summary=f"Coverage was not compared: {why}.",
        skipped=(why,),
        percent=None,
        minimum=request.minimum,
        lines=0,
        is_met=False,
    )


def _summary(percent: float | None, lines: int, minimum: float) -> str:
    if percent is None:
        return "No changed line can be run."
    return f"Tests run {percent:g} % of {lines} changed lines; {minimum:g} % are asked for."


def _finding(path: str, lines: range, level: Level) -> Finding:
    first, last = lines.start, lines.stop - 1
    what = f"line {first} is" if first == last else f"lines {first} to {last} are"
    return Finding(
        tool="diff-cover",
        rule="untested",
        level=level,
        message=f"{what} not run by any test",
        place=Place(path=path, line=first, end_line=last),
    )


def _runs(lines: list[int]) -> list[range]:
    """Lines that follow one another, put together."""
    runs: list[range] = []
    for line in sorted(set(lines)):
        if runs and runs[-1].stop == line:
            runs[-1] = range(runs[-1].start, line + 1)
        else:
            runs.append(range(line, line + 1))
    return runs


def portable(report: bytes, root: Path) -> bytes:
    """A Cobertura or LCOV report of which the paths begin at the root."""
    starts = sorted({bytes(root), bytes(root.resolve())}, key=len, reverse=True)

    def relative(match: re.Match[bytes]) -> bytes:
        path = match[1].strip()
        for start in starts:
            if path == start or path.startswith(start + b"/"):
                return match[0].replace(match[1], path[len(start) + 1 :] or b".")
        return match[0]

    return _LCOV.sub(relative, _SOURCE.sub(relative, report))


def placed(report: bytes, root: Path) -> bytes:
    """The same with paths in a work tree. Absolute ones stay: they name nothing in it."""
    here = bytes(root.resolve())

    def absolute(match: re.Match[bytes]) -> bytes:
        path = match[1].strip()
        if path.startswith(b"/"):
            return match[0]
        full = here if path in {b"", b"."} else here + b"/" + path
        return match[0].replace(match[1], full) if match[1] else match[0]

    return _LCOV.sub(absolute, _SOURCE.sub(absolute, report))


def _has_source(root: Path) -> bool:
    """Whether the project says itself what is measured."""
    try:
        own = read_toml(root, "pyproject.toml").get("tool", {}).get("coverage", {}).get("run", {})
        if own.get("source") or own.get("source_pkgs") or own.get("include"):
            return True
    except AttributeError:  # not the tables that they should be
        pass
    sections = ((".coveragerc", "run"), ("setup.cfg", "coverage:run"), ("tox.ini", "coverage:run"))
    return any(_says_source(root, name, section) for name, section in sections)


def _says_source(root: Path, file: str, section: str) -> bool:
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string((read_file(root, file, Skips()) or b"").decode("utf-8", "replace"))
    except ConfigError:
        return False
    return any(parser.has_option(section, name) for name in ("source", "source_pkgs", "include"))
