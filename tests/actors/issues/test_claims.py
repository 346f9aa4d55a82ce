"""Claims: one holder at a time, known to the losers, fenced off when it ends."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actors.clock import rfc3339
from actors.errors import Conflict, NotFound
from actors.issues.messages import (
    AdoptRows,
    ApplyChange,
    Assign,
    ChangeLabels,
    MarkFlushed,
    SetStatus,
)
from actors.issues.verbs import AlreadyClaimed, StaleClaim
from actors.issues.writing.claims import EndLease, Held, RenewLease, TakeLease
from actors.issues.writing.edits import Close, EditIssue
from actors.issues.writing.fence import require_token
from storage.issues import jsonl, leases, queries
from storage.issues.jsonl import Row
from tests.actors.issues.world import LATER, World, fixed_clock, make

HOME = "home-here"
NOW = fixed_clock()


def at(seconds: float = 0.0) -> str:
    return rfc3339(NOW + timedelta(seconds=seconds))


def take(holder: str = "ada", **more: Any) -> TakeLease:
    usual: dict[str, Any] = {
        "issue_id": "x-1",
        "home": HOME,
        "at": at(),
        "expires_at": at(60),
        "request": f"claim of {holder}",
    }
    return TakeLease(holder=holder, **usual | more)


def end(holder: str = "ada", **more: Any) -> EndLease:
    usual: dict[str, Any] = {"issue_id": "x-1", "token": None, "at": at(1), "request": "release"}
    return EndLease(holder=holder, **usual | more)


def claim(world: World, holder: str = "ada", **more: Any) -> Held:
    held = world.run(take(holder, **more))
    assert isinstance(held, Held)
    return held


def change(world: World, *changes: Any) -> None:
    world.run(ApplyChange(issue_id="x-1", changes=changes, at=LATER))


# --- taking one ----------------------------------------------------------------------------------


def test_a_claim_is_the_assignee_the_status_the_home_and_a_lease(world: World) -> None:
    world.create()
    held = claim(world)
    assert world.row() == held.row
    assert (held.row["assignee"], held.row["status"]) == ("ada", "in_progress")
    assert held.row["metadata"] == {"beadflow": {"home": HOME}}
    assert leases.get(world.conn, "x-1") == held.lease
    assert (held.lease.holder, held.lease.expires_at) == ("ada", at(60))
    (entry,) = queries.read_journal(world.conn, 1, 10)
    assert (entry.kind, entry.detail["status"]) == ("changed", "in_progress")


def test_a_claim_whose_answer_was_lost_is_made_once(world: World) -> None:
    world.create()
    assert claim(world) == claim(world)
    assert queries.last_seq(world.conn) == 2


def test_the_loser_is_told_who_won_and_until_when(world: World) -> None:
    world.create()
    claim(world)
    with pytest.raises(AlreadyClaimed, match=f"x-1 is claimed by ada until {at(60)}"):
        claim(world, "bob", at=at(59.9))
    assert world.row()["assignee"] == "ada"


def test_claiming_what_one_holds_renews_the_lease(world: World) -> None:
    world.create()
    first = claim(world)
    again = claim(world, request="again", at=at(50), expires_at=at(110))
    assert again.lease == replace(first.lease, expires_at=at(110))
    assert queries.last_seq(world.conn) == 2


def test_a_lease_that_ran_out_changes_nothing_until_it_is_taken_over(world: World) -> None:
    world.create()
    first = claim(world)
    assert world.row() == first.row
    assert require_token(world.conn, "x-1", first.lease.token) == first.lease
    taken = claim(world, "bob", at=at(60), expires_at=at(120))
    assert world.row()["assignee"] == "bob"
    assert taken.lease.token > first.lease.token
    with pytest.raises(StaleClaim, match="bob has held it since"):
        require_token(world.conn, "x-1", first.lease.token)


def test_force_does_not_take_a_lease_of_this_home_that_has_not_run_out(world: World) -> None:
    world.create()
    claim(world)
    with pytest.raises(AlreadyClaimed):
        claim(world, "bob", force=True)


def test_an_issue_assigned_by_hand_is_refused_to_others_and_names_the_assignee(
    world: World,
) -> None:
    world.create(assignee="bob")
    with pytest.raises(AlreadyClaimed, match="assigned to bob, without a lease"):
        claim(world)
    assert claim(world, "bob").row["assignee"] == "bob"


def test_an_issue_assigned_by_hand_is_taken_with_force(world: World) -> None:
    world.create(assignee="bob")
    assert claim(world, force=True).row["assignee"] == "ada"


ELSEWHERE: dict[str, dict[str, Any]] = {
    "a claim": {"work": {"home": "home-there"}, "status": "in_progress", "assignee": "ada"},
    "a workflow": {"work": {"home": "home-there", "workflow_id": "w-1", "agent_id": "a"}},
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_what_another_home_works_on_is_refused_and_the_home_is_named(
    world: World, case: str
) -> None:
    world.create(**ELSEWHERE[case])
    before = world.row()
    with pytest.raises(AlreadyClaimed, match="another installation, home-there"):
        claim(world)
    assert world.row() == before


@pytest.mark.parametrize("case", ELSEWHERE)
def test_what_another_home_works_on_is_taken_with_force_and_is_of_this_home_then(
    world: World, case: str
) -> None:
    world.create(**ELSEWHERE[case])
    held = claim(world, force=True)
    assert held.row["metadata"] == {"beadflow": {"home": HOME}}
    assert leases.get(world.conn, "x-1") == held.lease


def test_what_was_given_back_in_another_home_is_anybodys(world: World) -> None:
    world.create(work={"home": "home-there"})
    assert claim(world).row["assignee"] == "ada"


def test_a_lease_of_another_home_is_not_taken_over_when_it_ran_out(world: World) -> None:
    world.create()
    claim(world, home="home-there")
    with pytest.raises(AlreadyClaimed, match="another installation, home-there by ada"):
        claim(world, "bob", at=at(600), expires_at=at(660))


UNWORKABLE: dict[str, tuple[dict[str, Any], str]] = {
    "closed": ({"status": "closed", "closed_at": LATER}, "closed"),
    "deleted": ({"status": "tombstone", "deleted_at": LATER}, "deleted"),
    "pinned": ({"pinned": True}, "pinned"),
}


@pytest.mark.parametrize("kind", UNWORKABLE)
def test_what_nobody_can_work_on_is_refused_with_the_reason(world: World, kind: str) -> None:
    fields, word = UNWORKABLE[kind]
    queries.put_row(world.conn, make() | fields)
    with pytest.raises(Conflict, match=f"is {word}") as refused:
        claim(world, force=True)
    assert type(refused.value) is Conflict


def test_an_issue_that_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        claim(world)


def test_metadata_of_another_tool_without_room_for_ours_is_left_alone(world: World) -> None:
    queries.put_row(world.conn, make() | {"metadata": ["theirs"]})
    assert claim(world).row["metadata"] == ["theirs"]


def test_tokens_go_on_growing_in_a_database_that_was_rebuilt(world: World) -> None:
    world.create()
    old = claim(world).lease.token
    world.conn.execute("DELETE FROM leases")
    world.conn.execute("UPDATE fence SET last = 0")
    world.create("x-2")
    assert claim(world, "bob", issue_id="x-2", at=at(1)).lease.token > old


# --- ready work ----------------------------------------------------------------------------------

MEANWHILE: dict[str, dict[str, Any]] = {
    "in progress": {"status": "in_progress"},
    "deferred": {"defer_until": "2026-03-02T00:00:00Z"},
    "blocked": {
        "dependencies": [{"issue_id": "x-1", "depends_on_id": "x-2", "type": "blocks"}],
    },
}


@pytest.mark.parametrize("kind", MEANWHILE)
def test_what_is_no_longer_ready_when_it_is_taken_is_refused(world: World, kind: str) -> None:
    world.create("x-2")
    queries.put_row(world.conn, make() | MEANWHILE[kind])
    with pytest.raises(Conflict):
        claim(world, ready_only=True)
    assert claim(world).row["assignee"] == "ada"


def test_ready_work_never_gives_somebody_what_they_hold(world: World) -> None:
    world.create()
    claim(world)
    with pytest.raises(AlreadyClaimed):
        claim(world, ready_only=True, request="another")


def test_ready_work_may_be_what_somebody_held_for_too_long(world: World) -> None:
    world.create()
    first = claim(world)
    again = claim(world, ready_only=True, request="another", at=at(60), expires_at=at(120))
    assert again.lease.token > first.lease.token


# --- renewing and releasing ----------------------------------------------------------------------


def renew(world: World, token: int) -> Held:
    held = world.run(RenewLease(issue_id="x-1", token=token, expires_at=at(600)))
    assert isinstance(held, Held)
    return held


def test_a_heartbeat_moves_the_end_and_writes_no_row(world: World) -> None:
    world.create()
    held = claim(world)
    assert renew(world, held.lease.token) == renew(world, held.lease.token)
    assert leases.get(world.conn, "x-1") == replace(held.lease, expires_at=at(600))
    assert queries.last_seq(world.conn) == 2


def test_a_heartbeat_with_an_older_token_is_refused(world: World) -> None:
    world.create()
    held = claim(world)
    claim(world, "bob", at=at(60), expires_at=at(120))
    with pytest.raises(StaleClaim):
        renew(world, held.lease.token)


def test_a_released_issue_is_as_it_was(world: World) -> None:
    world.create(labels=["a"])
    before = world.row()
    held = claim(world)
    after = world.run(end(token=held.lease.token))
    assert after == world.row()
    assert {**after, "updated_at": before["updated_at"]} == before
    assert leases.get(world.conn, "x-1") is None


def test_a_release_keeps_the_home_of_a_workflow_and_what_others_noted(world: World) -> None:
    work = {"home": HOME, "workflow_id": "w-1"}
    world.create(work=work)
    claim(world)
    assert world.run(end())["metadata"] == {"beadflow": work}
    queries.put_row(world.conn, make("x-2") | {"metadata": {"theirs": 1}})
    claim(world, issue_id="x-2")
    assert world.run(end(issue_id="x-2", request="other"))["metadata"] == {"theirs": 1}


def test_a_release_whose_answer_was_lost_is_made_once(world: World) -> None:
    world.create()
    token = claim(world).lease.token
    assert world.run(end(token=token)) == world.run(end(token=token))
    assert queries.last_seq(world.conn) == 3


def test_a_second_release_is_refused(world: World) -> None:
    world.create()
    token = claim(world).lease.token
    world.run(end(token=token))
    with pytest.raises(StaleClaim):
        world.run(end(token=token, request="another"))
    with pytest.raises(StaleClaim):
        world.run(end(request="yet another"))


def test_nobody_releases_what_somebody_else_holds(world: World) -> None:
    world.create()
    claim(world)
    with pytest.raises(StaleClaim, match=r"claimed by ada until .*, not by bob"):
        world.run(end("bob"))


def test_a_holder_whose_lease_was_lost_with_the_database_may_release(world: World) -> None:
    world.create()
    claim(world)
    world.conn.execute("DELETE FROM leases")
    assert world.run(end()).get("assignee") is None


# --- what ends a claim ---------------------------------------------------------------------------


def adopt(world: World, row: Row) -> None:
    line = jsonl.encode_text(row)
    world.run(AdoptRows(rows=((row["id"], line),), file_sha256="theirs", at=LATER))


def flush(world: World) -> None:
    world.run(MarkFlushed(seq=queries.last_seq(world.conn), sha256="ours"))


AFTER = "2026-03-01T00:01:00Z"
ENDS: dict[str, Callable[[Row], Row]] = {
    "closes": lambda row: row | {"status": "closed", "closed_at": AFTER, "updated_at": AFTER},
    "reassigns": lambda row: row | {"assignee": "bob", "updated_at": AFTER},
    "claims in its own home": lambda row: (
        row | {"metadata": {"beadflow": {"home": "home-there"}}, "updated_at": AFTER}
    ),
}


@pytest.mark.parametrize("edit", ENDS)
def test_an_outside_edit_that_ends_a_claim_fences_its_holder_off(world: World, edit: str) -> None:
    world.create()
    token = claim(world).lease.token
    flush(world)
    adopt(world, ENDS[edit](world.row()))
    with pytest.raises(StaleClaim):
        require_token(world.conn, "x-1", token)


def test_an_outside_edit_of_something_else_leaves_the_claim(world: World) -> None:
    world.create()
    token = claim(world).lease.token
    flush(world)
    adopt(world, world.row() | {"title": "New", "updated_at": AFTER})
    assert world.row()["title"] == "New"
    assert require_token(world.conn, "x-1", token).holder == "ada"


@pytest.mark.parametrize("ending", [SetStatus(status="closed"), Assign(assignee="bob")])
def test_a_change_that_ends_a_claim_fences_its_holder_off(
    world: World, ending: SetStatus | Assign
) -> None:
    world.create()
    token = claim(world).lease.token
    change(world, ChangeLabels(add=("a",)))
    assert require_token(world.conn, "x-1", token).token == token
    change(world, ending)
    with pytest.raises(StaleClaim, match="released, closed, reassigned"):
        require_token(world.conn, "x-1", token)


def close(token: int) -> EditIssue:
    edit = Close(reason="Done", force=False)
    return EditIssue(issue_id="x-1", edit=edit, at=AFTER, actor="ada", request="r-9", token=token)


def test_a_write_with_the_token_of_a_claim_is_made_and_ends_it_where_it_closes(
    world: World,
) -> None:
    world.create()
    token = claim(world).lease.token
    world.run(close(token))
    assert world.row()["status"] == "closed"
    assert leases.get(world.conn, "x-1") is None


def test_a_write_with_the_token_of_a_claim_that_was_lost_changes_nothing(world: World) -> None:
    world.create()
    token = claim(world).lease.token
    taken = claim(world, "bob", at=at(60), expires_at=at(120))
    with pytest.raises(StaleClaim):
        world.run(close(token))
    assert world.row() == taken.row
