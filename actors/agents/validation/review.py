"""Static review: what the tools find on the lines that a change adds."""

from pathlib import PurePosixPath
from typing import Final

import trio

from actors.agents.kit.changed import Changed, changed_lines, tracked_files
from actors.agents.kit.checkouts import Checkout, checked_out
from actors.agents.kit.outcome import Finding, Level, Skipped, StoredFile
from actors.agents.kit.sarif import MEDIA_TYPE, to_sarif
from actors.agents.protocol import Task
from actors.agents.validation.linters import lint, linters
from actors.agents.validation.messages import ReviewOutcome, ReviewRequest, shown

SARIF: Final = "review.sarif"
_PYTHON: Final = frozenset({".py", ".pyi"})


async def review(
    task: Task, request: ReviewRequest, *, deadline_s: float, plugins: bool
) -> ReviewOutcome:
    """Run the tools over the Python files of a change.

    Args:
        task: stores the SARIF file, and is told how far it is.
        request: which change.
        deadline_s: of each tool.
        plugins: whether mypy may load what the project's configuration names.

    Raises:
        ActivityFailure: as `checked_out` and `changed_lines`.
    """
    changed = None
    if request.base is not None:
        changed = await changed_lines(task.site, request.base, request.ref)
    ref = changed.head if changed else request.ref
    async with checked_out(task.site, key=task.idempotency_key, ref=ref) as place:
        files = await _files(task, place, changed)
        tools, found, skipped = await _run(task, place, files, deadline_s, plugins=plugins)
    here = found if changed is None else [f for f in found if changed.has(f.place)]
    here.sort(key=_order)
    stored = await task.artifact(SARIF, to_sarif(here, tools), MEDIA_TYPE)
    return ReviewOutcome(
        summary=_summary(here, len(files), tools, skipped),
        findings=shown(here),
        artifacts=(StoredFile(**stored),),
        metrics={f"review_{level.value}s": sum(f.level is level for f in here) for level in Level},
        skipped=tuple(skipped),
        ref=request.ref,
        commit=place.commit,
        base=changed.base if changed else None,
        files=len(files),
        tools=tuple(tools),
        elsewhere=len(found) - len(here),
    )


async def _files(task: Task, place: Checkout, changed: Changed | None) -> list[str]:
    tracked = await tracked_files(task.site, place.commit)
    return [
        path
        for path in tracked
        if PurePosixPath(path).suffix in _PYTHON and (changed is None or changed.lines.get(path))
    ]


async def _run(
    task: Task, place: Checkout, files: list[str], deadline_s: float, *, plugins: bool
) -> tuple[list[str], list[Finding], list[Skipped]]:
    tools: list[str] = []
    found: list[Finding] = []
    skipped: list[Skipped] = []
    if not files:
        return tools, found, skipped
    chosen = await trio.to_thread.run_sync(lambda: linters(place, plugins=plugins))
    for number, linter in enumerate(chosen):
        if isinstance(linter, Skipped):
            skipped.append(linter)
            continue
        task.progress(f"{linter.name} looks at {len(files)} files", number / len(chosen))
        answer = await lint(linter, place, files, deadline_s=deadline_s)
        if isinstance(answer, Skipped):
            skipped.append(answer)
        else:
            tools.append(linter.name)
            found += answer
    return tools, found, skipped


def _order(finding: Finding) -> tuple[str, int, str, str]:
    place = finding.place
    return (
        place.path if place else "",
        (place.line or 0) if place else 0,
        finding.tool,
        finding.rule,
    )


def _summary(found: list[Finding], files: int, tools: list[str], skipped: list[Skipped]) -> str:
    if not files:
        return "No Python file has changed."
    if not tools:
        return "Nothing was reviewed: " + "; ".join(map(str, skipped)) + "."
    number = len(found)
    what = f"{number} finding{'s' if number != 1 else ''}" if number else "nothing"
    return f"{', '.join(tools)} found {what} in {files} file{'s' if files != 1 else ''}."
