"""A flush cut off between any two of its steps, with somebody else's write in the gap.

A process that is killed leaves on the disk what was there at that moment. So the whole directory is
copied before and after each step of one flush, and each copy is what a kill would have left: there
a new life begins, and everything that was acknowledged has to be in the database and in the file,
and whatever somebody else wrote as well.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from actors.issues.messages import ApplyChange, ChangeLabels, Flush, SetStatus
from actors.issues.publishing.publisher import PublisherSettings
from storage.issues import file, jsonl, queries
from storage.issues.jsonl import Row
from supervision import ask
from tests.actors.issues.world import LATER, World, make, open_world

QUIET = PublisherSettings(debounce_s=3600, record=False)
THEIRS_AT = "2026-02-01T00:00:00Z"

STEPS = [
    "ComposeFile",
    "MarkFlushIntent",
    "InstallFile",
    "open of the temporary file",
    "half of the temporary file",
    "mode of the temporary file",
    "sync of the temporary file",
    "rename",
    "sync of the directory",
    "MarkFlushed",
]
"""Before each of them, and after the last one, the flush is cut off."""

Act = Callable[[str], None]


@contextmanager
def watching(world: World, monkeypatch: pytest.MonkeyPatch, act: Act) -> Iterator[None]:
    """Calls `act` with the name of each step before it is done, and with "the end"."""
    opened, renamed, synced, moded = os.open, Path.replace, os.fsync, os.fchmod
    temporary = file.companions(world.path)[-1]

    def is_directory(descriptor: int) -> bool:
        return Path(f"/proc/self/fd/{descriptor}").is_dir()

    def open_(path: Any, flags: int, *more: Any) -> int:
        if Path(path) == temporary:
            act("open of the temporary file")
        return opened(path, flags, *more)

    def fchmod(descriptor: int, mode: int) -> None:
        whole = temporary.read_bytes()
        temporary.write_bytes(whole[: len(whole) // 2])
        act("half of the temporary file")
        temporary.write_bytes(whole)
        act("mode of the temporary file")
        moded(descriptor, mode)

    def fsync(descriptor: int) -> None:
        act("sync of the directory" if is_directory(descriptor) else "sync of the temporary file")
        synced(descriptor)

    def replace(source: Path, target: Path) -> Path:
        act("rename")
        return renamed(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", open_)
        patched.setattr(os, "fchmod", fchmod)
        patched.setattr(os, "fsync", fsync)
        patched.setattr(Path, "replace", replace)
        world.before = lambda message: act(type(message).__name__)
        yield
        world.before = lambda _message: None
    act("the end")


async def flush(world: World) -> None:
    async with world.running(QUIET) as system:
        await ask(system.named("publisher"), Flush())


async def changed(world: World) -> None:
    """Three issues are published; then two of them are changed and another one is made.

    A label leaves the issue's `updated_at` alone: only what was published tells who set it.
    """
    for number in (1, 2, 3):
        world.create(f"x-{number}")
    await flush(world)
    label, status = ChangeLabels(add=("ours",)), SetStatus(status="closed")
    world.run(ApplyChange(issue_id="x-1", changes=(label,), at=LATER))
    world.run(ApplyChange(issue_id="x-3", changes=(status,), at=LATER))
    world.create("x-4")


def add_theirs(world: World) -> None:
    """Somebody reads the file as it is and writes it with an edit, a label and a new issue."""
    rows = world.published()
    edited = rows["x-2"] | {"title": "Theirs", "labels": ["theirs"], "updated_at": THEIRS_AT}
    world.write_outside(*(rows | {"x-2": edited, "y-1": make("y-1")}).values())


def require(world: World, *, theirs: bool) -> None:
    """All that was acknowledged is published, the database says the same, nothing is left over."""
    rows: dict[str, Row] = world.published()
    assert (rows["x-1"]["labels"], rows["x-3"]["status"]) == (["ours"], "closed")
    assert rows.keys() == {"x-1", "x-2", "x-3", "x-4"} | ({"y-1"} if theirs else set())
    assert (rows["x-2"]["title"] == "Theirs") is theirs
    assert rows["x-2"].get("labels") == (["theirs"] if theirs else None)
    lines = [jsonl.encode_text(row) for row in rows.values()]
    assert lines == queries.all_lines(world.conn)
    known = queries.publication(world.conn)
    assert known.flushed_sha256 == file.present_sha256(world.path)
    assert known.flushed_seq == queries.last_seq(world.conn)
    assert not file.companions(world.path)[-1].exists()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


async def cut(
    images: Path, monkeypatch: pytest.MonkeyPatch, *, theirs_at: str | None = None
) -> list[Path]:
    """Make one flush, and a copy of the directory at each step; somebody may write at one of them.

    The copies are of what is there since that write.
    """
    made: list[Path] = []
    with open_world(images / "live") as world:
        await changed(world)
        has_written = theirs_at is None

        def act(step: str) -> None:
            nonlocal has_written
            if step == theirs_at and not has_written:
                has_written = True
                add_theirs(world)
            if has_written:
                made.append(images / f"{len(made):02} before {step}")
                shutil.copytree(world.root, made[-1])

        with watching(world, monkeypatch, act):
            await flush(world)
        require(world, theirs=theirs_at is not None)
    assert has_written
    return made


async def test_every_step_of_a_flush_is_cut_off_here(
    images: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    found = [image.name.partition(" before ")[2] for image in await cut(images, monkeypatch)]
    assert [step for step in found if step in STEPS][: len(STEPS)] == STEPS
    assert found[-1] == "the end"


@pytest.mark.parametrize("theirs", [False, True], ids=["alone", "with a write in the gap"])
async def test_a_flush_that_is_cut_off_anywhere_loses_nothing_of_either_side(
    images: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, theirs: bool
) -> None:
    for image in await cut(images, monkeypatch):
        with open_world(image) as world:
            if theirs:
                add_theirs(world)
            await flush(world)
            require(world, theirs=theirs)
            seq = queries.last_seq(world.conn)
            await flush(world)
            assert queries.last_seq(world.conn) == seq, image.name


@pytest.mark.parametrize("step", [step for step in STEPS if step != "rename"])
async def test_a_write_of_somebody_else_in_a_flush_that_is_then_cut_off_is_not_lost(
    images: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, step: str
) -> None:
    """Not between the last look and the rename, where no file system compares and replaces."""
    for image in await cut(images, monkeypatch, theirs_at=step):
        with open_world(image) as world:
            await flush(world)
            require(world, theirs=True)
