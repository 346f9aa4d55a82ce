"""Artifacts: stored in versions, each content once, and never served damaged."""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.coordination.results import contents
from actors.coordination.results.errors import (
    ArtifactUnusable,
    CutOff,
    NotStored,
    TooLarge,
    TooMuch,
)
from actors.coordination.results.messages import (
    ArtifactRecord,
    ListArtifacts,
    ListResults,
    OpenArtifact,
    StoreArtifact,
    SweepArtifacts,
)
from actors.coordination.results.reading import ARTIFACTS_SHOWN
from actors.errors import NotFound, StorageFull, ValidationError
from actors.facts import ARTIFACT_STORED
from actors.tree import World
from beadflow import Agent, Context, RetryPolicy, Task, activity, workflow
from storage import artifacts
from storage.artifacts import Artifacts, Incoming
from storage.sweeping import GRACE_S
from tests.support.world import Running, running_system

KEYS = ["media_type", "name", "sha256", "size", "version"]


class Writer(Agent):
    """Stores files, from a task and from a thread; fails once."""

    agent_type = "writer"

    @activity(retry=RetryPolicy(attempts=2, initial_s=0.0))
    async def write(self, task: Task) -> dict[str, Any]:
        made = await task.artifact("out/report.md", b"# Report")
        if task.attempt == 1:
            raise OSError("after it was stored")
        return {"report": made}

    @activity
    def copy(self, task: Task) -> dict[str, Any]:
        path = task.repo / "large.bin"
        path.write_bytes(b"x" * 3_000_000)
        return task.artifact_from_thread("large.bin", path, "application/x-large")

    @activity
    async def misname(self, task: Task) -> None:
        await task.artifact("../x", b"")


@workflow(agent_type="writer")
async def writing(ctx: Context) -> Any:
    return [await ctx.activity(Writer.write), await ctx.activity(Writer.copy)]


@workflow(agent_type="writer")
async def misnaming(ctx: Context) -> None:
    await ctx.activity(Writer.misname)


@workflow
async def small(ctx: Context) -> str:
    return "done"


@workflow
async def outer(ctx: Context) -> Any:
    return await ctx.child(small)


WORKFLOWS = [writing, misnaming, small, outer]


async def put(running: Running, workflow_id: str, **given: Any) -> ArtifactRecord:
    asked = {"name": "a.txt", "source": b"hello", **given}
    record: ArtifactRecord = await running.ask(
        "results", StoreArtifact(workflow_id=workflow_id, **asked)
    )
    return record


async def read(running: Running, workflow_id: str, name: str, version: int | None = None) -> bytes:
    asked = OpenArtifact(workflow_id=workflow_id, name=name, version=version)
    opened = await running.ask("results", asked)
    with opened.content as content:
        return bytes(content.read(0, opened.record.size + 1))


async def listed(running: Running, workflow_id: str, **asked: Any) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    cursor = None
    while True:
        message = ListArtifacts(workflow_id=workflow_id, limit=2, cursor=cursor, **asked)
        page = await running.ask("results", message)
        found += [(record.name, record.version) for record in page.records]
        cursor = page.next_cursor
        if cursor is None:
            return found


def files(running: Running) -> list[str]:
    """All that lies in the directory of contents, whole or not."""
    root = running.world.data.artifacts
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def begun(running: Running, kind: str = "small") -> str:
    workflow_id = (await running.start(kind)).id
    await running.ended(workflow_id)
    return workflow_id


async def test_what_is_stored_is_read_and_is_a_fact(repo: Path) -> None:
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)
        made = await put(running, workflow_id, step="1", agent_id="w-1", agent_type="writer")
        assert (made.version, made.size, made.media_type) == (1, 5, "text/plain")
        assert await read(running, workflow_id, "a.txt") == b"hello"
        assert files(running) == [sha256(b"hello")]
        log = await running.until(lambda seen: any(f.type == ARTIFACT_STORED for f in seen))
        (fact,) = [f for f in log if f.type == ARTIFACT_STORED]
        assert fact.data == {
            "name": "a.txt",
            "version": 1,
            "sha256": sha256(b"hello"),
            "size": 5,
            "media_type": "text/plain",
            "step": "1",
            "agent_type": "writer",
            "agent_id": "w-1",
        }


async def test_each_content_is_stored_once_and_each_name_has_versions(repo: Path) -> None:
    async with running_system(repo, workflows=WORKFLOWS) as running:
        one, two = await begun(running), await begun(running)
        for source in (b"1", b"2", b"2", b"1"):
            await put(running, one, source=source)
        await put(running, one, name="b.txt", source=b"1")
        await put(running, two, source=b"1")
        assert await listed(running, one) == [
            ("a.txt", 1),
            ("a.txt", 2),
            ("a.txt", 3),
            ("b.txt", 1),
        ]
        assert await listed(running, one, latest=True) == [("a.txt", 3), ("b.txt", 1)]
        assert await read(running, one, "a.txt", 2) == b"2"
        assert files(running) == sorted([sha256(b"1"), sha256(b"2")])
        with pytest.raises(NotFound, match=r"no version 4 of artifact 'a\.txt'"):
            await read(running, one, "a.txt", 4)
        with pytest.raises(NotFound, match="no artifact 'c'"):
            await read(running, one, "c")


async def test_an_agent_stores_files_from_a_task_and_a_thread_each_once(repo: Path) -> None:
    async with running_system(repo, workflows=WORKFLOWS, agents=[Writer]) as running:
        workflow_id = await begun(running, "writing")
        report, large = await running.output(workflow_id)
        assert sorted(large) == KEYS
        assert report["report"]["version"] == 1
        assert large["media_type"] == "application/x-large"
        assert await listed(running, workflow_id) == [("large.bin", 1), ("out/report.md", 1)]
        assert await listed(running, workflow_id, step="1") == [("out/report.md", 1)]
        assert await read(running, workflow_id, "large.bin") == b"x" * 3_000_000
        page = await running.ask("results", ListResults(workflow_id=workflow_id))
        names = {r.step: [a.name for a in r.artifacts] for r in page.records}
        assert names == {"1": ["out/report.md"], "2": ["large.bin"], "output": []}


async def test_a_result_names_the_last_files_of_its_step(repo: Path) -> None:
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)
        for number in range(ARTIFACTS_SHOWN + 2):
            await put(running, workflow_id, source=bytes([number]), step="output")
        page = await running.ask("results", ListResults(workflow_id=workflow_id))
        (result,) = page.records
        assert [a.version for a in result.artifacts] == list(range(3, ARTIFACTS_SHOWN + 3))


async def test_a_name_that_is_refused_is_the_failure_of_its_step(repo: Path) -> None:
    async with running_system(repo, workflows=WORKFLOWS, agents=[Writer]) as running:
        workflow_id = (await running.start("misnaming")).id
        (record,) = await running.ended(workflow_id)
        assert record.status == "failed"
        assert "the name of an artifact" in (record.error_message or "")


async def test_a_child_has_artifacts_of_its_own(repo: Path) -> None:
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running, "outer")
        await put(running, f"{workflow_id}.1")
        assert await listed(running, f"{workflow_id}.1") == [("a.txt", 1)]
        assert await listed(running, workflow_id) == []
        with pytest.raises(NotFound, match="w-9"):
            await put(running, "w-9")


async def streamed(running: Running, workflow_id: str, pieces: list[bytes], **given: Any) -> Any:
    send, receive = trio.open_memory_channel[bytes](0)

    async def feed() -> None:
        async with send:
            try:
                for piece in pieces:
                    await send.send(piece)
            except trio.BrokenResourceError:
                pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed)
        try:
            return await put(running, workflow_id, source=receive, **given)
        finally:
            receive.close()


async def test_a_content_may_come_in_pieces(repo: Path) -> None:
    pieces = [bytes([n]) * 300_000 for n in range(10)]
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)
        made = await streamed(running, workflow_id, [*pieces, b""])
        assert made.sha256 == sha256(b"".join(pieces))
        assert await read(running, workflow_id, "a.txt") == b"".join(pieces)


@pytest.mark.parametrize(
    ("pieces", "given"),
    [
        ([b"a", b"b"], {}),  # no end
        ([], {}),
        ([b"ab", b""], {"size": 3}),
        ([b"abcd", b""], {"size": 3}),
    ],
)
async def test_a_content_that_is_not_whole_leaves_nothing(
    repo: Path, pieces: list[bytes], given: dict[str, Any]
) -> None:
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)
        with pytest.raises((CutOff, ExceptionGroup)) as refused:
            await streamed(running, workflow_id, pieces, **given)
        assert (
            refused.group_contains(CutOff)
            if isinstance(refused.value, ExceptionGroup)
            else isinstance(refused.value, CutOff)
        )
        assert files(running) == []
        assert await listed(running, workflow_id) == []


async def test_nothing_is_waited_for_too_long(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "PIECE_S", 0.0)
    send, receive = trio.open_memory_channel[bytes](0)
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)
        with send, pytest.raises(CutOff, match="nothing came"):
            await put(running, workflow_id, source=receive)
        assert files(running) == []


def limited(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    made = World.__init__

    def init(world: World, **given: Any) -> None:
        made(world, **given, **limits)

    monkeypatch.setattr(World, "__init__", init)


async def test_an_artifact_is_not_larger_than_it_may_be(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, artifact_limit_bytes=10)
    large = repo / "large"
    large.write_bytes(b"x" * 11)
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)
        await put(running, workflow_id, source=b"x" * 10)
        for source in (b"x" * 11, large):
            with pytest.raises(TooLarge, match="at most 10 bytes"):
                await put(running, workflow_id, source=source)
        with pytest.raises((TooLarge, ExceptionGroup)):
            await streamed(running, workflow_id, [b"x" * 6, b"y" * 6, b""])
        with pytest.raises(TooLarge):  # before any of it came
            await put(running, workflow_id, source=trio.open_memory_channel[bytes](0)[1], size=11)
        assert files(running) == [sha256(b"x" * 10)]


async def test_a_workflow_has_no_more_artifacts_than_it_may_have(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, artifacts_limit_bytes=10)
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id, other = await begun(running), await begun(running)
        await put(running, workflow_id, source=b"123456")
        with pytest.raises(TooMuch, match="the limit is 10"):
            await put(running, workflow_id, source=b"12345")
        with pytest.raises(TooMuch):  # found out when it has come
            await streamed_past(running, workflow_id)
        await put(running, other, source=b"12345")
        assert await listed(running, workflow_id) == [("a.txt", 1)]


async def streamed_past(running: Running, workflow_id: str) -> None:
    send, receive = trio.open_memory_channel[bytes](2)
    await send.send(b"12345")
    await send.send(b"")
    await put(running, workflow_id, source=receive)


@pytest.mark.parametrize("name", ["missing", ".", "link"])
async def test_a_source_that_cannot_be_read_is_refused(repo: Path, name: str) -> None:
    (repo / "link").symlink_to("nowhere")
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)
        with pytest.raises(ValidationError, match="cannot be read") as refused:
            await put(running, workflow_id, source=repo / name)
        assert refused.value.field == "source"
        assert files(running) == []


@pytest.mark.parametrize("damage", ["changed", "short", "missing", "directory", "link"])
async def test_a_damaged_content_is_named_and_not_served_until_it_is_stored_again(
    repo: Path, damage: str
) -> None:
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)
        made = await put(running, workflow_id)
        path = artifacts.path_of(running.world.data.artifacts, made.sha256)
        match damage:
            case "changed":
                path.write_bytes(b"hullo")
            case "short":
                path.write_bytes(b"hell")
            case _:
                path.unlink()
        if damage == "directory":
            path.mkdir()
        if damage == "link":
            path.symlink_to(repo / ".git" / "HEAD")
        with pytest.raises(ArtifactUnusable, match=r"version 1 of artifact 'a\.txt'"):
            await read(running, workflow_id, "a.txt")
        if damage == "directory":
            path.rmdir()
        assert await put(running, workflow_id) == made
        assert await read(running, workflow_id, "a.txt") == b"hello"


@pytest.mark.parametrize("step", ["write", "fsync", "replace", "sync"])
async def test_an_error_of_the_disk_leaves_no_row_and_nothing_half(
    repo: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)

        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as broken:
            match step:
                case "write":
                    broken.setattr(Incoming, "write", fail)
                case "fsync":
                    broken.setattr(artifacts.os, "fsync", fail)
                case "replace":
                    broken.setattr(Path, "replace", fail)
                case _:
                    broken.setattr(artifacts.durable, "sync", fail)
            with pytest.raises(NotStored, match="Input/output error"):
                await put(running, workflow_id)
        assert await listed(running, workflow_id) == []
        assert set(files(running)) <= {sha256(b"hello")}
        await put(running, workflow_id)
        assert await read(running, workflow_id, "a.txt") == b"hello"


async def test_a_full_disk_is_said_and_leaves_nothing(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)
        with monkeypatch.context() as full:
            full.setattr(artifacts, "free_bytes", lambda _: artifacts.SPARE_BYTES + 4)
            with pytest.raises(StorageFull, match="free"):
                await put(running, workflow_id)
        with monkeypatch.context() as full:

            def write(*_: object) -> int:
                raise OSError(28, "No space left on device")

            full.setattr(artifacts.os, "write", write)
            with pytest.raises(StorageFull):
                await put(running, workflow_id)
        assert files(running) == []
        await put(running, workflow_id)


async def test_the_sweep_takes_what_is_old_and_named_by_no_row(repo: Path) -> None:
    now = [datetime.now(UTC)]
    async with running_system(repo, workflows=WORKFLOWS, clock=lambda: now[0]) as running:
        workflow_id = await begun(running)
        await put(running, workflow_id)
        contents_ = Artifacts(running.world.data.artifacts)
        loose = contents_.begin()
        loose.write(b"loose")
        loose.place()
        cut_off = contents_.begin()
        cut_off.write(b"half")
        assert len(files(running)) == 3
        assert (await running.ask("results", SweepArtifacts())).files == 0
        now[0] += timedelta(seconds=GRACE_S + 60)
        with artifacts.kept(contents_.root):  # a backup is being taken
            assert (await running.ask("results", SweepArtifacts())).files == 0
        swept = await running.ask("results", SweepArtifacts())
        assert (swept.files, swept.bytes) == (2, 9)
        assert files(running) == [sha256(b"hello")]
        cut_off.discard()


async def test_a_content_that_is_stored_again_during_a_sweep_stays(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep has seen that it is old and that no row names it, when it comes again."""
    async with running_system(repo, workflows=WORKFLOWS) as running:
        workflow_id = await begun(running)
        contents_ = Artifacts(running.world.data.artifacts)
        loose = contents_.begin()
        loose.write(b"hello")
        path = contents_.path(loose.place().sha256)
        os.utime(path, (0, 0))
        seen = artifacts.stored

        def stored_and_then(root: Path) -> Any:
            found = list(seen(root))
            again = contents_.begin()
            again.write(b"hello")
            again.place()
            return found

        monkeypatch.setattr(artifacts, "stored", stored_and_then)
        assert (await running.ask("results", SweepArtifacts())).files == 0
        await put(running, workflow_id)
        assert await read(running, workflow_id, "a.txt") == b"hello"
