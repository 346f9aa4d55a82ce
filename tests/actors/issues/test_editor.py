"""The commands that the verbs become: each comes again without doing anything again."""

import pytest

from actors.errors import Conflict
from actors.issues import ids
from actors.issues.verbs import StaleClaim
from actors.issues.writing.edits import (
    AddEdge,
    BuryIssues,
    Close,
    Comment,
    Defer,
    Edit,
    Edited,
    EditIssue,
    InsertIssue,
    RemoveEdge,
    Reopen,
    Restore,
    SetFields,
)
from storage.issues import queries
from tests.actors.issues.world import AT, LATER, World

EDGE = {"issue_id": "x-1", "type": "blocks", "created_at": AT}
SET_NOTES = SetFields(fields={}, append_notes="n", expected=AT)


def edit(what: Edit, request: str = "r", **more: object) -> EditIssue:
    return EditIssue(
        issue_id="x-1",
        edit=what,
        actor="me",
        at=LATER,
        request=request,
        **more,  # type: ignore[arg-type]
    )


def put(world: World, issue_id: str = "x-1", **more: object) -> None:
    world.create(issue_id)
    queries.put_row(world.conn, world.row(issue_id) | more)


CLOSED = {"status": "closed", "closed_at": AT}


@pytest.mark.parametrize(
    ("what", "before"),
    [
        (SET_NOTES, {}),
        (Close(reason="done"), {}),
        (Reopen(reason="why"), CLOSED),
        (Defer(), {}),
        (Restore(), {"status": "tombstone", "deleted_at": AT}),
        (AddEdge(depends_on_id="x-2", type="blocks"), {}),
        (RemoveEdge(depends_on_id="x-2"), {"dependencies": [EDGE | {"depends_on_id": "x-2"}]}),
        (Comment(text="t"), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_edit_that_comes_again_is_not_made_again(
    world: World, what: Edit, before: dict[str, object]
) -> None:
    put(world, **before)
    put(world, "x-2", **CLOSED)
    first = world.run(edit(what))
    seq = queries.last_seq(world.conn)
    assert first.seq == seq == 3
    assert world.run(edit(what)) == first
    world.run(edit(SetFields(fields={"title": "between"}), "other"))
    again = world.run(edit(what))
    assert (again.seq, again.row["title"]) == (first.seq, "between")
    assert queries.last_seq(world.conn) == seq + 1


def test_a_new_issue_that_comes_again_is_there_once(world: World) -> None:
    world.create()
    top = InsertIssue(fields={"title": "T"}, actor="me", at=LATER, key="k", issue_id="x-2")
    child = InsertIssue(fields={"title": "T"}, actor="me", at=LATER, key="k", parent="x-1")
    for command in (top, child):
        first = world.run(command)
        assert world.run(command) == first
    world.run(edit(Close(force=True)))
    assert world.run(child).row["id"] == "x-1.1"
    assert queries.last_seq(world.conn) == 4


def test_an_id_taken_between_the_minting_and_the_writing_is_answered_with_another(
    world: World,
) -> None:
    world.create("x-abc")
    command = InsertIssue(fields={"title": "T"}, actor="me", at=LATER, key="k", issue_id="x-abc")
    first = world.run(command)
    assert first.row["id"] != "x-abc"
    assert world.run(command) == first


def test_when_every_id_is_taken_it_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create("x-abc")
    monkeypatch.setattr(ids, "keyed", lambda _prefix, _key: iter(["x-abc"]))
    command = InsertIssue(fields={"title": "T"}, actor="me", at=LATER, key="k", issue_id="x-abc")
    with pytest.raises(Conflict, match="no free id"):
        world.run(command)


def test_deleting_that_comes_again_tells_the_same_issues(world: World) -> None:
    put(world, "x-1")
    for name in ("x-2", "x-3"):
        put(world, name, dependencies=[EDGE | {"issue_id": name, "depends_on_id": "x-1"}])
    before = queries.last_seq(world.conn)
    command = BuryIssues(issue_id="x-1", actor="me", at=LATER, request="r", cascade=True)
    first = world.run(command)
    assert [row["id"] for row in first] == ["x-1", "x-2", "x-3"]
    world.run(BuryIssues(issue_id="x-2", actor="me", at=LATER, request="other"))
    assert world.run(command) == first
    assert queries.last_seq(world.conn) == before + 3


def test_an_edit_is_one_entry_of_the_journal_with_who_asked(world: World) -> None:
    world.create()
    base = queries.get_line(world.conn, "x-1")
    edited = world.run(edit(SetFields(fields={"title": "New"}, add_labels=("l",))))
    assert isinstance(edited, Edited)
    (entry,) = queries.read_journal(world.conn, edited.seq - 1, 9)
    assert (entry.kind, entry.detail["actor"]) == ("changed", "me")
    assert entry.detail["fields"] == ["labels", "title", "updated_at"]
    assert queries.published_line(world.conn, "x-1") is None
    (kept,) = world.conn.execute("SELECT base FROM journal WHERE seq = ?", (edited.seq,)).fetchone()
    assert kept == base


def test_a_write_with_a_claim_that_is_not_held_is_refused(world: World) -> None:
    world.create()
    with pytest.raises(StaleClaim):
        world.run(edit(Close(), token=7))
    assert world.row()["status"] == "open"


def test_a_refused_command_leaves_nothing_behind(world: World) -> None:
    put(world, "x-1", dependencies=[EDGE | {"depends_on_id": "x-2"}])
    put(world, "x-2")
    before = queries.last_seq(world.conn)
    with pytest.raises(Conflict):
        world.run(BuryIssues(issue_id="x-2", actor="me", at=LATER, request="r"))
    assert queries.last_seq(world.conn) == before
