"""Two issues of one id meet in the published file: the file's owner keeps it, ours moves."""

from actors.issues.merging.collisions import new_ids, with_ids
from actors.issues.messages import (
    AddComment,
    Adopted,
    AdoptRows,
    CompareFile,
    CreateIssue,
    MarkFlushed,
)
from actors.issues.writing.claims import RenewLease, TakeLease
from storage.issues import jsonl, queries
from storage.issues.jsonl import Row
from tests.actors.issues.test_collisions import edge
from tests.actors.issues.test_collisions import issue as bare
from tests.actors.issues.test_store import adopt, change
from tests.actors.issues.world import LATER, World


def issue(issue_id: str, title: str, minute: int = 0, by: str = "ada") -> Row:
    return bare(issue_id, title, minute, by, status="open", priority=2, issue_type="task")


EPIC = issue("x-1", "Epic")
FIRST, SECOND = issue("x-1.1", "First", 1, by="ann"), issue("x-1.1", "Second", 2, by="bob")
NEW = next(new_ids(SECOND))
MOVED = with_ids(SECOND, {"x-1.1": NEW})


def create(world: World, *rows: Row) -> None:
    for row in rows:
        world.run(CreateIssue(row=row))


def flush(world: World) -> None:
    world.run(MarkFlushed(seq=queries.last_seq(world.conn), sha256="ours"))


def lines(world: World) -> dict[str, str]:
    return {row["id"]: row["title"] for row in map(jsonl.parse, queries.all_lines(world.conn))}


def target(world: World, issue_id: str) -> str:
    (one,) = world.row(issue_id)["dependencies"]
    return str(one["depends_on_id"])


BOTH = {"x-1": "Epic", "x-1.1": "First", NEW: "Second"}


def test_an_earlier_issue_in_the_file_is_no_old_news_of_ours(world: World) -> None:
    create(world, EPIC, SECOND)
    flush(world)
    world.run(adopt(FIRST, MOVED))
    assert lines(world) == BOTH


def test_ours_moves_also_when_the_file_does_not_hold_it_any_more(world: World) -> None:
    create(world, EPIC, SECOND)
    flush(world)
    world.run(adopt(FIRST))
    assert lines(world) == BOTH


def test_an_issue_not_published_yet_moves_before_one_of_the_file(world: World) -> None:
    create(world, EPIC)
    flush(world)
    create(world, SECOND)
    world.run(adopt(FIRST))
    assert lines(world) == BOTH


def test_what_was_edited_here_meanwhile_moves_along(world: World) -> None:
    create(world, EPIC, SECOND)
    flush(world)
    world.run(change(AddComment(author="bob", text="mine"), issue_id="x-1.1"))
    world.run(adopt(FIRST, MOVED | {"priority": 1}))
    assert lines(world) == BOTH
    assert [one["text"] for one in world.row(NEW)["comments"]] == ["mine"]
    assert world.row(NEW)["priority"] == 1
    assert "comments" not in world.row("x-1.1")


def test_what_is_below_an_issue_and_what_refers_to_it_follow_it(world: World) -> None:
    create(world, EPIC, SECOND, issue("x-1.1.1", "Below", 3))
    create(world, issue("x-2", "On it") | {"dependencies": [edge("x-2", "x-1.1")]})
    create(world, issue("x-3", "On below") | {"dependencies": [edge("x-3", "x-1.1.1")]})
    flush(world)
    of_first = issue("x-1.1.1", "Below the first", 4)
    on_first = issue("x-4", "On the first") | {"dependencies": [edge("x-4", "x-1.1")]}
    world.run(adopt(FIRST, of_first, MOVED, on_first))
    assert lines(world) == {
        **BOTH,
        "x-1.1.1": "Below the first",
        f"{NEW}.1": "Below",
        "x-2": "On it",
        "x-3": "On below",
        "x-4": "On the first",
    }
    assert (target(world, "x-2"), target(world, "x-3")) == (NEW, f"{NEW}.1")
    assert target(world, "x-4") == "x-1.1"


def test_a_claim_follows_the_issue_that_moves(world: World) -> None:
    create(world, EPIC, SECOND)
    flush(world)
    at, until = "2026-01-02T00:00:00.000000Z", "2026-01-03T00:00:00.000000Z"
    claim = TakeLease(
        issue_id="x-1.1", holder="bob", home="h", at=at, expires_at=until, request="r"
    )
    token = world.run(claim).lease.token
    world.run(adopt(FIRST, MOVED))
    renewed = world.run(RenewLease(issue_id=NEW, token=token, expires_at=until))
    assert (renewed.lease.holder, renewed.row["status"]) == ("bob", "in_progress")
    assert world.row("x-1.1").get("assignee") is None


def test_taking_the_same_file_in_again_changes_nothing(world: World) -> None:
    create(world, EPIC, SECOND)
    flush(world)
    world.run(adopt(FIRST, MOVED))
    seq = queries.last_seq(world.conn)
    assert world.run(adopt(FIRST, MOVED)) == Adopted(changed=0, removed=0)
    assert queries.last_seq(world.conn) == seq


def test_a_file_from_before_the_move_is_old_news_of_the_moved_issue(world: World) -> None:
    create(world, EPIC, SECOND, issue("x-1.1.1", "Below", 3))
    flush(world)
    world.run(adopt(FIRST, MOVED))
    flush(world)
    seq = queries.last_seq(world.conn)
    world.run(adopt(SECOND, issue("x-1.1.1", "Below", 3), gone=(NEW, f"{NEW}.1")))
    assert lines(world) == {**BOTH, f"{NEW}.1": "Below"}
    assert queries.last_seq(world.conn) == seq


def test_a_newer_edit_under_the_old_id_reaches_the_moved_issue(world: World) -> None:
    create(world, EPIC, SECOND)
    flush(world)
    world.run(adopt(FIRST, MOVED))
    flush(world)
    world.run(adopt(SECOND | {"notes": "seen", "updated_at": LATER}, gone=(NEW,)))
    assert lines(world) == BOTH
    assert world.row(NEW)["notes"] == "seen"


def test_an_issue_whose_time_of_creation_was_written_anew_stays_one(world: World) -> None:
    create(world, EPIC, SECOND)
    flush(world)
    again = SECOND | {"created_at": LATER, "updated_at": LATER, "notes": "by bd"}
    world.run(adopt(again))
    assert lines(world) == {"x-1": "Epic", "x-1.1": "Second"}
    assert world.row("x-1.1")["notes"] == "by bd"


def test_a_collision_is_met_whole_although_many_rows_come_before(world: World) -> None:
    create(world, EPIC, SECOND)
    create(world, *(issue(f"x-0{number:04}", "One of many") for number in range(3)))
    flush(world)
    many = (issue(f"x-0{number:04}", "Changed") | {"updated_at": LATER} for number in range(3))
    world.write_outside(*many, EPIC, FIRST, MOVED)
    outside = world.ask_files(CompareFile())
    assert {issue_id for issue_id, _ in outside.rows[:2]} == {"x-1.1", NEW}
    for number, row in enumerate(outside.rows):
        more = number + 1 < len(outside.rows)
        sha256 = outside.sha256
        world.run(AdoptRows(rows=(row,), file_sha256=sha256, at=LATER, more=more))
    assert {key: lines(world)[key] for key in BOTH} == BOTH
