"""Rows that contradict each other are found; what is merely on its way is not."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from storage import payload
from storage.database import open_writer
from storage.databases import databases
from storage.invariants import broken, stranded
from storage.migrate import migrate
from storage.snapshot import snapshot
from tests.support.golden import golden_file

Change = Callable[[str, str], None]
LIVE = "(SELECT tempolite_workflow_id FROM workflow_mappings WHERE status = 'active')"
INTENT = (
    "INSERT INTO intents SELECT tempolite_workflow_id, tempolite_workflow_id, 'start', '{}',"
    " created_at FROM workflow_mappings"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for database in databases(tmp_path):
        shutil.copy(golden_file(database.name, 1), database.path)
        with closing(open_writer(database.path)) as connection:
            migrate(connection, database.schema)
    return tmp_path


def change(home: Path, database: str, sql: str) -> None:
    with closing(open_writer(home / f"{database}.db")) as connection:
        assert connection.execute(sql).rowcount, "the test changes nothing"


def drop(home: Path, workflow_id: str, *tables: str, database: str = "tempolite") -> None:
    for table in tables:
        change(home, database, f"DELETE FROM {table} WHERE workflow_id = '{workflow_id}'")  # noqa: S608 - constants


def found(home: Path) -> set[tuple[str, str, str]]:
    with snapshot(home) as held:
        return {(f.database, f.table, f.what) for f in broken(held)}


def ids(home: Path, status: str) -> str:
    with closing(sqlite3.connect(home / "coordination.db")) as connection:
        sql = "SELECT tempolite_workflow_id FROM workflow_mappings WHERE status = ?"
        return str(connection.execute(sql, (status,)).fetchone()[0])


CLAIM = """INSERT INTO leases SELECT {}, {}, 'home', {}, 'request',
    '2026-01-01T00:00:00.000000Z', '2026-01-01T00:30:00.000000Z'
    FROM issues WHERE status = 'in_progress' LIMIT 1"""


def test_nothing_is_wrong_with_a_whole_set(home: Path) -> None:
    assert found(home) == set()


@pytest.mark.parametrize(
    ("database", "sql", "where", "what"),
    [
        (
            "coordination",
            "UPDATE agent_assignments SET status = 'assigned' WHERE status = 'completed'",
            "coordination.agent_assignments",
            "the workflow has ended",
        ),
        (
            "coordination",
            "DELETE FROM agent_assignments WHERE status IN ('queued', 'assigned')",
            "coordination.workflow_mappings",
            "no assignment in force",
        ),
        (
            "coordination",
            "UPDATE agent_assignments SET step_number = 2",
            "coordination.agent_assignments",
            "does not follow",
        ),
        (
            "coordination",
            "UPDATE agent_assignments SET handoff_from = 'a-1'",
            "coordination.agent_assignments",
            "does not follow",
        ),
        (
            "coordination",
            (
                "INSERT INTO token_families VALUES ('f', 'k', 'u', NULL, 900, 't', 't', NULL, NULL,"
                " NULL)"
            ),
            "coordination.token_families",
            "no API key",
        ),
        (
            "coordination",
            "INSERT INTO refresh_tokens VALUES ('s', 'f', 'j', 't', 't', NULL, NULL)",
            "coordination.refresh_tokens",
            "no exchange",
        ),
        (
            "coordination",
            "UPDATE audit_head SET seq = 1, hash = 'h'",
            "coordination.audit_head",
            "does not end where it should",
        ),
        ("tempolite", "DELETE FROM history WHERE seq = 2", "tempolite.history", "gap"),
        (
            "tempolite",
            "DELETE FROM instances WHERE status = 'completed'",
            "tempolite.history",
            "belongs to no instance",
        ),
        ("tempolite", "DELETE FROM history", "tempolite.instances", "has no history"),
        (
            "tempolite",
            "UPDATE instances SET status = 'running' WHERE status = 'completed'",
            "tempolite.instances",
            "not the one",
        ),
        (
            "tempolite",
            "UPDATE instances SET status = 'completed' WHERE status = 'running'",
            "tempolite.instances",
            "not the one",
        ),
        (
            "tempolite",
            "UPDATE instances SET status = 'paused' WHERE status = 'queued'",
            "tempolite.instances",
            "not the one",
        ),
        (
            "tempolite",
            "UPDATE instances SET status = 'queued' WHERE status = 'running'",
            "tempolite.instances",
            "not the one",
        ),
        (
            "tempolite",
            "UPDATE instances SET parked = 1 WHERE status = 'queued'",
            "tempolite.instances",
            "does not run",
        ),
        (
            "tempolite",
            "UPDATE instances SET parent_id = 'x' WHERE status = 'running'",
            "tempolite.instances",
            "the parent is not there",
        ),
        (
            "tempolite",
            "UPDATE instances SET parent_id = workflow_id WHERE status = 'running'",
            "tempolite.instances",
            "a workflow of its own",
        ),
        (
            "tempolite",
            (
                "INSERT INTO inbox (workflow_id, message_id, name, payload, at)"
                " VALUES ('x', 'm', 'go', '', '')"
            ),
            "tempolite.inbox",
            "no instance",
        ),
        (
            "tempolite",
            (
                "INSERT INTO heartbeats (workflow_id, op, attempt, details, at)"
                " SELECT workflow_id, '1', 1, '', '' FROM instances WHERE status = 'completed'"
            ),
            "tempolite.heartbeats",
            "no instance that goes on",
        ),
        (
            "tempolite",
            "INSERT INTO segments VALUES ('x', 1, 2, x'00')",
            "tempolite.segments",
            "no instance",
        ),
        (
            "tempolite",
            "UPDATE tasks SET workflow_id = 'x' || workflow_id",
            "tempolite.tasks",
            "no instance",
        ),
        (
            "tempolite",
            "UPDATE history SET payload = '[1,' WHERE position = 1",
            "tempolite.history",
            "cannot be read",
        ),
        (
            "coordination",
            "UPDATE workflow_results SET workflow_id = 'x' || id",
            "coordination.workflow_results",
            "no workflow",
        ),
        (
            "coordination",
            "UPDATE agent_assignments SET workflow_id = 'x' || id",
            "coordination.agent_assignments",
            "no workflow",
        ),
        (
            "coordination",
            "UPDATE events SET data = '{' WHERE seq = 1",
            "coordination.events",
            "cannot be read",
        ),
        (
            "coordination",
            "INSERT INTO intents VALUES ('x', 'x', 'start', '{}', '')",
            "coordination.intents",
            "no mapping",
        ),
        (
            "coordination",
            "DELETE FROM workflow_mappings",
            "tempolite.instances",
            "is no workflow in coordination",
        ),
        (
            "coordination",
            "UPDATE workflow_mappings SET status = 'active' WHERE status = 'completed'",
            "coordination.workflow_mappings",
            "its instance in tempolite.db is completed",
        ),
        (
            "coordination",
            "UPDATE outbox_cursors SET position = 1000",
            "coordination.outbox_cursors",
            "which ends at",
        ),
        ("beads", "UPDATE cursors SET position = 1000", "beads.cursors", "which ends at"),
        ("beads", "UPDATE issues SET status = 'odd'", "beads.issues", "do not repeat"),
        ("beads", "UPDATE issues SET line = '{'", "beads.issues", "do not repeat"),
        ("beads", "DELETE FROM issues", "beads.journal", "not there"),
        ("beads", "UPDATE publication SET flushed_seq = 1000", "beads.publication", "more changes"),
        ("beads", CLAIM.format("'x-0'", "'ada'", 0), "beads.leases", "does not work on"),
        ("beads", CLAIM.format("id", "assignee || 'x'", 0), "beads.leases", "does not work on"),
        ("beads", CLAIM.format("id", "assignee", 9), "beads.leases", "yet to give out"),
        ("beads", "UPDATE issues SET local = 1", "beads.issues", "is no wisp"),
    ],
)
def test_what_contradicts_the_rest_is_found_with_its_table(
    home: Path, database: str, sql: str, where: str, what: str
) -> None:
    change(home, database, sql)
    assert any(f"{d}.{t}" == where and what in w for d, t, w in found(home)), found(home)


STATES = [
    ("workflow_paused", {"reason": ""}, "paused"),
    ("workflow_resumed", {"queued": False}, "running"),
    ("workflow_resumed", {"queued": True}, "queued"),
    ("workflow_activated", {"agent_id": "a"}, "running"),
    ("workflow_activated", {"agent_id": "a", "paused": True}, "paused"),
    ("workflow_cancel_requested", {"reason": ""}, "running"),
    ("workflow_stalled", {"code": "", "message": ""}, "stalled"),
    ("workflow_recovered", None, "running"),
    ("workflow_cancelled", {"reason": ""}, "cancelled"),
    ("workflow_terminated", {"reason": ""}, "terminated"),
]


@pytest.mark.parametrize(("kind", "body", "status"), STATES)
def test_the_state_of_an_instance_is_the_one_its_last_change_left_it_in(
    home: Path, kind: str, body: object, status: str
) -> None:
    ended = status in ("cancelled", "terminated")
    with closing(open_writer(home / "tempolite.db")) as connection:
        (workflow_id, seq) = connection.execute(
            "SELECT workflow_id, max(seq) FROM history JOIN instances USING (workflow_id)"
            " WHERE status = 'running'"
        ).fetchone()
        insert = (
            "INSERT INTO history (workflow_id, seq, kind, op, name, payload, at)"
            " VALUES (?, ?, ?, '', '', ?, '')"
        )
        connection.execute(insert, (workflow_id, seq + 1, kind, payload.encode(body)))
        if not ended:  # a signal says nothing of the state
            signal = (
                workflow_id,
                seq + 2,
                "workflow_signaled",
                payload.encode({"message_id": "m"}),
            )
            connection.execute(insert, signal)
        connection.execute(
            "UPDATE instances SET status = ? WHERE workflow_id = ?", (status, workflow_id)
        )
    assert found(home) == set()
    change(home, "tempolite", "UPDATE instances SET status = 'completed' WHERE status = 'failed'")
    assert len(found(home)) == 2


def test_a_child_has_no_mapping_and_that_is_no_fault(home: Path) -> None:
    active = ids(home, "active")
    with closing(open_writer(home / "tempolite.db")) as connection:
        connection.execute(
            "INSERT INTO instances (workflow_id, name, version, status, input, created_at,"
            " updated_at, parent_id, parent_op, on_parent_close)"
            " VALUES ('child', 'n', 1, 'running', '', '', '', ?, '1', 'cancel')",
            (active,),
        )
        connection.execute(
            "INSERT INTO history (workflow_id, seq, kind, op, name, payload, at)"
            " VALUES ('child', 1, 'workflow_started', '', 'n', ?, '')",
            (payload.encode({"queued": False}),),
        )
    assert found(home) == set()


def test_a_live_workflow_without_its_instance_is_found(home: Path) -> None:
    active = ids(home, "active")
    drop(home, active, "instances", "history", "tasks")
    assert any("no instance in tempolite.db" in what for _, _, what in found(home))


def test_a_start_that_is_not_made_yet_is_no_fault(home: Path) -> None:
    active = ids(home, "active")
    change(home, "coordination", INTENT)
    drop(home, active, "instances", "history", "tasks")
    change(home, "coordination", "UPDATE outbox_cursors SET position = 0")
    assert found(home) == set()


def test_a_workflow_that_is_being_archived_is_no_fault(home: Path) -> None:
    done = ids(home, "completed")
    change(home, "tempolite", f"DELETE FROM history WHERE workflow_id = '{done}' AND seq < 3")  # noqa: S608 - constants
    drop(home, done, "events", "workflow_results", database="coordination")
    assert found(home) == set()
    drop(home, done, "history", "tasks", "instances")
    assert found(home) == set()


def test_an_ended_workflow_whose_instance_was_lost_is_found(home: Path) -> None:
    done = ids(home, "completed")
    drop(home, done, "history", "tasks", "instances")
    assert any("no instance in tempolite.db" in what for _, _, what in found(home))


def test_a_live_workflow_without_its_issue_is_found(home: Path) -> None:
    change(home, "beads", "DELETE FROM issues")
    change(home, "beads", "DELETE FROM journal")
    change(home, "coordination", "UPDATE outbox_cursors SET position = 0")
    assert any("is not in beads.db" in what for _, _, what in found(home))


def test_an_issue_in_progress_for_a_workflow_that_was_lost_is_told_and_breaks_nothing(
    home: Path,
) -> None:
    """As after a restore of an older backup: it came from the published file."""

    def waiting(owner: str, **work: str) -> list[str]:
        with closing(open_writer(home / "beads.db")) as connection:
            line = json.dumps(
                {
                    "id": "x-later",
                    "status": "in_progress",
                    "metadata": {"beadflow": {"home": owner, **work}},
                }
            )
            sql = "UPDATE issues SET id = 'x-later', status = 'in_progress', line = ? WHERE id = ?"
            (some,) = connection.execute("SELECT max(id) FROM issues").fetchone()
            connection.execute(sql, (line, some))
        with snapshot(home) as held:
            return [f"{f.place} {f.what}" for f in stranded(held)]

    with closing(sqlite3.connect(home / "coordination.db")) as connection:
        (owner,) = connection.execute("SELECT value FROM meta WHERE key = 'home'").fetchone()
    with snapshot(home) as held:
        assert stranded(held) == []
    assert waiting("home-of-others", workflow_id="later-1") == []
    assert waiting(owner) == []  # claimed by hand: no workflow is to close it
    (told,) = waiting(owner, workflow_id="later-1")
    assert told.startswith("x-later is in_progress for later-1, a workflow that is not in")


NEXT = (
    "INSERT INTO agent_assignments (workflow_id, agent_type, agent_id, step_number, status,"
    " handoff_from, created_at) SELECT workflow_id, agent_type, 'next', {step}, 'assigned',"
    " {giver}, created_at FROM agent_assignments WHERE status = '{ended}'"
)


@pytest.mark.parametrize(
    ("ended", "step", "giver", "follows"),
    [
        ("completed", "step_number + 1", "agent_id", True),
        ("reassigned", "step_number", "NULL", True),
        ("reassigned", "step_number + 1", "agent_id", False),
        ("completed", "step_number + 2", "agent_id", False),
        ("completed", "step_number + 1", "'another'", False),
        ("completed", "step_number - 1", "agent_id", False),
    ],
)
def test_an_assignment_follows_the_one_before(
    home: Path, ended: str, step: str, giver: str, follows: bool
) -> None:
    of_live = f"UPDATE agent_assignments SET status = '{ended}' WHERE workflow_id IN {LIVE}"  # noqa: S608 - constants
    keep = f"DELETE FROM agent_assignments WHERE workflow_id NOT IN {LIVE}"  # noqa: S608 - constants
    change(home, "coordination", keep)
    change(home, "coordination", of_live)
    change(home, "coordination", NEXT.format(ended=ended, step=step, giver=giver))
    wrong = {what for _, _, what in found(home) if "follow" in what}
    assert bool(wrong) is not follows


def test_two_assignments_of_one_workflow_are_not_in_force_together(home: Path) -> None:
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.execute("DROP INDEX agent_assignments_open")
    change(home, "coordination", NEXT.format(ended="assigned", step="step_number", giver="NULL"))
    assert (
        "coordination",
        "agent_assignments",
        "the workflow has several assignments in force",
    ) in found(home)


def test_a_record_of_the_audit_log_that_does_not_follow_is_found(home: Path) -> None:
    for seq, previous in ((1, ""), (2, "h1")):
        line = (
            f"VALUES ({seq}, 'i{seq}', 't', 'a', 'a', '', 'done', '', '', '{previous}', 'h{seq}')"
        )
        change(home, "coordination", f"INSERT INTO audit {line}")
    assert found(home) == set()
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.execute("DROP TRIGGER audit_is_kept")
        connection.execute("DELETE FROM audit WHERE seq = 1")
    assert found(home) == {
        ("coordination", "audit", "the record does not follow the one before it")
    }
