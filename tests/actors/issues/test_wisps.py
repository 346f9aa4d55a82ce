"""Wisps: issues that stay on this machine, however often the file is written or read."""

from typing import Any

import pytest
from trio.testing import MockClock

from actors.errors import ValidationError
from actors.issues.messages import ApplyChange, ChangeLabels, Flush
from actors.issues.publishing.publisher import PublisherSettings
from actors.issues.writing.edits import (
    AddEdge,
    Edit,
    Edited,
    EditIssue,
    InsertIssue,
    SetFields,
)
from storage.issues import queries
from storage.issues.jsonl import Row
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


def insert(world: World, **more: Any) -> Row:
    usual = {"fields": {"title": "T"}, "actor": "ada", "at": LATER, "key": "k"}
    edited: Edited = world.run(InsertIssue(**{**usual, **more}))
    return edited.row


def edit(world: World, issue_id: str, what: Edit) -> None:
    world.run(EditIssue(issue_id=issue_id, edit=what, at=LATER, actor="ada", request="r"))


@pytest.mark.parametrize(
    "place",
    [
        {"parent": "x-wisp"},
        {"issue_id": "x-2", "depends_on": (("parent-child", "x-wisp"),)},
        {"issue_id": "x-wisp.7", "explicit": True},
    ],
    ids=["by parent", "by dependency", "by id"],
)
def test_a_child_of_a_wisp_is_a_wisp(world: World, place: dict[str, Any]) -> None:
    create_wisp(world)
    row = insert(world, **place)
    assert row["ephemeral"] is True
    assert queries.is_local(world.conn, row["id"])


def test_a_published_issue_depends_on_no_wisp(world: World) -> None:
    world.create()
    create_wisp(world)
    for kind in ("blocks", "related"):
        with pytest.raises(ValidationError, match="is published and cannot depend on x-wisp"):
            insert(world, issue_id="x-2", depends_on=((kind, "x-wisp"),))
    for what in (
        AddEdge(depends_on_id="x-wisp", type="blocks"),
        AddEdge(depends_on_id="x-wisp", type="parent-child"),
        SetFields(fields={}, parent="x-wisp"),
    ):
        with pytest.raises(ValidationError, match="a wisp, which is in no other clone"):
            edit(world, "x-1", what)
    assert queries.all_ids(world.conn) == ["x-1", "x-wisp"]


def test_a_wisp_depends_on_whatever_there_is(world: World) -> None:
    world.create()
    create_wisp(world)
    edges = (("blocks", "x-wisp"), ("blocks", "x-1"))
    insert(world, issue_id="x-2", fields={"title": "T", "ephemeral": True}, depends_on=edges)
    edit(world, "x-wisp", AddEdge(depends_on_id="x-1", type="blocks"))
    assert queries.local_ids(world.conn) == ["x-2", "x-wisp"]


def test_a_wisp_is_kept_after_those_that_it_depends_on(world: World) -> None:
    create_wisp(world)
    insert(world, parent="x-wisp")
    keep = SetFields(fields={"ephemeral": None})
    with pytest.raises(ValidationError, match="cannot depend on x-wisp"):
        edit(world, "x-wisp.1", keep)
    edit(world, "x-wisp", keep)
    edit(world, "x-wisp.1", keep)
    assert queries.local_ids(world.conn) == []


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
