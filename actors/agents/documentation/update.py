"""Brings documents up to date on a branch: the API reference, repairs, and the changelog.

All is written into a sandbox, never into the user's work tree, and committed there once. An attempt
that runs again goes on where the one before was: with its files, or from its commit.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import trio

from actors.agents.documentation import changelog
from actors.agents.documentation.messages import PageStatus, Repair, Updated, UpdateRequest
from actors.agents.documentation.pages import compare, reference
from actors.agents.documentation.surface import read_surface
from actors.agents.documentation.tree import Tree, tree_of
from actors.agents.kit.outcome import Skipped, StoredFile
from actors.agents.kit.repository import resolve
from actors.agents.kit.untrusted import plain
from actors.agents.kit.worktrees import (
    Changes,
    Kept,
    Sandbox,
    changes,
    check_branch,
    close_sandbox,
    commit,
    drop_branch,
    open_sandbox,
    tip_of,
)
from actors.agents.protocol import Task
from actors.workflows.definition import ActivityFailure

MESSAGE: Final = "Bring the documentation up to date"
_LINK: Final = "it leads through a symbolic link or into a submodule"


@dataclass(slots=True)
class Edits:
    """What is to be written, by path; None is removed."""

    files: dict[str, str | None] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    repairs: int = 0


async def update(task: Task, request: UpdateRequest) -> Updated:
    """Make the changes and commit them; a branch on which all is right already stays as it is."""
    branch = request.branch or f"beadflow/{task.workflow_id}"
    is_new = not await tip_of(task.site, check_branch(branch))
    key = f"{task.idempotency_key}-documents"
    sandbox = await open_sandbox(task.site, key=key, ref=request.ref, branch=branch)
    made = await changes(sandbox)
    edits = Edits()
    if not made.commits:
        edits = await _edits(task, request, sandbox)
        await trio.to_thread.run_sync(write, sandbox.path, edits.files)
        message = "\n".join([MESSAGE, "", *edits.said])
        if await commit(sandbox, message, paths=tuple(edits.files)):
            made = await changes(sandbox)
    tip = await resolve(sandbox.path, "HEAD")
    answer = Updated(
        summary=_summary(made, edits, branch),
        branch=branch,
        base=sandbox.base,
        commit=tip if made.commits else None,
        diffstat=made.diffstat,
        files=made.files,
        artifacts=await _stored(task, made),
        metrics={
            "files": len(made.files),
            "insertions": made.insertions,
            "deletions": made.deletions,
            "repairs": edits.repairs,
        },
        skipped=tuple(edits.skipped),
    )
    closed = await close_sandbox(task.site, key)
    if isinstance(closed, Kept):
        task.log(f"the work tree of {branch} stays: {closed.why}", "warning")
    elif is_new and not made.commits:
        await drop_branch(task.site, branch, tip)
    return answer


def _summary(made: Changes, edits: Edits, branch: str) -> str:
    if not made.commits and any(one.why == _LINK for one in edits.skipped):
        return "Nothing was updated: what is to be written leads through symbolic links."
    if not made.commits:
        return "The documentation is up to date."
    return f"{len(made.files)} files were brought up to date on the branch {branch}."


async def _stored(task: Task, made: Changes) -> tuple[StoredFile, ...]:
    if not made.patch:
        return ()
    stored = await task.artifact("documentation/changes.patch", made.patch, "text/x-diff")
    return (StoredFile(**stored),)


async def _edits(task: Task, request: UpdateRequest, sandbox: Sandbox) -> Edits:
    edits = Edits()
    async with tree_of(task, await resolve(sandbox.path, "HEAD")) as (tree, _):
        if request.pages is not None:
            task.progress("writing pages", 0.2)
            await _add_pages(request.pages, request.packages, tree, edits)
        task.progress("mending what was found", 0.6)
        for repair in request.repairs:
            mend(tree, repair, edits)
        if edits.repairs:
            edits.said.append(f"- {edits.repairs} repairs of spelling and links")
        if request.changelog.strip():
            _add_changelog(tree, request.changelog, edits)
    return edits


async def _add_pages(directory: str, packages: tuple[str, ...], tree: Tree, edits: Edits) -> None:
    found, api = await read_surface(tree, packages)
    edits.skipped += api.skipped
    if not api.modules:
        return
    pages = await trio.to_thread.run_sync(reference, tree, found, api, directory)
    notes = await trio.to_thread.run_sync(compare, tree.path, directory, pages)
    for note in notes:
        match note.status:
            case PageStatus.NEW | PageStatus.CHANGED:
                edits.files[note.path] = pages[note.path]
            case PageStatus.GONE:
                edits.files[note.path] = None
            case PageStatus.KEPT:
                why = "somebody wrote a page there by hand"
                edits.skipped.append(Skipped(what=note.path, why=why))
            case PageStatus.SAME:
                pass
    led_away = [path for path in edits.files if _is_led_away(tree, path)]
    if led_away:
        edits.skipped.append(Skipped(what=f"{len(led_away)} pages in {directory}", why=_LINK))
        edits.files = {path: edits.files[path] for path in edits.files if path not in led_away}
    if edits.files:
        edits.said.append(f"- {len(edits.files)} pages of the API reference")


def mend(tree: Tree, repair: Repair, edits: Edits) -> None:
    """Change the one line that a repair names, if it says there what is to be mended."""
    path, number = repair.place.path, repair.place.line
    text = edits.files.get(path) or (tree.exact(path) if path in tree.paths else None)
    lines = (text or "").split("\n")
    old = rf"(?<![\w/.#-]){re.escape(repair.old)}(?![\w/-])"
    times, mended = 0, ""
    if number is not None and number <= len(lines):
        mended, times = re.subn(old, lambda _: repair.new, lines[number - 1], count=1)
    if number is None or not times or "\n" in repair.new:
        what = f"a repair of {plain(str(repair.place))}"
        why = f"{plain(repair.old)!r} is not there"
        edits.skipped.append(Skipped(what=what, why=why))
        return
    lines[number - 1] = mended
    edits.files[path] = "\n".join(lines)
    edits.repairs += 1


def _add_changelog(tree: Tree, addition: str, edits: Edits) -> None:
    found = changelog.find(tree.paths)
    before = edits.files.get(found) or tree.exact(found) if found else ""
    if before is None:
        why = "it is no text, or too large"
        edits.skipped.append(Skipped(what=f"an entry in {found}", why=why))
        return
    after = changelog.merged(before, addition)
    path = found or changelog.NEW
    if _is_led_away(tree, path):
        edits.skipped.append(Skipped(what=f"an entry in {path}", why=_LINK))
    elif after != before:
        edits.files[path] = after
        edits.said.append(f"- {path}: what became of the API")


def _is_led_away(tree: Tree, path: str) -> bool:
    """Whether a link or a submodule of the commit is on the way to a file, or where it would be."""
    ways = {path, *map(str, PurePosixPath(path).parents)}
    return not ways.isdisjoint(tree.others)


def write(root: Path, files: Mapping[str, str | None]) -> None:
    """Write files into a work tree, never through a link."""
    for path, text in files.items():
        if any(place.is_symlink() for place in _on_the_way(root, path)):
            raise ActivityFailure(
                "bad_path", f"{path} leads through a symbolic link", retryable=False
            )
        place = root / path
        if text is None:
            place.unlink(missing_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode())


def _on_the_way(root: Path, path: str) -> Iterator[Path]:
    place = root
    for part in PurePosixPath(path).parts:
        place /= part
        yield place
