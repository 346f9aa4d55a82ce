"""The publisher: when it writes, what it finds there, and where it may be cut off."""

from collections.abc import Callable
from typing import Any

import pytest
import structlog
import trio
from trio.testing import MockClock

from actors.issues.messages import (
    ApplyChange,
    ChangeLabels,
    CompareFile,
    Composed,
    ComposeFile,
    CreateIssue,
    Flush,
    InstallFile,
    MarkFlushed,
    MarkFlushIntent,
    PublicationFailed,
    Recorded,
    RecordFile,
    RecordNow,
    SetStatus,
)
from actors.issues.publishing import publisher
from actors.issues.publishing.adoption import ask_files
from actors.issues.publishing.publisher import PublisherSettings, pause_before
from storage.issues import file, queries
from supervision import Named, System, ask
from tests.actors.issues.world import LATER, World, make

SETTINGS = PublisherSettings(record=False)
RECORDING = PublisherSettings(min_commit_interval_s=30.0)


async def change(system: System, *labels: str, issue_id: str = "x-1") -> None:
    """Make a change through the writer, as everybody does."""
    command = ApplyChange(issue_id=issue_id, changes=(ChangeLabels(add=labels),), at=LATER)
    await ask(system.named("beads_writer"), command)


async def flush(system: System) -> None:
    await ask(system.named("publisher"), Flush())


def test_the_pause_grows_with_the_cost_of_the_last_flush() -> None:
    assert pause_before(SETTINGS, 0.01) == 0.25
    assert pause_before(SETTINGS, 2.0) == 6.0


@pytest.mark.parametrize("cost_s", [0.0, 0.1, 0.25])
def test_a_flush_of_a_quarter_second_shows_a_change_within_a_second(cost_s: float) -> None:
    assert pause_before(SETTINGS, cost_s) + cost_s <= 1.0


async def test_a_change_is_in_the_file_after_the_pause(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await flush(system)
        await change(system, "new")
        assert "labels" not in world.published()["x-1"]
        await trio.sleep(0.3)
        assert world.published()["x-1"]["labels"] == ["new"]


async def test_changes_within_one_pause_are_one_write(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await flush(system)
        for label in "abcdef":
            await change(system, label)
            await trio.sleep(0.02)
        await trio.sleep(1)
        assert world.published()["x-1"]["labels"] == list("abcdef")
        assert world.asked.count("InstallFile") == 2


async def test_it_is_quiet_when_nothing_changes(world: World, autojump_clock: MockClock) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await change(system, "a")
        await trio.sleep(1)
        world.asked.clear()
        await trio.sleep(3600)
        assert world.asked == []


async def test_what_others_wrote_into_the_file_is_taken_in_while_nothing_else_happens(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(SETTINGS):
        await trio.sleep(10)
        world.write_outside(make(), make("x-2", title="Theirs"))
        await trio.sleep(2.5)
        assert world.row("x-2")["title"] == "Theirs"
        world.path.unlink()
        world.write_outside(make(), make("x-2"), make("x-3"))
        await trio.sleep(2.5)
        assert world.holds("x-3")


async def test_a_file_that_is_taken_in_is_read_once(
    world: World, autojump_clock: MockClock
) -> None:
    async with world.running(SETTINGS):
        await trio.sleep(10)
        world.asked.clear()
        world.write_outside(make())
        await trio.sleep(3600)
        assert world.asked == ["ComposeFile", "CompareFile", "ComposeFile"]


async def test_a_warning_tells_of_lines_that_are_no_issues(
    world: World, autojump_clock: MockClock
) -> None:
    async with world.running(SETTINGS):
        world.write_outside(make())
        world.path.write_bytes(world.path.read_bytes() + b"no issue\n")
        with structlog.testing.capture_logs() as logs:
            await trio.sleep(3)
    (warned,) = (each for each in logs if each["log_level"] == "warning")
    assert (warned["lines"], warned["kept_in"]) == (1, "issues.quarantine.jsonl")


async def test_a_file_that_somebody_is_still_writing_is_left_until_it_rests(
    world: World, autojump_clock: MockClock
) -> None:
    async with world.running(SETTINGS):
        await trio.sleep(1.5)
        world.asked.clear()
        for number in range(1, 10):
            world.write_outside(*(make(f"x-{each}") for each in range(number)))
            await trio.sleep(1)
        assert world.asked == []
        await trio.sleep(2)
        assert len(queries.all_ids(world.conn)) == 9


async def test_a_file_that_is_not_there_is_not_looked_for_until_a_change(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await trio.sleep(10)
        world.asked.clear()
        world.path.unlink()
        await trio.sleep(3600)
        assert world.asked == []
        await change(system, "a")
        await trio.sleep(1)
        assert world.published()["x-1"]["labels"] == ["a"]


async def test_a_flush_that_was_asked_for_is_not_made_again_after_the_pause(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await flush(system)
        world.asked.clear()
        await change(system, "a")
        await flush(system)
        await trio.sleep(1)
        assert world.asked == ["ComposeFile", "InstallFile"]


async def test_a_missing_file_is_written_at_start(world: World, autojump_clock: MockClock) -> None:
    world.create()
    async with world.running(SETTINGS):
        await trio.sleep(0.1)
        assert list(world.published()) == ["x-1"]


async def test_no_file_is_made_for_no_issues(world: World, autojump_clock: MockClock) -> None:
    async with world.running(RECORDING) as system:
        await flush(system)
        await trio.sleep(60)
    assert not world.path.exists()


async def test_what_waits_is_written_at_stop(world: World, autojump_clock: MockClock) -> None:
    async with world.running(PublisherSettings(debounce_s=3600, record=False)) as system:
        await flush(system)
        world.create()
    assert list(world.published()) == ["x-1"]


async def test_another_writers_file_is_merged_and_never_replaced(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await flush(system)
        theirs = make(labels=["theirs"], description="by hand")
        world.write_outside(theirs, make("x-2", title="Added by hand"))
        await change(system, "ours")
        await flush(system)
        published = world.published()
    assert published["x-1"]["labels"] == ["ours", "theirs"]
    assert published["x-1"]["description"] == "by hand"
    assert world.row("x-2")["title"] == published["x-2"]["title"] == "Added by hand"


async def test_an_older_file_that_is_put_back_is_somebodys_write(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await flush(system)
        world.write_outside(make() | {"notes": "by hand"})
        await flush(system)
        by_hand = world.path.read_bytes()
        await change(system, "ours")
        await flush(system)
        world.path.write_bytes(by_hand)
        await flush(system)
        assert world.path.read_bytes() == by_hand
    assert world.row()["notes"] == "by hand"
    assert "labels" not in world.row()


async def test_a_file_from_before_an_issue_was_closed_does_not_open_it_again(
    world: World, autojump_clock: MockClock
) -> None:
    """Found by a simulation: whoever wrote the row last had a clock that was ahead of the close."""
    world.create()
    async with world.running(SETTINGS) as system:
        world.write_outside(make() | {"notes": "by hand", "updated_at": "2026-01-09T00:00:00Z"})
        await flush(system)
        before = world.path.read_bytes()
        closing = SetStatus(status="closed", reason="Completed")
        command = ApplyChange(issue_id="x-1", changes=(closing,), at=LATER)
        await ask(system.named("beads_writer"), command)
        await flush(system)
        world.path.write_bytes(before)
        await flush(system)
    assert world.published()["x-1"]["close_reason"] == "Completed"
    assert world.row()["notes"] == "by hand"


async def test_rows_missing_from_the_file_of_another_work_tree_are_published_again(
    world: World, autojump_clock: MockClock
) -> None:
    world.create("x-1")
    async with world.running(SETTINGS) as system:
        await flush(system)
    other = world.move_to(world.root / "tree" / ".beads" / "issues.jsonl")
    async with world.running(SETTINGS) as system:
        await flush(system)
        await ask(system.named("beads_writer"), CreateIssue(row=make("x-2")))
        await flush(system)
    world.move_to(other)
    world.write_outside(make("x-1"), make("x-4"))
    async with world.running(SETTINGS) as system:
        await flush(system)
        assert list(world.published()) == ["x-1", "x-2", "x-4"]


async def test_rows_missing_from_a_file_that_was_never_written_here_are_published_again(
    world: World, autojump_clock: MockClock
) -> None:
    for issue_id in ("x-1", "x-2"):
        world.create(issue_id)
    async with world.running(SETTINGS) as system:
        await flush(system)
    world.move_to(world.root / "tree" / ".beads" / "issues.jsonl")
    world.write_outside(make("x-1"))
    async with world.running(SETTINGS) as system:
        await flush(system)
        assert list(world.published()) == ["x-1", "x-2"]


async def test_a_row_taken_out_of_the_file_is_removed(
    world: World, autojump_clock: MockClock
) -> None:
    """Also the newest one, without which the file is as it was when it held the others alone."""
    for issue_id in ("x-1", "x-2", "x-3"):
        world.create(issue_id)
    async with world.running(SETTINGS) as system:
        await flush(system)
        world.write_outside(make("x-1"), make("x-2"))
        await flush(system)
        assert list(world.published()) == ["x-1", "x-2"]
        assert not world.holds("x-3")
        world.write_outside(make("x-2"))
        await flush(system)
        assert list(world.published()) == ["x-2"]


async def test_a_row_taken_out_while_nobody_looked_is_removed(
    world: World, autojump_clock: MockClock
) -> None:
    for issue_id in ("x-1", "x-2"):
        world.create(issue_id)
    async with world.running(SETTINGS) as system:
        await flush(system)
    world.write_outside(make("x-2"))
    async with world.running(SETTINGS) as system:
        await flush(system)
        assert not world.holds("x-1")


async def test_a_row_taken_out_of_a_first_file_that_needed_no_writing_is_removed(
    world: World, autojump_clock: MockClock
) -> None:
    world.write_outside(make("x-1"), make("x-2"))
    async with world.running(SETTINGS) as system:
        await flush(system)
        world.write_outside(make("x-2"))
        await flush(system)
        assert not world.holds("x-1")


async def test_a_row_that_was_changed_since_it_was_published_outlives_its_removal(
    world: World, autojump_clock: MockClock
) -> None:
    for issue_id in ("x-1", "x-2"):
        world.create(issue_id)
    async with world.running(SETTINGS) as system:
        await flush(system)
        world.write_outside(make("x-2"))
        await change(system, "edited")
        await flush(system)
        assert world.published()["x-1"]["labels"] == ["edited"]


async def test_a_row_missing_from_a_file_that_is_being_written_is_kept(
    world: World, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for issue_id in ("x-1", "x-2"):
        world.create(issue_id)
    async with world.running(SETTINGS) as system:
        await flush(system)
        world.write_outside(make("x-1"))

        def write_on(_path: object) -> None:
            monkeypatch.undo()
            world.write_outside(make("x-1"), make("x-2"), make("x-3"))

        monkeypatch.setattr(file, "stamp", write_on)
        outside = world.ask_files(CompareFile())
        assert outside.rows == ()
        await flush(system)
        assert list(world.published()) == ["x-1", "x-2", "x-3"]


async def test_a_write_between_the_look_and_the_rename_is_merged_too(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await flush(system)

        def meddle(message: object) -> None:
            if isinstance(message, InstallFile):
                world.before = lambda _message: None
                world.write_outside(make(labels=["theirs"]))

        world.before = meddle
        await change(system, "ours")
        await flush(system)
        assert world.published()["x-1"]["labels"] == ["ours", "theirs"]


async def test_a_file_written_without_end_by_others_is_given_up_for_now(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await flush(system)
        count = iter(range(100))

        def meddle(message: object) -> None:
            if isinstance(message, InstallFile):
                world.write_outside(make(title=f"Title {next(count)}"))

        world.before = meddle
        await change(system, "ours")
        with pytest.raises(PublicationFailed):
            await flush(system)


async def test_a_disk_that_refuses_is_tried_again(world: World, autojump_clock: MockClock) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await flush(system)
        world.before = refuse(InstallFile)
        await change(system, "new")
        await trio.sleep(1)
        assert "labels" not in world.published()["x-1"]
        world.before = lambda _message: None
        await trio.sleep(SETTINGS.retry_s)
        assert world.published()["x-1"]["labels"] == ["new"]


def refuse(kind: type) -> Callable[[object], None]:
    def before(message: object) -> None:
        if isinstance(message, kind):
            raise PublicationFailed("no space left on device")

    return before


# --- recordings --------------------------------------------------------------------------------


async def test_recordings_are_at_least_the_interval_apart(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(RECORDING) as system:
        for number in range(100):
            await change(system, f"label-{number}")
            await trio.sleep(1)
        assert world.asked.count("RecordFile") == 4


async def test_a_recording_that_is_asked_for_does_not_wait(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(RECORDING) as system:
        await trio.sleep(1)
        world.asked.clear()
        await change(system, "a")
        await ask(system.named("publisher"), RecordNow())
        assert world.asked[-2:] == ["InstallFile", "RecordFile"]
        assert await ask(system.named("publisher"), RecordNow()) == Recorded(commit=None)
        assert world.asked.count("RecordFile") == 1


async def test_the_last_change_is_recorded_at_stop(world: World, autojump_clock: MockClock) -> None:
    world.create()
    async with world.running(RECORDING) as system:
        await trio.sleep(1)
        await change(system, "a")
        world.asked.clear()
    assert world.asked[-2:] == ["InstallFile", "RecordFile"]


async def test_a_file_that_a_stop_came_in_between_of_is_recorded_all_the_same(
    world: World, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by kills between the commits of a cancellation: Git stayed behind the file."""
    installed = trio.Event()

    async def cut_off(files: Named, message: Any) -> Any:
        answer = await ask_files(files, message)
        if isinstance(message, InstallFile) and not installed.is_set():
            installed.set()
            await trio.sleep_forever()
        return answer

    monkeypatch.setattr(publisher, "ask_files", cut_off)
    world.create()
    async with world.running(RECORDING):
        await installed.wait()
        await trio.sleep(1)
    assert world.asked[-1] == "RecordFile"


async def test_a_recording_that_fails_stops_no_flush_and_waits_for_its_turn(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    world.before = refuse(RecordFile)
    async with world.running(RECORDING) as system:
        await trio.sleep(1)
        await change(system, "a")
        with pytest.raises(PublicationFailed):
            await ask(system.named("publisher"), RecordNow())
        assert world.published()["x-1"]["labels"] == ["a"]
        world.asked.clear()
        await trio.sleep(95)
        assert world.asked.count("RecordFile") == 3


async def test_git_is_left_alone_when_it_is_switched_off(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    async with world.running(SETTINGS) as system:
        await ask(system.named("publisher"), RecordNow())
    assert "RecordFile" not in world.asked


# --- cut off after each step of a flush ----------------------------------------------------------


def published_then_changed(world: World) -> Composed:
    """Publish one version, make a change, and compose the file with it."""
    world.create()
    step_through(world, world.ask_files(ComposeFile()), "mark")
    label = ChangeLabels(add=("ours",))
    world.run(ApplyChange(issue_id="x-1", changes=(label,), at=LATER))
    composed: Composed = world.ask_files(ComposeFile())
    return composed


def step_through(world: World, composed: Composed, last: str) -> None:
    """Flush by hand up to and including one step."""
    mark: dict[str, Any] = {"seq": composed.seq, "sha256": composed.sha256}
    world.run(MarkFlushIntent(**mark))
    if last == "intent":
        return
    if last == "temporary file":
        world.path.parent.mkdir(exist_ok=True)
        file.companions(world.path)[-1].write_bytes(composed.data[:10])
        return
    install = InstallFile(data=composed.data, expected_sha256=composed.present_sha256)
    assert world.ask_files(install)
    if last == "mark":
        world.run(MarkFlushed(**mark))


@pytest.mark.parametrize("last", ["intent", "temporary file", "rename", "mark"])
async def test_a_flush_cut_off_after_any_step_is_finished_by_the_next_start(
    world: World, autojump_clock: MockClock, last: str
) -> None:
    step_through(world, published_then_changed(world), last)
    world.asked.clear()
    async with world.running(SETTINGS) as system:
        await flush(system)
        known = queries.publication(world.conn)
        assert (known.flushed_seq, known.flushed_sha256) == (2, file.present_sha256(world.path))
        assert world.published() == {"x-1": world.row()}
        assert world.row()["labels"] == ["ours"]
    assert "CompareFile" not in world.asked  # it knew the file for its own


async def test_a_flush_says_what_it_intends_before_it_touches_the_file(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    world.before = refuse(MarkFlushed)
    async with world.running(SETTINGS) as system:
        with pytest.raises(PublicationFailed):
            await flush(system)
        known = queries.publication(world.conn)
        assert known.intended_sha256 == file.present_sha256(world.path)
        assert known.flushed_sha256 is None


async def test_a_rename_whose_mark_was_lost_is_marked_before_anything_else(
    world: World, autojump_clock: MockClock
) -> None:
    step_through(world, published_then_changed(world), "rename")
    world.create("x-2")
    world.before = refuse(InstallFile)
    async with world.running(SETTINGS) as system:
        with pytest.raises(PublicationFailed):
            await flush(system)
    assert queries.publication(world.conn).flushed_seq == 2


@pytest.mark.parametrize("last", ["intent", "temporary file", "rename", "mark"])
async def test_an_outside_write_after_the_cut_is_merged_all_the_same(
    world: World, autojump_clock: MockClock, last: str
) -> None:
    step_through(world, published_then_changed(world), last)
    theirs = world.published()["x-1"] | {"notes": "by hand", "updated_at": "2026-02-01T00:00:00Z"}
    world.write_outside(theirs)
    async with world.running(SETTINGS) as system:
        await flush(system)
    assert world.row()["labels"] == ["ours"]
    assert world.published() == {"x-1": world.row()}
    assert world.row()["notes"] == "by hand"


async def test_a_change_after_the_rename_is_not_forgotten_by_the_late_mark(
    world: World, autojump_clock: MockClock
) -> None:
    step_through(world, published_then_changed(world), "rename")
    world.run(ApplyChange(issue_id="x-1", changes=(SetStatus(status="blocked"),), at=LATER))
    async with world.running(SETTINGS) as system:
        await flush(system)
        assert world.published()["x-1"]["status"] == "blocked"
    assert queries.publication(world.conn).flushed_seq == 3


async def test_an_adoption_cut_off_before_its_flush_is_not_made_twice(
    world: World, autojump_clock: MockClock
) -> None:
    published_then_changed(world)
    world.write_outside(make(title="By hand"))
    world.before = refuse(InstallFile)
    async with world.running(SETTINGS) as system:
        with pytest.raises(PublicationFailed):
            await flush(system)
    seq = queries.last_seq(world.conn)
    world.before = lambda _message: None
    async with world.running(SETTINGS) as system:
        await flush(system)
        assert (world.row()["title"], world.row()["labels"]) == ("By hand", ["ours"])
        assert world.published() == {"x-1": world.row()}
    assert queries.last_seq(world.conn) == seq
