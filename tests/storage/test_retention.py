"""Only what nothing needs any more is due."""

import shutil
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from storage import retention
from storage.database import open_reader, open_writer
from storage.databases import databases
from storage.migrate import migrate
from storage.retention import Readers, due, loose_events
from tests.support.golden import golden_file

LATER = "2999-01-01T00:00:00.000000Z"
EARLIER = "2000-01-01T00:00:00.000000Z"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two workflows that ended, and two that did not and have the newest rows."""
    for database in databases(tmp_path):
        shutil.copy(golden_file(database.name, 1), database.path)
        with closing(open_writer(database.path)) as connection:
            migrate(connection, database.schema)
    change(tmp_path, "beads", "UPDATE cursors SET position = 1000")
    return tmp_path


def change(home: Path, database: str, sql: str) -> None:
    with closing(open_writer(home / f"{database}.db")) as connection:
        assert connection.execute(sql).rowcount, "the test changes nothing"


def found(
    home: Path, before: str = LATER, keyed_before: str = LATER
) -> tuple[list[str], list[int]]:
    """The types of the workflows that are due, and the events of none."""
    with ExitStack() as stack:
        readers = Readers(
            **{d.name: stack.enter_context(closing(open_reader(d.path))) for d in databases(home)}
        )
        ids = [w.workflow_id for w in due(readers, before=before, keyed_before=keyed_before)]
        events = [row["seq"] for row in loose_events(readers, before=before, after=0)]
        return [workflow_id.rpartition("-")[0] for workflow_id in ids], events


BOTH = ["golden_done", "golden_failed"]


def test_what_has_ended_is_due_and_what_goes_on_is_not(home: Path) -> None:
    assert found(home) == (BOTH, [])


def test_what_ended_later_is_not_due(home: Path) -> None:
    assert found(home, before=EARLIER) == ([], [])


def test_a_key_keeps_its_workflow_for_longer(home: Path) -> None:
    assert found(home, keyed_before=EARLIER)[0] == ["golden_done"]


def test_more_workflows_than_one_query_gives_are_all_found(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    assert found(home)[0] == BOTH


DONE = "(SELECT tempolite_workflow_id FROM workflow_mappings WHERE status = 'completed')"
ENGINE_DONE = "(SELECT workflow_id FROM instances WHERE status = 'completed')"
CLOSE = "UPDATE {} SET status = 'completed' WHERE status NOT IN ('completed', 'failed')"


@pytest.mark.parametrize(
    ("database", "sql"),
    [
        ("coordination", "UPDATE workflow_mappings SET status = 'dead_letter'"),
        ("coordination", "UPDATE workflow_mappings SET status = 'stalled'"),
        ("coordination", "UPDATE workflow_mappings SET completed_at = NULL"),
        ("tempolite", "UPDATE instances SET status = 'dead_letter'"),
        ("tempolite", "UPDATE instances SET status = 'stalled'"),
        ("coordination", "UPDATE outbox_cursors SET position = 0"),
        ("beads", "UPDATE cursors SET position = 0"),
        ("beads", "DELETE FROM cursors"),
        (
            "coordination",
            """INSERT INTO intents SELECT tempolite_workflow_id,
                tempolite_workflow_id, 'start', '{}', ''
            FROM workflow_mappings""",
        ),
        (
            "tempolite",
            "UPDATE tasks SET state = 'running', workflow_id = workflow_id",
        ),
        ("tempolite", "DELETE FROM instances WHERE status = 'completed'"),
    ],
)
def test_what_somebody_still_needs_is_not_due(home: Path, database: str, sql: str) -> None:
    change(home, database, sql)
    assert "golden_done" not in found(home)[0]


@pytest.mark.parametrize("status", ["cancelled", "terminated"])
def test_what_somebody_has_ended_is_due_too(home: Path, status: str) -> None:
    for database, table in (("coordination", "workflow_mappings"), ("tempolite", "instances")):
        change(home, database, f"UPDATE {table} SET status = '{status}' WHERE status = 'completed'")  # noqa: S608 - constants
    assert found(home)[0] == BOTH


CHILD = (
    "INSERT INTO instances (workflow_id, name, version, status, input, created_at, updated_at,"
    " parent_id, parent_op, on_parent_close)"
    " SELECT workflow_id || '.{n}', 'n', 1, '{status}', '', '', '', workflow_id, '1', 'abandon'"
    " FROM instances WHERE {of}"
)


def adopt(home: Path, n: int, status: str, of: str = "name = 'golden_done'") -> None:
    change(home, "tempolite", CHILD.format(n=n, status=status, of=of))


def dues(home: Path) -> dict[str, tuple[str, ...]]:
    """The children of the workflows that are due, each without its parent's id."""
    with ExitStack() as stack:
        readers = Readers(
            **{d.name: stack.enter_context(closing(open_reader(d.path))) for d in databases(home)}
        )
        return {
            w.workflow_id.rpartition("-")[0]: tuple(
                c.removeprefix(w.workflow_id) for c in w.children
            )
            for w in due(readers, before=LATER, keyed_before=LATER)
        }


def test_children_go_with_their_parent_the_lowest_first(home: Path) -> None:
    adopt(home, 1, "completed")
    adopt(home, 2, "terminated")
    adopt(home, 3, "cancelled", of="parent_id IS NOT NULL AND workflow_id LIKE '%.1'")
    found = dues(home)["golden_done"]
    assert sorted(found) == [".1", ".1.3", ".2"]
    assert found.index(".1.3") < found.index(".1")


@pytest.mark.parametrize("status", ["queued", "running", "paused", "stalled", "dead_letter"])
def test_a_child_that_goes_on_keeps_its_parent(home: Path, status: str) -> None:
    adopt(home, 1, "completed")
    adopt(home, 2, status, of="parent_id IS NOT NULL")
    assert list(dues(home)) == ["golden_failed"]


def test_a_child_whose_events_nobody_has_followed_keeps_its_parent(home: Path) -> None:
    adopt(home, 1, "completed")
    change(
        home,
        "coordination",
        "INSERT INTO events (seq, type, workflow_id, at, data) SELECT 501, 'log',"  # noqa: S608 - constants
        f" tempolite_workflow_id || '.1', '', '{{}}' FROM workflow_mappings WHERE {DONE}"
        " = tempolite_workflow_id",
    )
    assert list(dues(home)) == ["golden_failed"]


def test_the_events_of_a_child_are_those_of_a_workflow_while_it_is_there(home: Path) -> None:
    adopt(home, 1, "completed", of="status = 'running'")
    change(
        home,
        "coordination",
        "INSERT INTO events (seq, type, workflow_id, at, data) SELECT 501, 'log',"
        " tempolite_workflow_id || '.1', '2026-01-01T00:00:00.000000Z', '{}'"
        " FROM workflow_mappings WHERE status = 'active'",
    )
    change(
        home,
        "coordination",
        "INSERT INTO events (seq, type, workflow_id, at, data) VALUES"
        " (502, 'log', 'gone.1', '2026-01-01T00:00:00.000000Z', '{}'),"
        " (503, 'log', NULL, '3', '{}')",
    )
    assert found(home)[1] == [502]


def test_whoever_has_the_last_row_of_the_history_stays(home: Path) -> None:
    change(
        home,
        "tempolite",
        "UPDATE history SET position = 1000 WHERE position = (SELECT max(position) FROM history"  # noqa: S608 - constants
        f" WHERE workflow_id IN {ENGINE_DONE})",
    )
    change(home, "coordination", "UPDATE outbox_cursors SET position = 1000")
    assert found(home)[0] == ["golden_failed"]


def test_whoever_has_the_last_event_stays(home: Path) -> None:
    change(
        home,
        "coordination",
        "UPDATE events SET seq = 1000 WHERE seq = (SELECT max(seq) FROM events"  # noqa: S608 - constants
        f" WHERE workflow_id = {DONE})",
    )
    assert found(home)[0] == ["golden_failed"]


def test_an_event_that_the_issue_has_not_followed_keeps_its_workflow(home: Path) -> None:
    change(
        home,
        "beads",
        "UPDATE cursors SET position = 1",
    )
    assert found(home)[0] == []


def test_an_event_that_says_nothing_of_the_issue_keeps_nobody(home: Path) -> None:
    """The reconciler's cursor does not move for it, least of all after a rebuild of beads.db."""
    change(
        home,
        "coordination",
        "INSERT INTO events (seq, type, workflow_id, at, data)"
        " SELECT 2000, 'issue_created', tempolite_workflow_id, created_at, '{}'"
        " FROM workflow_mappings WHERE status = 'completed'",
    )
    change(
        home,
        "coordination",
        "INSERT INTO events (seq, type, workflow_id, at, data) VALUES"
        " (2001, 'issue_created', NULL, '2026-01-01T00:00:00.000000Z', '{}')",
    )
    assert found(home)[0] == BOTH


def test_what_is_left_of_a_workflow_whose_archiving_was_cut_off_is_due(home: Path) -> None:
    change(home, "coordination", f"DELETE FROM events WHERE workflow_id = {DONE}")  # noqa: S608 - constants
    change(home, "tempolite", f"DELETE FROM history WHERE workflow_id = {ENGINE_DONE}")  # noqa: S608 - constants
    assert found(home)[0] == BOTH
    change(home, "tempolite", "DELETE FROM instances WHERE status = 'completed'")
    assert found(home)[0] == BOTH


def test_events_of_no_workflow_are_due_but_for_the_last(home: Path) -> None:
    change(
        home,
        "coordination",
        "INSERT INTO events (seq, type, workflow_id, at, data) VALUES"
        " (501, 'issue_updated', NULL, '2026-01-01T00:00:00.000000Z', '{}'),"
        " (502, 'workflow_failed', 'gone-1', '2026-01-01T00:00:00.000000Z', '{}'),"
        " (503, 'issue_updated', NULL, '2026-01-01T00:00:00.000000Z', '{}')",
    )
    assert found(home)[1] == [501, 502]
    assert found(home, before=EARLIER)[1] == []
    change(home, "beads", "UPDATE cursors SET position = 501")
    assert found(home)[1] == [501]
