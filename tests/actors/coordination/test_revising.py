"""Changes of title, priority and variables, in the bridge's own database."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.coordination import revising, store
from actors.coordination.messages import (
    ApplyUpdate,
    LogFacts,
    Move,
    RecordStart,
    RecordUpdate,
    UpdatePlan,
    WorkflowChanged,
)
from actors.errors import Conflict, NotFound, Overloaded
from actors.facts import ISSUE_UPDATED, WORKFLOW_UPDATED, Fact
from storage import payload
from tests.support.database import Database, open_database
from tests.support.starts import start_plan

AT = "2026-02-02T00:00:00.000000Z"
LATER = "2026-02-02T00:00:01.000000Z"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "x.db", "storage.coordination", store.HANDLERS) as opened:
        opened.run(RecordStart(plan=start_plan("flow", agent_type="a")))
        yield opened


START = start_plan("flow", agent_type="a")


def plan(**given: Any) -> UpdatePlan:
    values = {"update_id": "u-1", "workflow_id": START.workflow_id, "author": "me", "at": AT}
    return UpdatePlan(**{**values, **given})


def mapping(database: Database) -> dict[str, Any]:
    rows = database.rows("SELECT title, priority, metadata, updated_at FROM workflow_mappings")
    return dict(zip(("title", "priority", "metadata", "updated_at"), rows[0], strict=True))


def logged(database: Database) -> list[tuple[Any, ...]]:
    rows = database.rows("SELECT type, data FROM events ORDER BY seq")
    return [(kind, payload.decode(data)) for kind, data in rows]


def intents(database: Database) -> list[tuple[Any, ...]]:
    return database.rows("SELECT id FROM intents WHERE kind = 'update' ORDER BY id")


def by_hand(seq: int, at: str, **data: Any) -> LogFacts:
    fact = Fact(ISSUE_UPDATED, None, at, data, START.issue_id)
    return LogFacts(moves=(Move("beads", seq - 1, seq),), facts=(fact,))


def test_a_plan_comes_back_from_its_stored_form() -> None:
    whole = plan(title="T", priority=0, variables="{}", verb="pause", key=("k", "s"))
    assert revising.plan_from_text(revising.plan_to_text(whole)) == whole
    assert revising.plan_from_text(revising.plan_to_text(plan())) == plan()


def test_a_change_is_in_the_mapping_the_assignment_and_the_log_once(database: Database) -> None:
    variables = payload.encode({"a": 1})
    change = plan(title="New", priority=0, variables=variables, key=("k", "s"))
    database.twice(RecordUpdate(plan=change))
    assert mapping(database)["title"] == START.title  # nobody sees it yet
    assert database.twice(ApplyUpdate(plan=change)) == [True, False]
    assert mapping(database) == {
        "title": "New",
        "priority": 0,
        "metadata": variables,
        "updated_at": AT,
    }
    assert database.rows("SELECT priority FROM agent_assignments") == [(0,)]
    fields = ["priority", "title", "variables"]
    data = {"fields": fields, "author": "me", "title": "New", "priority": 0}
    assert logged(database) == [(WORKFLOW_UPDATED, data)]
    assert intents(database) == []


def test_what_is_as_it_was_is_no_change(database: Database) -> None:
    database.run(ApplyUpdate(plan=plan(title=START.title, priority=START.priority)))
    assert (logged(database), mapping(database)["updated_at"]) == ([], None)


def test_a_key_stands_for_its_request(database: Database) -> None:
    database.run(ApplyUpdate(plan=plan(title="New", key=("k", "s"))))
    again = plan(update_id="u-2", title="Newer", at=LATER, key=("k", "s"))
    assert database.run(ApplyUpdate(plan=again)) is False
    assert database.run(RecordUpdate(plan=again)) is False
    assert mapping(database)["title"] == "New"
    with pytest.raises(Conflict):
        database.run(ApplyUpdate(plan=replace(again, key=("k", "other"))))


def test_two_changes_are_not_under_way_at_once(database: Database) -> None:
    database.run(RecordUpdate(plan=plan(priority=0)))
    with pytest.raises(Overloaded):
        database.run(RecordUpdate(plan=plan(update_id="u-2", priority=1)))


@pytest.mark.parametrize("command", [RecordUpdate, ApplyUpdate])
def test_a_change_of_what_is_not_there_or_not_what_was_seen_is_refused(
    database: Database, command: Any
) -> None:
    with pytest.raises(NotFound):
        database.run(command(plan=plan(workflow_id="w-9", title="T")))
    with pytest.raises(WorkflowChanged):
        database.run(command(plan=plan(title="T"), expected=LATER))
    database.run(command(plan=plan(title="T"), expected=START.at))


def test_an_issue_changed_by_hand_takes_its_workflow_along(database: Database) -> None:
    change = {"fields": ["priority", "title"], "title": "By hand", "priority": 4}
    database.run(by_hand(1, AT, **change))
    found = mapping(database)
    assert (found["title"], found["priority"], found["updated_at"]) == ("By hand", 4, AT)
    data = {"fields": ["priority", "title"], "author": "issue", "title": "By hand", "priority": 4}
    assert logged(database) == [(ISSUE_UPDATED, change), (WORKFLOW_UPDATED, data)]
    assert len(intents(database)) == 1  # the engine is to hear of the priority


def test_a_change_that_comes_back_from_the_issue_changes_nothing(database: Database) -> None:
    database.run(ApplyUpdate(plan=plan(title="One")))
    database.run(ApplyUpdate(plan=plan(update_id="u-2", title="Two", at=LATER)))
    database.run(by_hand(1, AT, fields=["title"], title="One"))
    database.run(by_hand(2, LATER + "0", fields=["title"], title="One", automatic=True))
    assert mapping(database)["title"] == "Two"


def test_an_issue_without_a_workflow_and_other_fields_change_nothing(database: Database) -> None:
    before = mapping(database)
    database.run(by_hand(1, AT, fields=["status"], title="X"))
    fact = Fact(ISSUE_UPDATED, None, AT, {"fields": ["title"], "title": "X"}, "x-99")
    database.run(LogFacts(moves=(Move("beads", 1, 2),), facts=(fact,)))
    assert mapping(database) == before


def test_every_change_has_a_moment_of_its_own() -> None:
    assert revising.later(LATER, AT) == LATER
    assert AT < revising.later(AT, AT) < LATER
    assert revising.later(AT, LATER) > LATER
