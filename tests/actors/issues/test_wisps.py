"""Wisps: issues that stay on this machine, however often the file is written or read."""

from trio.testing import MockClock

from actors.issues.messages import ApplyChange, ChangeLabels, Flush
from actors.issues.publishing.publisher import PublisherSettings
from actors.issues.writing.edits import EditIssue, SetFields
from storage.issues import queries
from supervision import ask
from tests.actors.issues.world import LATER, World, make

QUIET = PublisherSettings(debounce_s=3600, record=False)


async def flush(world: World) -> None:
    async with world.running(QUIET) as system:
        await ask(system.named("publisher"), Flush())


def create_wisp(world: World) -> None:
    """As the verb for a new issue does it, which comes down to the same row."""
    with world.conn:
        queries.put_row(world.conn, make("x-wisp") | {"ephemeral": True})
        queries.append_journal(
            world.conn, "x-wisp", "created", detail={"status": "open"}, base=None, at=LATER
        )


def label(world: World) -> None:
    change = ChangeLabels(add=("a",))
    world.run(ApplyChange(issue_id="x-wisp", changes=(change,), at=LATER))


async def test_a_wisp_and_its_changes_are_in_no_file(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    create_wisp(world)
    await flush(world)
    label(world)
    await flush(world)
    assert world.published().keys() == {"x-1"}
    assert world.row("x-wisp")["labels"] == ["a"]
    assert queries.publication(world.conn).flushed_seq == queries.last_seq(world.conn)


async def test_a_file_of_somebody_else_that_lacks_a_wisp_does_not_remove_it(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    create_wisp(world)
    await flush(world)
    world.write_outside(make("x-1", title="Theirs"))
    await flush(world)
    assert world.row()["title"] == "Theirs"
    assert world.holds("x-wisp")


async def test_a_wisp_that_is_kept_is_published_like_a_new_issue(
    world: World, autojump_clock: MockClock
) -> None:
    create_wisp(world)
    await flush(world)
    assert not world.path.exists()
    keep = SetFields(fields={"ephemeral": None})
    world.run(EditIssue(issue_id="x-wisp", edit=keep, at=LATER, actor="ada", request="keep"))
    assert queries.published_line(world.conn, "x-wisp") is None
    await flush(world)
    assert world.published() == {"x-wisp": world.row("x-wisp")}
    assert "ephemeral" not in world.row("x-wisp")


async def test_an_ephemeral_issue_of_the_file_stays_in_it(
    world: World, autojump_clock: MockClock
) -> None:
    world.create()
    await flush(world)
    world.write_outside(world.row(), make("x-wisp") | {"ephemeral": True})
    await flush(world)
    label(world)
    await flush(world)
    assert world.published()["x-wisp"]["labels"] == ["a"]
