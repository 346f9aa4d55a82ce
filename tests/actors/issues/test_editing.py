"""The verbs: what each does to an issue, and when it is refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors.errors import Conflict, NotFound, ValidationError
from actors.issues import ids
from actors.issues.messages import Issue, IssueId, MintIssueId
from actors.issues.publishing.publisher import PublisherSettings
from actors.issues.verbs import (
    AddDependency,
    AlreadyClaimed,
    Blocked,
    CloseIssue,
    CommentIssue,
    DeferIssue,
    DeleteIssue,
    DependencyCycle,
    NewIssue,
    RemoveDependency,
    ReopenIssue,
    RestoreIssue,
    UpdateIssue,
)
from actors.issues.writing.claims import TakeLease
from actors.issues.writing.editing import Editing
from storage.issues import jsonl, queries
from storage.issues.jsonl import Row
from tests.actors.issues.world import World

START = datetime(2026, 3, 1, tzinfo=UTC)
PAST = "2026-02-28T00:00:00Z"
FUTURE = "2026-03-02T00:00:00Z"


class Clock:
    """A second passes with each look."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass
class Desk:
    """The verbs, with short names, on a world's database."""

    world: World
    editing: Editing

    async def run(self, message: Any) -> Issue:
        answer = await self.editing.run(message)
        assert isinstance(answer, Issue)
        assert answer.row == self.row(answer.id)
        return answer

    async def new(self, title: str = "T", **more: Any) -> str:
        given = {name: more.pop(name) for name in ("parent", "issue_id", "key") if name in more}
        edges = more.pop("depends_on", ())
        message = NewIssue(fields={"title": title, **more}, actor="ann", depends_on=edges, **given)
        return (await self.run(message)).id

    async def update(self, issue_id: str, **more: Any) -> Issue:
        names = ("add_labels", "remove_labels", "append_notes", "expected", "token")
        given = {name: more.pop(name) for name in names if name in more}
        return await self.run(UpdateIssue(issue_id=issue_id, actor="ann", fields=more, **given))

    async def close(self, issue_id: str, **more: Any) -> Issue:
        return await self.run(CloseIssue(issue_id=issue_id, actor="ann", **more))

    async def depend(self, issue_id: str, on: str, kind: str = "blocks", **more: Any) -> Issue:
        message = AddDependency(issue_id=issue_id, depends_on_id=on, type=kind, actor="ann", **more)
        return await self.run(message)

    async def delete(self, issue_id: str, **more: Any) -> list[str]:
        message = DeleteIssue(issue_id=issue_id, actor="ann", **more)
        answer = await self.editing.run(message)
        assert isinstance(answer, tuple)
        return [one.id for one in answer]

    def row(self, issue_id: str) -> Row:
        return self.world.row(issue_id)

    def edges(self, issue_id: str) -> list[tuple[str, str]]:
        edges = self.row(issue_id).get("dependencies", ())
        return [(edge["type"], edge["depends_on_id"]) for edge in edges]

    def seq(self) -> int:
        return queries.last_seq(self.world.conn)


@asynccontextmanager
async def desk_of(world: World, **settings: Any) -> AsyncIterator[Desk]:
    def resolve(text: str) -> str:
        if not world.holds(text):
            raise NotFound(f"there is no issue {text}")
        return text

    reserved: set[str] = set()

    def mint(wanted: MintIssueId) -> IssueId:
        minted = ids.mint(
            prefix="x",
            title=wanted.title,
            description=wanted.description,
            creator=wanted.creator,
            created_at=wanted.created_at,
            count=0,
            taken=lambda one: one in reserved or world.holds(one),
        )
        reserved.add(minted)
        return IssueId(minted)

    quiet = PublisherSettings(debounce_s=3600.0, record=False)
    async with world.running(quiet) as system:
        writer = system.named("beads_writer")
        yield Desk(world, Editing(writer, resolve, mint, Clock(), **settings))


# --- creating


async def test_a_new_issue_has_its_fields_and_the_usual_ones(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new("Fix it", priority="P1", labels=["b", "a"], notes="n")
        row = desk.row(made)
    assert jsonl.encode_text(row) == (
        f'{{"id":"{made}","title":"Fix it","notes":"n","status":"open","priority":1,'
        '"issue_type":"task","created_at":"2026-03-01T00:00:01Z","created_by":"ann",'
        '"updated_at":"2026-03-01T00:00:01Z","labels":["a","b"]}'
    )
    assert made.startswith("x-")


async def test_children_are_numbered_and_hang_on_their_parent(world: World) -> None:
    async with desk_of(world) as desk:
        parent = await desk.new(issue_type="epic")
        first, second = [await desk.new(parent=parent) for _ in range(2)]
        grandchild = await desk.new(parent=first)
        assert [first, second, grandchild] == [f"{parent}.1", f"{parent}.2", f"{parent}.1.1"]
        assert desk.edges(second) == [("parent-child", parent)]


async def test_the_number_of_a_deleted_child_is_not_used_again(world: World) -> None:
    async with desk_of(world) as desk:
        parent = await desk.new()
        first = await desk.new(parent=parent)
        await desk.delete(first)
        second = await desk.new(parent=parent)
        assert second == f"{parent}.2"
        await desk.delete(second)
        world.conn.execute("DELETE FROM issues WHERE id = ?", (second,))
        assert await desk.new(parent=parent) == f"{parent}.3"


async def test_child_ids_are_three_deep_at_most(world: World) -> None:
    async with desk_of(world) as desk:
        above = await desk.new()
        for _ in range(3):
            above = await desk.new(parent=above)
        with pytest.raises(ValidationError) as refusal:
            await desk.new(parent=above)
        assert refusal.value.field == "parent"


async def test_a_parent_has_to_be_there_and_open(world: World) -> None:
    async with desk_of(world) as desk:
        with pytest.raises(NotFound):
            await desk.new(parent="x-nothing")
        closed, deleted = await desk.new(), await desk.new()
        await desk.close(closed)
        await desk.delete(deleted)
        for gone in (closed, deleted):
            with pytest.raises(Conflict):
                await desk.new(parent=gone)


async def test_an_epic_is_no_child_of_what_is_no_epic(world: World) -> None:
    async with desk_of(world) as desk:
        task, epic = await desk.new(), await desk.new(issue_type="epic")
        with pytest.raises(Conflict, match="epic"):
            await desk.new(parent=task, issue_type="epic")
        assert await desk.new(parent=epic, issue_type="epic") == f"{epic}.1"


async def test_dependencies_come_with_the_new_issue_or_nothing_does(world: World) -> None:
    async with desk_of(world) as desk:
        other = await desk.new()
        edges = (("blocks", other), ("discovered-from", "external:p:c"))
        assert desk.edges(await desk.new(depends_on=edges)) == list(edges)
        before = desk.seq()
        with pytest.raises(NotFound):
            await desk.new(depends_on=(("blocks", "x-nothing"),))
        with pytest.raises(Conflict):
            await desk.new(depends_on=(("blocks", other), ("related", other)))
        assert desk.seq() == before


async def test_an_explicit_id_is_taken_once(world: World) -> None:
    async with desk_of(world) as desk:
        assert await desk.new(issue_id="y-My.own_one") == "y-My.own_one"
        with pytest.raises(Conflict, match="already"):
            await desk.new(issue_id="y-My.own_one")
        await desk.delete("y-My.own_one")
        with pytest.raises(Conflict) as refusal:
            await desk.new(issue_id="y-My.own_one")
        assert refusal.value.hint == "restore it"


@pytest.mark.parametrize("bad", ["", "x", "-1", "x-", "x-1 2", "x-1\n", "é-1", "x-" + "1" * 300])
async def test_an_explicit_id_that_is_none_is_refused(world: World, bad: str) -> None:
    async with desk_of(world) as desk:
        with pytest.raises(ValidationError) as refusal:
            await desk.new(issue_id=bad)
    assert refusal.value.field == "issue_id"


async def test_an_explicit_child_id_hangs_on_its_parent(world: World) -> None:
    async with desk_of(world) as desk:
        parent = await desk.new()
        child = await desk.new(issue_id=f"{parent}.7")
        assert desk.edges(child) == [("parent-child", parent)]
        assert await desk.new(parent=parent) == f"{parent}.8"
        with pytest.raises(NotFound):
            await desk.new(issue_id="x-nothing.1")


async def test_the_same_key_is_the_same_issue(world: World) -> None:
    async with desk_of(world) as desk:
        first = await desk.new("one", key="k")
        before = desk.seq()
        assert await desk.new("one", key="k") == first
        assert await desk.new("two", key="other") != first
        parent = await desk.new()
        child = await desk.new(parent=parent, key="c")
        await desk.new(parent=parent)
        assert await desk.new(parent=parent, key="c") == child
        chosen = await desk.new(issue_id="y-1", key="y")
        assert await desk.new(issue_id="y-1", key="y") == chosen
    assert before == 1


@pytest.mark.parametrize(
    "other",
    [
        {"title": "two"},
        {"actor": "bob"},
        {"issue_id": "y-1"},
        {"parent": "x-1"},
        {"depends_on": (("blocks", "x-1"),)},
        {"fields": {"title": "one", "priority": 1}},
    ],
    ids=repr,
)
async def test_a_key_is_not_for_another_request(world: World, other: dict[str, Any]) -> None:
    world.create("x-1")
    async with desk_of(world) as desk:
        asked = NewIssue(fields={"title": "one"}, actor="ann", key="k")
        first = await desk.run(asked)
        before = desk.seq()
        if "title" in other:
            other = {"fields": other}
        with pytest.raises(Conflict, match=first.id):
            await desk.run(replace(asked, **other))
        assert desk.seq() == before
        assert await desk.run(asked) == first


async def test_two_equal_requests_are_two_issues(world: World) -> None:
    async with desk_of(world) as desk:
        assert await desk.new() != await desk.new()


UNSAYABLE = ("nul\0", "half \ud83d", 5, None, ["x"])


@pytest.mark.parametrize("bad", UNSAYABLE, ids=repr)
@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("actor", NewIssue(fields={"title": "T"}, actor="ann")),
        ("key", NewIssue(fields={"title": "T"}, actor="ann")),
        ("append_notes", UpdateIssue(issue_id="x-1", actor="ann", fields={})),
        ("actor", UpdateIssue(issue_id="x-1", actor="ann", fields={})),
        ("issue_id", UpdateIssue(issue_id="x-1", actor="ann", fields={})),
        ("reason", CloseIssue(issue_id="x-1", actor="ann")),
        ("reason", ReopenIssue(issue_id="x-1", actor="ann")),
        ("reason", DeleteIssue(issue_id="x-1", actor="ann")),
        ("depends_on_id", AddDependency(issue_id="x-1", depends_on_id="x-2", actor="ann")),
        ("type", AddDependency(issue_id="x-1", depends_on_id="x-2", actor="ann")),
        ("metadata", AddDependency(issue_id="x-1", depends_on_id="x-2", actor="ann")),
        ("depends_on_id", RemoveDependency(issue_id="x-1", depends_on_id="x-2", actor="ann")),
        ("text", CommentIssue(issue_id="x-1", actor="ann", text="t")),
    ],
)
async def test_what_cannot_be_written_is_refused_wherever_it_stands(
    world: World, field: str, message: Any, bad: Any
) -> None:
    world.create("x-1")
    world.create("x-2")
    async with desk_of(world) as desk:
        with pytest.raises(ValidationError) as refusal:
            await desk.editing.run(replace(message, **{field: bad}))
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("fields", None),
        ("fields", "title"),
        ("add_labels", (" ",)),
        ("add_labels", "ab"),
        ("remove_labels", ("nul\0",)),
        ("expected", "yesterday"),
        ("token", "7"),
        ("token", True),
    ],
)
async def test_an_update_that_is_none_is_refused_with_its_field(
    world: World, field: str, bad: Any
) -> None:
    world.create("x-1")
    async with desk_of(world) as desk:
        message = UpdateIssue(issue_id="x-1", actor="ann", fields={})
        with pytest.raises(ValidationError) as refusal:
            await desk.editing.run(replace(message, **{field: bad}))
    assert refusal.value.field == field


@pytest.mark.parametrize("bad", ["blocks", ("blocks",), ("blocks", 5), 7, ("a", "b", "c")])
async def test_a_dependency_is_a_pair_of_texts(world: World, bad: Any) -> None:
    async with desk_of(world) as desk:
        with pytest.raises(ValidationError) as refusal:
            await desk.new(depends_on=(bad,))
    assert refusal.value.field == "depends_on"


async def test_who_does_not_say_who_they_are_is_unknown(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.run(NewIssue(fields={"title": "T"}, actor=" "))
    assert made.row["created_by"] == "unknown"


async def test_a_new_issue_has_a_title_and_is_not_closed(world: World) -> None:
    async with desk_of(world) as desk:
        with pytest.raises(ValidationError) as refusal:
            await desk.run(NewIssue(fields={}, actor="ann"))
        assert refusal.value.field == "title"
        with pytest.raises(ValidationError) as refusal:
            await desk.new(status="closed")
        assert refusal.value.field == "status"


# --- updating


async def test_fields_are_set_and_cleared_together(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new(notes="n", estimated_minutes=5, assignee="bob")
        await desk.update(made, title="New", notes=None, assignee="", estimated_minutes=0)
        row = desk.row(made)
        assert (row["title"], row["estimated_minutes"]) == ("New", 0)
        assert not {"notes", "assignee"} & row.keys()
        assert row["updated_at"] > row["created_at"]


async def test_an_update_that_changes_nothing_leaves_no_trace(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new(labels=["a"], metadata={"n": 1})
        before = desk.seq()
        await desk.update(made, title="T", notes=None, metadata={"n": 1}, add_labels=("a",))
        assert desk.seq() == before
        await desk.update(made, metadata={"n": True})
        assert desk.seq() == before + 1


async def test_labels_are_added_removed_or_replaced(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new(labels=["a", "b"])
        updated = desk.row(made)["updated_at"]
        after = await desk.update(made, add_labels=("c",), remove_labels=("a", "none"))
        assert after.labels == ("b", "c")
        after = await desk.update(made, labels=["z"], add_labels=("y",))
        assert after.labels == ("y", "z")
        assert after.updated_at == updated
        assert (await desk.update(made, labels=None)).labels == ()


async def test_notes_are_appended_as_paragraphs(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new()
        await desk.update(made, append_notes="one")
        await desk.update(made, append_notes="two")
        assert desk.row(made)["notes"] == "one\n\ntwo"


async def test_an_update_of_what_has_changed_meanwhile_is_refused(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new()
        seen = desk.row(made)["updated_at"]
        await desk.update(made, notes="theirs", expected=seen.replace("Z", "+00:00"))
        with pytest.raises(Conflict, match="was updated at"):
            await desk.update(made, notes="mine", expected=seen)
        assert desk.row(made)["notes"] == "theirs"


async def test_what_beadflow_notes_in_the_metadata_cannot_be_overwritten(world: World) -> None:
    world.create(work={"workflow_id": "w"})
    async with desk_of(world) as desk:
        after = await desk.update("x-1", metadata={"mine": 1})
        assert after.row["metadata"] == {"mine": 1, "beadflow": {"workflow_id": "w"}}
        after = await desk.update("x-1", metadata=None)
        assert after.row["metadata"] == {"beadflow": {"workflow_id": "w"}}
        for bad in ({"beadflow": {}}, [1]):
            with pytest.raises(ValidationError):
                await desk.update("x-1", metadata=bad)


async def test_a_status_or_type_of_ones_own_is_accepted_where_it_is_known(world: World) -> None:
    async with desk_of(world, types=["ritual"], statuses=["parked"]) as desk:
        made = await desk.new(issue_type="ritual", status="parked")
        assert desk.row(made)["status"] == "parked"
    async with desk_of(world) as desk:
        after = await desk.update(await desk.new(), issue_type="ritual", status="parked")
        assert (after.issue_type, after.status) == ("ritual", "parked")
        for field in ("issue_type", "status"):
            with pytest.raises(ValidationError) as refusal:
                await desk.update(made, **{field: "unheard-of"})
            assert refusal.value.field == field


async def test_an_external_reference_belongs_to_one_issue(world: World) -> None:
    async with desk_of(world) as desk:
        first = await desk.new(external_ref="gh-9")
        with pytest.raises(Conflict, match=first):
            await desk.new(external_ref="gh-9")
        other = await desk.new(notes='"external_ref":"gh-8"')
        await desk.update(other, external_ref="gh-8")
        await desk.update(first, external_ref="gh-9", title="same")


async def test_another_parent_takes_the_old_ones_place(world: World) -> None:
    async with desk_of(world) as desk:
        one, two = await desk.new(), await desk.new()
        child = await desk.new(parent=one, depends_on=(("blocks", two),))
        with pytest.raises(Conflict, match="blocks"):
            await desk.update(child, parent=two)
        three = await desk.new()
        await desk.update(child, parent=three)
        assert desk.edges(child) == [("blocks", two), ("parent-child", three)]
        await desk.update(child, parent=None)
        assert desk.edges(child) == [("blocks", two)]
        with pytest.raises(DependencyCycle):
            await desk.update(two, parent=child)


async def test_no_change_of_a_type_leaves_an_epic_below_what_is_none(world: World) -> None:
    async with desk_of(world) as desk:
        child = await desk.new(parent=await desk.new())
        with pytest.raises(Conflict, match="epic"):
            await desk.update(child, issue_type="epic")
        above = await desk.new(issue_type="epic")
        below = await desk.new(issue_type="epic", parent=above)
        with pytest.raises(Conflict, match=below):
            await desk.update(above, issue_type="task")
        await desk.update(below, issue_type="task")
        await desk.update(above, issue_type="task")


# --- closing and opening


async def test_closing_notes_when_and_why_and_closing_again_changes_nothing(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new()
        closed = await desk.close(made)
        assert (closed.status, closed.close_reason) == ("closed", "Closed")
        before = desk.seq()
        assert await desk.close(made, reason="again") == closed
        assert desk.seq() == before


async def test_a_blocked_issue_is_not_closed_by_either_road(world: World) -> None:
    async with desk_of(world) as desk:
        blocker = await desk.new()
        made = await desk.new(depends_on=(("blocks", blocker), ("related", await desk.new())))
        with pytest.raises(Blocked, match=blocker):
            await desk.close(made)
        with pytest.raises(Blocked, match=blocker):
            await desk.update(made, status="closed")
        await desk.close(blocker)
        assert (await desk.update(made, status="closed")).close_reason == "Closed"


async def test_force_closes_what_is_blocked_or_pinned_but_no_template(world: World) -> None:
    async with desk_of(world) as desk:
        blocked = await desk.new(depends_on=(("blocks", await desk.new()),))
        assert (await desk.close(blocked, force=True)).status == "closed"
        pinned = await desk.new(pinned=True)
        with pytest.raises(Blocked, match="pinned"):
            await desk.close(pinned)
        await desk.close(pinned, force=True)
        template = await desk.new(is_template=True)
        with pytest.raises(Conflict, match="template"):
            await desk.close(template, force=True)


async def test_an_epic_is_closed_after_its_children(world: World) -> None:
    async with desk_of(world) as desk:
        epic = await desk.new(issue_type="epic")
        child, task = await desk.new(parent=epic), await desk.new()
        await desk.new(parent=task)
        with pytest.raises(Blocked, match=child):
            await desk.close(epic)
        await desk.close(child)
        await desk.close(epic)
        await desk.close(task)


async def test_a_condition_and_children_that_are_waited_for_hold_an_issue_open(
    world: World,
) -> None:
    async with desk_of(world) as desk:
        first, spawner = await desk.new(), await desk.new()
        made = await desk.new(depends_on=(("conditional-blocks", first), ("waits-for", spawner)))
        child = await desk.new(parent=spawner)
        with pytest.raises(Blocked, match=child):
            await desk.close(made)
        await desk.close(child)
        with pytest.raises(Blocked, match=first):
            await desk.close(made)
        await desk.close(first, reason="all done")
        await desk.close(made)


async def test_one_closed_child_is_enough_where_any_is_waited_for(world: World) -> None:
    async with desk_of(world) as desk:
        spawner, made = await desk.new(), await desk.new()
        await desk.depend(made, spawner, "waits-for", metadata='{"gate":"any-children"}')
        first, _ = await desk.new(parent=spawner), await desk.new(parent=spawner)
        with pytest.raises(Blocked, match="no child"):
            await desk.close(made)
        await desk.close(first)
        await desk.close(made)


async def test_reopening_takes_closing_and_deferral_away_and_says_why(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new(assignee="bob")
        await desk.close(made, reason="done")
        after = await desk.run(ReopenIssue(issue_id=made, actor="ann", reason="not quite"))
        assert after.status == "open"
        assert not {"closed_at", "close_reason"} & after.row.keys()
        assert after.row["comments"][0]["text"] == "not quite"
        await desk.run(DeferIssue(issue_id=made, actor="ann", until=FUTURE))
        after = await desk.run(ReopenIssue(issue_id=made, actor="ann"))
        assert "defer_until" not in after.row
        with pytest.raises(Conflict):
            await desk.run(ReopenIssue(issue_id=made, actor="ann"))


async def test_deferring_hides_until_a_time_or_until_it_is_reopened(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new(status="in_progress")
        after = await desk.run(DeferIssue(issue_id=made, actor="ann", until=FUTURE))
        assert (after.status, after.row["defer_until"]) == ("open", FUTURE)
        after = await desk.run(DeferIssue(issue_id=made, actor="ann"))
        assert (after.status, after.row.get("defer_until")) == ("deferred", None)
        after = await desk.run(ReopenIssue(issue_id=made, actor="ann"))
        assert after.status == "open"


async def test_nothing_is_deferred_into_the_past(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new()
        with pytest.raises(ValidationError) as refusal:
            await desk.run(DeferIssue(issue_id=made, actor="ann", until=PAST))
        assert (refusal.value.field, "reopen" in refusal.value.hint) == ("until", True)
        with pytest.raises(ValidationError):
            await desk.update(made, defer_until=PAST)
        await desk.update(made, due_at=PAST)


# --- dependencies and comments


async def test_an_edge_is_added_once_and_has_one_type(world: World) -> None:
    async with desk_of(world) as desk:
        one, two = await desk.new(), await desk.new()
        await desk.depend(one, two)
        before = desk.seq()
        await desk.depend(one, two)
        assert desk.seq() == before
        with pytest.raises(Conflict, match="blocks"):
            await desk.depend(one, two, "related")
        assert desk.edges(one) == [("blocks", two)]


async def test_a_circle_is_refused_with_its_path(world: World) -> None:
    async with desk_of(world) as desk:
        a, b, c = [await desk.new() for _ in range(3)]
        await desk.depend(a, b)
        await desk.depend(b, c, "conditional-blocks")
        with pytest.raises(DependencyCycle) as refusal:
            await desk.depend(c, a, "waits-for")
        way = f"{c} -waits-for-> {a} -blocks-> {b} -conditional-blocks-> {c}"
        assert way in str(refusal.value)
        await desk.depend(c, a, "relates-to")


async def test_an_edge_that_is_not_there_cannot_be_removed(world: World) -> None:
    async with desk_of(world) as desk:
        one, two = await desk.new(), await desk.new()
        await desk.depend(one, two)
        remove = RemoveDependency(issue_id=one, depends_on_id=two, actor="ann")
        assert "dependencies" not in (await desk.run(remove)).row
        with pytest.raises(NotFound):
            await desk.run(remove)


async def test_an_edge_to_what_is_gone_can_be_removed(world: World) -> None:
    async with desk_of(world) as desk:
        one, two = await desk.new(), await desk.new()
        await desk.depend(one, two)
        world.conn.execute("DELETE FROM issues WHERE id = ?", (two,))
        await desk.run(RemoveDependency(issue_id=one, depends_on_id=two, actor="ann"))
        assert desk.edges(one) == []


async def test_a_comment_is_kept_with_its_author_and_touches_nothing_else(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new()
        updated = desk.row(made)["updated_at"]
        after = await desk.run(CommentIssue(issue_id=made, actor="bob", text="hm"))
        (comment,) = after.row["comments"]
        assert (comment["author"], comment["text"], comment["issue_id"]) == ("bob", "hm", made)
        assert after.updated_at == updated


async def test_the_same_change_with_the_same_key_is_one_change(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new()
        said = CommentIssue(issue_id=made, actor="bob", text="hm", key="k")
        noted = UpdateIssue(issue_id=made, actor="bob", fields={}, append_notes="n", key="k")
        for message in (said, noted, said, noted):
            after = await desk.run(message)
        assert [one["text"] for one in after.row["comments"]] == ["hm"]
        assert after.row["notes"] == "n"
        after = await desk.run(replace(said, key="another"))
        assert len(after.row["comments"]) == 2


async def test_a_reopening_that_comes_again_does_not_open_what_was_closed_since(
    world: World,
) -> None:
    async with desk_of(world) as desk:
        made = await desk.new()
        await desk.close(made)
        opening = ReopenIssue(issue_id=made, actor="bob", key="k")
        await desk.run(opening)
        await desk.close(made)
        assert (await desk.run(opening)).status == "closed"


# --- deleting and restoring


async def test_deleting_leaves_a_tombstone_as_bd_does(world: World) -> None:
    async with desk_of(world) as desk:
        made = await desk.new(issue_type="bug", labels=["l"])
        await desk.close(made)
        assert await desk.delete(made) == [made]
        row = desk.row(made)
    assert (row["status"], row["deleted_by"], row["delete_reason"]) == (
        "tombstone",
        "ann",
        "delete",
    )
    assert (row["original_type"], row["labels"]) == ("bug", ["l"])
    assert "closed_at" not in row


async def test_what_others_depend_on_is_deleted_with_them_or_without_their_edges(
    world: World,
) -> None:
    async with desk_of(world) as desk:
        root = await desk.new()
        child = await desk.new(parent=root)
        far = await desk.new(depends_on=(("blocks", child),))
        with pytest.raises(Conflict, match=child):
            await desk.delete(root)
        assert await desk.delete(child, force=True) == [child]
        assert desk.edges(far) == []
        await desk.depend(far, root)
        last = await desk.new(depends_on=(("related", far),))
        assert sorted(await desk.delete(root, cascade=True)) == sorted([root, far, last])


async def test_a_deleted_issue_is_not_changed_but_restored(world: World) -> None:
    async with desk_of(world) as desk:
        other = await desk.new()
        made = await desk.new(issue_type="bug", depends_on=(("blocks", other),))
        with pytest.raises(Conflict):
            await desk.run(RestoreIssue(issue_id=made, actor="ann"))
        await desk.delete(made)
        with pytest.raises(Conflict, match="deleted"):
            await desk.update(made, title="x")
        assert await desk.delete(made) == [made]
        after = await desk.run(RestoreIssue(issue_id=made, actor="ann"))
        assert (after.status, after.issue_type) == ("open", "bug")
        assert not [name for name in after.row if name.startswith(("deleted", "original"))]
        assert desk.edges(made) == [("blocks", other)]


# --- what somebody else works on


TOMORROW = "2026-03-02T00:00:00.000000Z"
"""As leases write it."""


def claimed(world: World, holder: str, *, until: str = TOMORROW) -> int:
    """Have somebody claim x-1; answer the token."""
    world.create("x-1")
    lease = TakeLease(
        issue_id="x-1",
        holder=holder,
        home="h",
        at="2026-02-28T00:00:00.000000Z",
        expires_at=until,
        request="r",
    )
    return int(world.run(lease).lease.token)


ENDING = [
    CloseIssue(issue_id="x-1", actor="ann"),
    UpdateIssue(issue_id="x-1", actor="ann", fields={"status": "closed"}),
    UpdateIssue(issue_id="x-1", actor="ann", fields={"status": "open"}),
]


@pytest.mark.parametrize("message", ENDING, ids=repr)
async def test_the_work_of_somebody_else_is_not_ended(world: World, message: Any) -> None:
    claimed(world, "bob")
    async with desk_of(world) as desk:
        with pytest.raises(AlreadyClaimed, match="bob"):
            await desk.run(message)
        assert desk.row("x-1")["status"] == "in_progress"
        assert (await desk.update("x-1", title="Another", priority=0)).priority == 0


@pytest.mark.parametrize("message", ENDING, ids=repr)
@pytest.mark.parametrize("how", ["holder", "token", "force", "run out"])
async def test_who_may_end_work_ends_it(world: World, message: Any, how: str) -> None:
    until = "2026-03-01T00:00:00.000000Z" if how == "run out" else TOMORROW
    token = claimed(world, "ann" if how == "holder" else "bob", until=until)
    given = {"token": {"token": token}, "force": {"force": True}}.get(how, {})
    async with desk_of(world) as desk:
        done = await desk.run(replace(message, **given))
    assert done.status in {"closed", "open"}


async def test_a_label_is_not_added_and_removed_at_once(world: World) -> None:
    world.create("x-1")
    async with desk_of(world) as desk:
        with pytest.raises(ValidationError) as refused:
            await desk.update("x-1", add_labels=("a", "b"), remove_labels=("b",))
    assert refused.value.field == "remove_labels"


@pytest.mark.parametrize(("actor", "taken"), [("é" * 200, True), ("a" * 201, False)])
async def test_a_name_is_measured_in_characters(world: World, actor: str, taken: bool) -> None:
    message = NewIssue(fields={"title": "T"}, actor=actor)
    async with desk_of(world) as desk:
        if taken:
            assert (await desk.run(message)).row["created_by"] == actor
        else:
            with pytest.raises(ValidationError, match="201 characters"):
                await desk.run(message)
