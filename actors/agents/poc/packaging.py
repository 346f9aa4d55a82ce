"""Puts the result together, and tidies up what can be made again."""

from actors.agents.kit.outcome import Finding, Level, Skipped, StoredFile
from actors.agents.kit.prose import prose
from actors.agents.kit.repository import ask
from actors.agents.kit.worktrees import Changes, Kept, Sandbox, changes, close_sandbox
from actors.agents.poc import environment
from actors.agents.poc.messages import Packaged, PackageRequest
from actors.agents.poc.report import page, steps_of, summary_of, verdict_of
from actors.agents.poc.workplace import sandbox_of
from actors.agents.protocol import Task


async def package(task: Task, request: PackageRequest) -> Packaged:
    """Store patch and report, and close the sandbox when nothing in it would be lost."""
    sandbox = await sandbox_of(task, request.key)
    task.progress("collecting what has changed", 0.2)
    made = await changes(sandbox)
    commit = await ask(sandbox.path, "rev-parse", "HEAD")
    verdict = verdict_of(request)
    steps = [step for step in steps_of(request).values() if step is not None]
    left = _uncommitted() if made.is_dirty else ()
    words = await _words(task, request, made)
    text = page(request, sandbox, made, commit, words)
    files = {"changes.patch": (made.patch, "text/x-diff")} if made.is_whole else {}
    files["report.md"] = (text.encode(), "text/markdown")
    stored = [await task.artifact(name, *content) for name, content in files.items()]
    task.progress("tidying up", 0.8)
    kept = await _close(task, request, sandbox) if request.close else "it was to be kept"
    return Packaged(
        summary=summary_of(request, verdict, sandbox),
        verdict=verdict,
        branch=sandbox.branch,
        base=sandbox.base,
        commit=commit,
        diffstat=made.diffstat,
        files=made.files,
        kept=kept,
        markdown=text,
        findings=tuple(finding for step in steps for finding in step.findings) + left,
        skipped=tuple(one for step in steps for one in step.skipped) + _left_out(made),
        artifacts=tuple(StoredFile.model_validate(one) for one in stored),
        metrics={
            "commits": float(made.commits),
            "files": float(len(made.files)),
            "insertions": float(made.insertions),
            "deletions": float(made.deletions),
        },
    )


async def _words(task: Task, request: PackageRequest, made: Changes) -> str | None:
    facts = {
        "title": request.title,
        "steps": {name: step.summary for name, step in steps_of(request).items() if step},
        "unfinished": request.unfinished,
        "diffstat": made.diffstat,
    }
    return await prose(task, "Say what was tried here, and what came of it.", facts)


async def _close(task: Task, request: PackageRequest, sandbox: Sandbox) -> str:
    """Why the sandbox is kept; "" when it is gone."""
    closed = await close_sandbox(
        task.site, request.key or task.workflow_id, drop_branch=request.drop_branch
    )
    if isinstance(closed, Kept):
        return closed.why
    await environment.remove(task.site, sandbox.path.name)
    return ""


def _left_out(made: Changes) -> tuple[Skipped, ...]:
    if made.is_whole:
        return ()
    return (Skipped(what="changes.patch", why="it is too large; the branch has it all"),)


def _uncommitted() -> tuple[Finding, ...]:
    message = "the work tree has changes that are not committed; they are in no patch"
    return (Finding(tool="beadflow", rule="uncommitted", level=Level.WARNING, message=message),)
