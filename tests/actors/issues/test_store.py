"""The commands of beads.db: idempotent, exactly once, and nothing lost to other writers."""

from dataclasses import replace

import pytest

from actors.errors import Conflict, NotFound, ValidationError
from actors.issues.messages import (
    AddComment,
    Adopted,
    AdoptRows,
    ApplyChange,
    Assign,
    Change,
    ChangeLabels,
    CreateIssue,
    MarkFlushed,
    Position,
    SetStatus,
)
from storage.issues import jsonl, queries
from storage.issues.jsonl import Row
from tests.actors.issues.world import LATER, World, make


def change(*changes: Change, seq: int | None = None, issue_id: str = "x-1") -> ApplyChange:
    source = None if seq is None else Position(consumer="bridge", seq=seq)
    return ApplyChange(issue_id=issue_id, changes=changes, at=LATER, source=source)


def adopt(*rows: Row, gone: tuple[str, ...] = (), sha256: str = "theirs") -> AdoptRows:
    lines = [(row["id"], jsonl.encode_text(row)) for row in rows]
    return AdoptRows(rows=(*lines, *((name, None) for name in gone)), file_sha256=sha256, at=LATER)


def flush(world: World) -> None:
    world.run(MarkFlushed(seq=queries.last_seq(world.conn), sha256="ours"))


def test_creating_the_same_issue_twice_is_creating_it_once(world: World) -> None:
    command = CreateIssue(row=make(work={"workflow_id": "w-1"}), key="w-1")
    first = world.run(command)
    assert world.run(command) == first
    assert queries.last_seq(world.conn) == first.seq == 1


def test_a_creation_is_recognised_by_its_workflow_after_the_issue_has_changed(world: World) -> None:
    world.run(CreateIssue(row=make(work={"workflow_id": "w-1"}), key="w-1"))
    world.run(change(SetStatus(status="closed", reason="Completed")))
    again = make(work={"workflow_id": "w-1"}, created_at=LATER)
    assert world.run(CreateIssue(row=again, key="w-1")).seq == 2
    found = world.row()
    assert found["status"] == "closed"


def test_another_issue_with_the_same_id_is_refused(world: World) -> None:
    world.run(CreateIssue(row=make(work={"workflow_id": "w-1"}), key="w-1"))
    other = make(created_at=LATER, work={"workflow_id": "w-2"})
    with pytest.raises(Conflict):
        world.run(CreateIssue(row=other, key="w-2"))


def test_a_row_that_may_not_be_written_is_refused(world: World) -> None:
    with pytest.raises(ValidationError):
        world.run(CreateIssue(row=make() | {"priority": 9}))
    with pytest.raises(ValidationError):
        world.run(CreateIssue(row=make() | {"notes": "\ud83d"}))
    assert not world.holds()


def test_one_change_command_is_one_journal_entry_with_what_it_changed(world: World) -> None:
    world.create()
    applied = world.run(
        change(SetStatus(status="closed", reason="Completed"), AddComment(author="a", text="t"))
    )
    (entry,) = queries.read_journal(world.conn, applied.seq - 1, 10)
    assert (entry.kind, entry.at) == ("changed", LATER)
    assert entry.detail["status_before"] == "open"
    assert entry.detail["status"] == "closed"
    assert entry.detail["fields"] == [
        *("close_reason", "closed_at", "comments", "status", "updated_at")
    ]


def test_an_event_is_applied_once_however_often_it_comes(world: World) -> None:
    world.create()
    assert world.run(change(AddComment(author="a", text="five"), seq=5)).applied
    assert not world.run(change(AddComment(author="b", text="five"), seq=5)).applied
    assert not world.run(change(AddComment(author="b", text="four"), seq=4)).applied
    assert world.run(change(AddComment(author="b", text="six"), seq=6)).applied
    found = world.row()
    assert [c["text"] for c in found["comments"]] == ["five", "six"]


def test_an_event_that_changes_nothing_is_still_taken(world: World) -> None:
    world.create()
    assert not world.run(change(SetStatus(status="open"), seq=3)).applied
    assert queries.cursor(world.conn, "bridge") == 3
    assert queries.last_seq(world.conn) == 1


def test_a_refused_event_moves_no_cursor(world: World) -> None:
    with pytest.raises(NotFound):
        world.run(change(Assign(assignee="a"), seq=3))
    assert queries.cursor(world.conn, "bridge") == 0


def test_a_change_for_another_workflows_issue_is_refused(world: World) -> None:
    world.run(CreateIssue(row=make(work={"workflow_id": "w-1"}), key="w-1"))
    done = (Assign(assignee="a"),)
    with pytest.raises(Conflict):
        world.run(ApplyChange(issue_id="x-1", changes=done, at=LATER, key="w-2"))
    assert world.run(ApplyChange(issue_id="x-1", changes=done, at=LATER, key="w-1")).applied


def test_a_first_file_is_taken_as_it_is_and_is_no_news(world: World) -> None:
    assert world.run(adopt(make("x-1"), make("x-2"))) == Adopted(changed=2, removed=0)
    assert queries.last_seq(world.conn) == 0
    assert queries.publication(world.conn).flushed_sha256 == "theirs"


def test_an_outside_edit_and_ours_are_merged(world: World) -> None:
    world.create()
    flush(world)
    world.run(change(ChangeLabels(add=("ours",)), SetStatus(status="in_progress")))
    world.run(adopt(make(labels=["theirs"], title="New title")))
    found = world.row()
    assert (found["labels"], found["title"]) == (["ours", "theirs"], "New title")
    assert found["status"] == "in_progress"


def test_adopting_the_same_file_again_changes_nothing(world: World) -> None:
    world.create()
    flush(world)
    command = adopt(make(labels=["theirs"]))
    assert world.run(command).changed == 1
    seq = queries.last_seq(world.conn)
    assert world.run(command) == Adopted(changed=0, removed=0)
    assert queries.last_seq(world.conn) == seq


def test_a_second_outside_write_is_compared_with_the_first(world: World) -> None:
    world.create()
    flush(world)
    world.run(adopt(make(labels=["a"])))
    world.run(adopt(make(labels=["b"]), sha256="again"))
    found = world.row()
    assert found["labels"] == ["b"]


def bury(world: World, issue_id: str = "x-1") -> None:
    """The issue was deleted, and its tombstone published."""
    buried = {"status": "tombstone", "deleted_at": LATER, "updated_at": LATER}
    world.run(adopt(make(issue_id) | buried, sha256="buried"))
    flush(world)


def test_a_row_removed_outside_is_removed(world: World) -> None:
    world.create()
    flush(world)
    assert world.run(adopt(gone=("x-1",))) == Adopted(changed=0, removed=1)
    assert not world.holds()
    (entry,) = queries.read_journal(world.conn, 1, 10)
    assert (entry.kind, entry.detail["status"]) == ("removed", None)


def test_a_tombstone_removed_outside_is_removed(world: World) -> None:
    world.create()
    bury(world)
    assert world.run(adopt(gone=("x-1",))) == Adopted(changed=0, removed=1)
    assert not world.holds()
    (entry,) = queries.read_journal(world.conn, 2, 10)
    assert (entry.kind, entry.detail["status"]) == ("removed", None)


def test_a_removal_is_taken_in_once(world: World) -> None:
    world.create()
    bury(world)
    assert world.run(adopt(gone=("x-1",))).removed == 1
    assert world.run(adopt(gone=("x-1",))).removed == 0


def test_a_row_that_was_published_earlier_changes_nothing(world: World) -> None:
    world.create()
    flush(world)
    world.run(change(SetStatus(status="closed", reason="Completed")))
    flush(world)
    assert world.run(adopt(make())) == Adopted(changed=0, removed=0)
    assert world.row()["status"] == "closed"


def test_a_row_removed_outside_and_edited_here_is_kept(world: World) -> None:
    world.create()
    flush(world)
    world.run(change(ChangeLabels(add=("ours",))))
    world.run(adopt(gone=("x-1",)))
    found = world.row()
    assert found["labels"] == ["ours"]


def test_a_row_removed_outside_and_written_again_is_there_again(world: World) -> None:
    world.create()
    bury(world)
    world.run(adopt(gone=("x-1",)))
    world.run(adopt(make(title="Back"), sha256="again"))
    found = world.row()
    assert found["title"] == "Back"


def test_an_issue_removed_before_its_removal_was_published_may_be_created_anew(
    world: World,
) -> None:
    world.create()
    bury(world)
    world.run(adopt(gone=("x-1",)))
    world.create(created_at=LATER)
    assert queries.published_line(world.conn, "x-1") is None


def test_a_first_file_may_come_in_parts_and_is_taken_in_with_the_last(world: World) -> None:
    world.run(replace(adopt(make("x-1")), more=True))
    assert queries.publication(world.conn).flushed_sha256 is None
    world.run(adopt(make("x-2")))
    assert (world.holds("x-1"), world.holds("x-2")) == (True, True)
    assert queries.publication(world.conn).flushed_sha256 == "theirs"
    assert queries.last_seq(world.conn) == 0


def test_a_file_that_came_half_way_is_finished_when_it_is_adopted_again(world: World) -> None:
    world.run(replace(adopt(make("x-1")), more=True))
    world.create("x-9")
    world.run(replace(adopt(make("x-1")), more=True))
    world.run(adopt(make("x-2")))
    publication = queries.publication(world.conn)
    assert (publication.flushed_sha256, publication.adopted_sha256) == (None, "theirs")
    kinds = [(entry.issue_id, entry.kind) for entry in queries.read_journal(world.conn, 0, 9)]
    assert kinds == [("x-9", "created"), ("x-2", "adopted")]
