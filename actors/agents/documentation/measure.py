"""Measures how much of a commit is described."""

import trio

from actors.agents.documentation.coverage import counted, undocumented, unmentioned
from actors.agents.documentation.messages import MAX_FINDINGS, Coverage, CoverageRequest
from actors.agents.documentation.pages import installed
from actors.agents.documentation.programs import options
from actors.agents.documentation.sources import Sources
from actors.agents.documentation.surface import NO_PACKAGE, Surface, read_surface
from actors.agents.documentation.tree import Tree, tree_of
from actors.agents.kit.outcome import Finding
from actors.agents.protocol import Task


async def measure(task: Task, request: CoverageRequest) -> Coverage:
    """Count the public things of a commit that have a docstring, and name those that have none."""
    async with tree_of(task, request.ref) as (tree, _):
        task.progress("reading the code", 0.1)
        found, api = await read_surface(tree, request.packages)
        task.progress("looking for docstrings", 0.8)
        return await trio.to_thread.run_sync(judge, tree, found, api, request.minimum_percent)


def judge(tree: Tree, found: Sources, api: Surface, minimum_percent: float) -> Coverage:
    """The same, of a tree that has been read."""
    things = counted(api, tree.path)
    missing = undocumented(things)
    described = len(things) - len(missing)
    findings = [*missing, *_unmentioned(tree, found, api)]
    percent = 100.0 * described / len(things) if things else 100.0
    return Coverage(
        summary=_summary(described, len(things), percent, api),
        commit=tree.commit,
        described=described,
        total=len(things),
        percent=percent,
        passed=percent >= minimum_percent,
        findings=tuple(findings[:MAX_FINDINGS]),
        metrics={
            "described": described,
            "public_things": len(things),
            "percent": percent,
            "undocumented": len(findings),
        },
        skipped=api.skipped,
    )


def _summary(described: int, total: int, percent: float, api: Surface) -> str:
    if total:
        return f"{described} of {total} public things are described ({percent:.1f} %)."
    if set(api.skipped) - {NO_PACKAGE}:
        return "No code was read; what is described was not counted."
    return "There is nothing to describe."


def _unmentioned(tree: Tree, found: Sources, api: Surface) -> list[Finding]:
    if not api.modules:
        return []
    texts = [tree.text(path) for path in (*found.documents, *found.unread)]
    return list(unmentioned(options(tree.path, installed(found, tree)), texts))
