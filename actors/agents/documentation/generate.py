"""Makes the pages of the API reference and stores them; the repository is not changed."""

import io
import zipfile
from collections import Counter
from collections.abc import Mapping

import trio

from actors.agents.documentation.messages import Generated, GenerateRequest, PageStatus
from actors.agents.documentation.pages import compare, reference
from actors.agents.documentation.surface import Surface, read_surface
from actors.agents.documentation.tree import tree_of
from actors.agents.kit.outcome import Finding, Level, Place, StoredFile
from actors.agents.kit.worktrees import check_free
from actors.agents.protocol import Task

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip's earliest: the same pages are the same file


async def generate(task: Task, request: GenerateRequest) -> Generated:
    """Make the pages of a commit's API, and compare them with those that it has.

    Raises:
        ActivityFailure: as `tree_of`, and `check_free` where a branch is named.
    """
    if request.branch is not None:
        await check_free(task.site, request.branch)
    async with tree_of(task, request.ref) as (tree, _):
        task.progress("reading the code", 0.1)
        found, api = await read_surface(tree, request.packages)
        if not api.modules:
            return Generated(
                summary="There is no API to describe.", commit=tree.commit, skipped=api.skipped
            )
        task.progress("writing pages", 0.6)
        pages = await trio.to_thread.run_sync(reference, tree, found, api, request.pages)
        notes = await trio.to_thread.run_sync(compare, tree.path, request.pages, pages)
    counts = Counter(note.status for note in notes)
    said = ", ".join(f"{counts[status]} {status}" for status in PageStatus if counts[status])
    return Generated(
        summary=f"{len(pages)} pages for {len(api.modules)} modules: {said}.",
        commit=tree.commit,
        pages=tuple(notes),
        findings=tuple(
            _stale(note.path)
            for note in notes
            if note.status in {PageStatus.CHANGED, PageStatus.GONE}
        ),
        artifacts=await _stored(task, request.pages, pages),
        metrics=_metrics(api, counts),
        skipped=api.skipped,
    )


def _stale(path: str) -> Finding:
    return Finding(
        tool="beadflow",
        rule="stale-page",
        level=Level.WARNING,
        message=f"{path} is not what the code says any more",
        place=Place(path=path),
    )


def _metrics(api: Surface, counts: Counter[PageStatus]) -> dict[str, float]:
    return {
        "modules": len(api.modules),
        "public_things": sum(1 for _ in api.walk()),
        **{f"pages_{status}": count for status, count in sorted(counts.items())},
    }


async def _stored(task: Task, directory: str, pages: Mapping[str, str]) -> tuple[StoredFile, ...]:
    index = pages[f"{directory}/index.md"].encode()
    files = (
        ("documentation/index.md", index, "text/markdown"),
        ("documentation/pages.zip", await trio.to_thread.run_sync(packed, pages), None),
    )
    return tuple([StoredFile(**await task.artifact(*file)) for file in files])


def packed(pages: Mapping[str, str]) -> bytes:
    """A zip of them; the same for the same pages."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in sorted(pages.items()):
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()
