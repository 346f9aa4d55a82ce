"""What leaves the databases is in the archive before, wherever it is cut off."""

import itertools
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors import retention
from actors.errors import Conflict
from actors.retention import (
    COORDINATION,
    TEMPOLITE,
    ForgetEvents,
    ForgetHistory,
    ForgetResults,
    ForgetWorkflow,
    Retired,
    retire,
)
from storage import archive, payload
from storage.coordination import queries
from storage.database import open_writer
from storage.databases import databases
from storage.invariants import broken
from storage.migrate import migrate
from storage.snapshot import snapshot
from tests.support.database import Database
from tests.support.golden import golden_file

NOW = datetime(2999, 1, 1, tzinfo=UTC)
TABLES = {
    "coordination": (
        "workflow_mappings",
        "agent_assignments",
        "workflow_results",
        "artifacts",
        "events",
    ),
    "tempolite": ("instances", "tasks", "inbox", "history"),
}
LOOSE = 5

Rows = set[tuple[str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two workflows that ended, two that did not, and a few events of none.

    One of those that ended has a child with a child, a signal, events and a history.
    """
    home = tmp_path / "home"
    home.mkdir()
    for database in databases(home):
        shutil.copy(golden_file(database.name, 1), database.path)
        with closing(open_writer(database.path)) as connection:
            migrate(connection, database.schema)
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.executemany(
            "INSERT INTO events (type, at, data) VALUES ('issue_updated', ?, '{}')",
            [(f"2026-0{n}-01T00:00:00.000000Z",) for n in range(1, LOOSE + 2)],
        )
        (last,) = connection.execute("SELECT max(seq) FROM events").fetchone()
    with closing(open_writer(home / "beads.db")) as connection:
        connection.execute("UPDATE cursors SET position = ?", (last,))
    add_children(home)
    return home


def add_children(home: Path) -> None:
    """Before all the rest, since the last row of a history and the last event stay."""
    with closing(open_writer(home / "tempolite.db")) as connection:
        (done,) = connection.execute(
            "SELECT workflow_id FROM instances WHERE status = 'completed'"
        ).fetchone()
        for n, (parent, status) in enumerate([(done, "cancelled"), (f"{done}.1", "terminated")]):
            child = f"{parent}.1"
            connection.execute(
                "INSERT INTO instances (workflow_id, name, version, status, input, created_at,"
                " updated_at, parent_id, parent_op, on_parent_close)"
                " VALUES (?, 'n', 1, ?, '', '', '', ?, '1', 'terminate')",
                (child, status, parent),
            )
            for seq, kind in enumerate(["workflow_started", f"workflow_{status}"], 1):
                connection.execute(
                    "INSERT INTO history (position, workflow_id, seq, kind, op, name, payload, at)"
                    " VALUES (?, ?, ?, ?, '', 'n', ?, '')",
                    (-10 * n - 10 + seq, child, seq, kind, payload.encode({"queued": False})),
                )
            connection.execute(
                "INSERT INTO inbox (workflow_id, message_id, name, payload, at)"
                " VALUES (?, 'm', 'go', '', '')",
                (child,),
            )
            connection.execute("INSERT INTO segments VALUES (?, 1, 2, x'00')", (child,))
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.executemany(
            "INSERT INTO events (seq, type, workflow_id, at, data)"
            " VALUES (?, 'log', ?, '2026-01-01T00:00:00.000000Z', '{}')",
            [(-1, f"{done}.1"), (-2, f"{done}.1.1")],
        )
        for owner in (done, f"{done}.1", f"{done}.1.1"):
            add_artifact(connection, owner)


def add_artifact(connection: sqlite3.Connection, owner: str) -> None:
    connection.execute(
        "INSERT INTO artifacts (workflow_id, name, version, media_type, size, sha256, created_at)"
        " VALUES (?, 'a', 1, 'a/b', 0, 's', 't')",
        (owner,),
    )


def stored(home: Path) -> Rows:
    found = set()
    for database, tables in TABLES.items():
        with closing(sqlite3.connect(home / f"{database}.db")) as connection:
            connection.row_factory = sqlite3.Row
            for table in tables:
                for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 - constants
                    found.add((table, repr(dict(row))))
    return found


def archived(home: Path) -> list[tuple[str, str]]:
    return [
        (found["table"], repr(found["row"]))
        for path in sorted((home / archive.DIRECTORY).glob("*.jsonl"))
        for found in archive.read(path)
    ]


def drive(home: Path, steps: int | None = None, *, goes_on: bool = False) -> Retired:
    """Retire, as far as the given step; and then to the next, whose command is not run."""
    retired = Retired()
    handlers: dict[type, Any] = {**COORDINATION, **TEMPOLITE}
    found = retire(home, now=NOW, days=1, retired=retired)
    with closing(found):
        for step in itertools.islice(found, steps):
            with closing(open_writer(home / f"{step.database}.db")) as connection:
                Database(connection, handlers).twice(step.command)
        if goes_on:
            next(found, None)
    return retired


def count_steps(home: Path, tmp_path: Path) -> int:
    shutil.copytree(home, tmp_path / "counted")
    handlers: dict[type, Any] = {**COORDINATION, **TEMPOLITE}
    total = 0
    with closing(retire(tmp_path / "counted", now=NOW, days=1, retired=Retired())) as found:
        for step in found:
            total += 1
            with closing(open_writer(tmp_path / "counted" / f"{step.database}.db")) as connection:
                Database(connection, handlers).run(step.command)
    return total


def findings(home: Path) -> list[str]:
    with snapshot(home) as held:
        return [f"{f.table} {f.place} {f.what}" for f in broken(held)]


def test_ended_workflows_and_loose_events_leave_for_the_archive(home: Path) -> None:
    before = stored(home)
    retired = drive(home)
    left = stored(home)
    events = sum(table == "events" for table, _ in before - left)
    assert events > LOOSE
    assert retired == Retired(workflows=2, events=events)
    assert set(archived(home)) == before - left
    assert len(archived(home)) == len(set(archived(home)))
    kinds = {table for table, _ in before - left}
    assert kinds == {*TABLES["coordination"], *TABLES["tempolite"]}
    assert sum(table == "workflow_mappings" for table, _ in left) == 2
    assert findings(home) == []
    with closing(sqlite3.connect(home / "tempolite.db")) as connection:
        assert connection.execute("SELECT count(*) FROM segments").fetchone() == (0,)
    assert drive(home) == Retired()


@pytest.mark.parametrize("below", ["", ".7"])
def test_what_is_stored_while_its_workflow_leaves_follows_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    """A file is put between the archiving of a workflow and the removal of its mapping."""
    forget = retention.forget_workflow

    def put_before(connection: sqlite3.Connection, command: ForgetWorkflow) -> None:
        owner = f"{command.workflow_id}{below}"
        there = connection.execute("SELECT 1 FROM artifacts WHERE workflow_id = ?", (owner,))
        if there.fetchone() is None:
            add_artifact(connection, owner)
        forget(connection, command)

    with monkeypatch.context() as late:
        late.setitem(COORDINATION, ForgetWorkflow, put_before)  # type: ignore[arg-type]
        drive(home)
    assert sum(table == "workflow_mappings" for table, _ in stored(home)) == 4
    assert findings(home) == []
    drive(home)
    left = stored(home)
    assert {table for table, _ in left} & {"artifacts"} == set()
    assert sum(table == "workflow_mappings" for table, _ in left) == 2
    assert findings(home) == []


def test_the_months_have_files_of_their_own(home: Path) -> None:
    drive(home)
    names = {path.name for path in (home / archive.DIRECTORY).iterdir()}
    assert names >= {f"2026-0{n}.jsonl" for n in range(1, LOOSE + 1)}


@pytest.mark.parametrize(("batch", "goes_on"), [(1, False), (3, True), (500, True)])
def test_cut_off_after_any_step_nothing_is_lost_and_the_rest_follows(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, goes_on: bool
) -> None:
    monkeypatch.setattr(retention, "BATCH", batch)
    before = stored(home)
    total = count_steps(home, tmp_path)
    assert total >= 9
    for steps in range(total):
        place = tmp_path / f"cut-{steps}"
        shutil.copytree(home, place)
        drive(place, steps, goes_on=goes_on)
        assert stored(place) | set(archived(place)) == before, steps
        assert findings(place) == [], steps
        drive(place)
        left = stored(place)
        assert set(archived(place)) == before - left, steps
        assert sum(table == "workflow_mappings" for table, _ in left) == 2
        assert findings(place) == [], steps
        shutil.rmtree(place)


def test_nothing_is_deleted_while_the_archive_cannot_be_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(home)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            drive(home)
    assert stored(home) == before
    assert archived(home) == []
    assert drive(home).workflows == 2


def test_an_event_that_comes_while_its_workflow_is_archived_is_not_lost(home: Path) -> None:
    found = retire(home, now=NOW, days=1, retired=Retired())
    handlers: dict[type, Any] = {**COORDINATION, **TEMPOLITE}
    late: tuple[str, str] | None = None
    for step in found:
        if late is None:
            late = late_event(home)
        with closing(open_writer(home / f"{step.database}.db")) as connection:
            Database(connection, handlers).run(step.command)
    assert late is not None
    assert late in stored(home)


def late_event(home: Path) -> tuple[str, str]:
    with closing(open_writer(home / "coordination.db")) as connection:
        seq = connection.execute(
            "INSERT INTO events (type, workflow_id, at, data) SELECT 'issue_updated',"
            " tempolite_workflow_id, '2998-01-01T00:00:00.000000Z', '{}' FROM workflow_mappings"
            " WHERE status = 'completed'"
        ).lastrowid
        row = connection.execute("SELECT * FROM events WHERE seq = ?", (seq,)).fetchone()
        return "events", repr(dict(row))


# --- what the handlers refuse, whatever they are told


@pytest.fixture
def engine(home: Path) -> Iterator[Database]:
    with closing(open_writer(home / "tempolite.db")) as connection:
        yield Database(connection, TEMPOLITE)


@pytest.fixture
def bridge(home: Path) -> Iterator[Database]:
    with closing(open_writer(home / "coordination.db")) as connection:
        yield Database(connection, COORDINATION)


def test_the_history_of_a_workflow_that_goes_on_is_not_forgotten(engine: Database) -> None:
    ((running,),) = engine.rows("SELECT workflow_id FROM instances WHERE status = 'running'")
    with pytest.raises(Conflict, match="has not ended"):
        engine.run(ForgetHistory(workflow_id=running, seqs=(1,)))


def test_the_history_of_a_child_is_not_forgotten_while_its_parent_goes_on(engine: Database) -> None:
    engine.conn.execute("UPDATE instances SET status = 'stalled' WHERE status = 'completed'")
    ((child,),) = engine.rows("SELECT workflow_id FROM instances WHERE status = 'terminated'")
    with pytest.raises(Conflict, match="has not ended"):
        engine.run(ForgetHistory(workflow_id=child, seqs=(1, 2)))


def test_a_parent_is_not_forgotten_before_its_children(engine: Database) -> None:
    ((done,),) = engine.rows("SELECT workflow_id FROM instances WHERE status = 'completed'")
    with pytest.raises(Conflict, match="has not ended"):
        engine.run(ForgetHistory(workflow_id=done, seqs=(1,)))


def test_the_last_row_of_the_history_is_not_forgotten(engine: Database) -> None:
    engine.conn.execute("UPDATE instances SET status = 'failed'")
    ((workflow_id, seq),) = engine.rows(
        "SELECT workflow_id, seq FROM history ORDER BY position DESC LIMIT 1"
    )
    engine.twice(ForgetHistory(workflow_id=workflow_id, seqs=tuple(range(1, seq + 1))))
    assert engine.rows("SELECT seq FROM history WHERE workflow_id = ?", workflow_id) == [(seq,)]
    assert engine.rows("SELECT count(*) FROM instances WHERE workflow_id = ?", workflow_id) == [
        (1,)
    ]


def test_a_workflow_that_goes_on_is_not_forgotten(bridge: Database) -> None:
    ((active,),) = bridge.rows(
        "SELECT tempolite_workflow_id FROM workflow_mappings WHERE status = 'active'"
    )
    with pytest.raises(Conflict, match="has not ended"):
        bridge.run(ForgetWorkflow(workflow_id=active))


def test_a_workflow_with_an_open_intent_is_not_forgotten(bridge: Database) -> None:
    bridge.conn.execute(
        "INSERT INTO intents SELECT tempolite_workflow_id, tempolite_workflow_id, 'start',"
        " '{}', '' FROM workflow_mappings"
    )
    ((done,),) = bridge.rows(
        "SELECT tempolite_workflow_id FROM workflow_mappings WHERE status = 'completed'"
    )
    with pytest.raises(Conflict, match="has not ended"):
        bridge.run(ForgetWorkflow(workflow_id=done))


def test_the_last_event_is_not_forgotten(bridge: Database) -> None:
    ((last,),) = bridge.rows("SELECT max(seq) FROM events")
    bridge.twice(ForgetEvents(seqs=tuple(range(-2, last + 1))))
    assert bridge.rows("SELECT seq FROM events") == [(last,)]


def test_up_to_where_events_were_forgotten_is_remembered(bridge: Database) -> None:
    def forgotten() -> int:
        return queries.cursor(bridge.conn, queries.FORGOTTEN)

    seqs = [row[0] for row in bridge.rows("SELECT seq FROM events ORDER BY seq")]
    assert forgotten() == 0
    bridge.twice(ForgetEvents(seqs=(seqs[2], seqs[0])))
    assert forgotten() == seqs[2]
    bridge.twice(ForgetEvents(seqs=(seqs[1],)))
    assert forgotten() == seqs[2]
    bridge.twice(ForgetEvents(seqs=tuple(seqs)))
    assert forgotten() == seqs[-1] - 1, "the last one stays"


def test_results_are_forgotten_by_their_numbers(bridge: Database) -> None:
    ids = [row[0] for row in bridge.rows("SELECT id FROM workflow_results ORDER BY id")]
    bridge.twice(ForgetResults(ids=tuple(ids[:1])))
    assert [row[0] for row in bridge.rows("SELECT id FROM workflow_results")] == ids[1:]
