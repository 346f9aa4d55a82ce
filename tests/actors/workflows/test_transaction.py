"""Exactly once: what a function may do to the engine's database, and what is recorded of it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.batch import Batches, Bounds
from actors.errors import Conflict
from actors.workflows import transaction as transaction_room
from actors.workflows.activities import RESULT_LIMIT_BYTES
from actors.workflows.definition import ActivityFailure
from actors.workflows.history import Kind, NewEvent
from actors.workflows.messages import (
    AppendHistory,
    CreateInstance,
    PauseInstance,
    RunTransaction,
    TerminateInstance,
    Transacted,
)
from actors.workflows.store import HANDLERS
from actors.workflows.transaction import Transaction
from storage import payload
from storage.ownership import ENGINE_TABLES
from storage.workflows import queries
from tests.support.database import Database, open_database

CREATE = CreateInstance(
    workflow_id="w-1",
    issue_id="x-1",
    name="flow",
    version=1,
    variables=payload.encode({}),
    agent_type=None,
    agent_id=None,
    queued=False,
    at="t1",
)
N = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
ENDLESS_READ = f"{N} SELECT count(*) FROM n"  # noqa: S608 - constants
ENDLESS_WRITE = f"INSERT INTO kept {N} SELECT i FROM n"  # noqa: S608 - constants

Function = Callable[[Transaction, Any], Any]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "tempolite.db", "storage.workflows", HANDLERS) as database:
        database.run(CREATE)
        yield database


def tx(function: Function, value: Any = None, *, after: int = 1, op: str = "1") -> RunTransaction:
    return RunTransaction(
        workflow_id="w-1",
        after=after,
        op=op,
        name="keep",
        function=function,
        value=value,
        at="t2",
    )


def committed(engine: Database, *commands: object) -> list[Any]:
    """What the writer answers, to commands that came together."""
    batches = Batches(HANDLERS, "tempolite", lambda *_: None, Bounds(seconds=60.0))
    return batches.commit(engine.conn, commands)


def failure(engine: Database, function: Function) -> dict[str, Any]:
    """Check that a function fails, and that only its failure is left of it."""
    schema = objects(engine)
    (done,) = committed(engine, tx(function))
    assert done.kind is Kind.TRANSACTION_FAILED
    assert objects(engine) == schema
    assert not engine.conn.in_transaction
    assert kinds(engine) == ["workflow_started", "transaction_failed"]
    found: dict[str, Any] = payload.decode(done.payload)
    return found


def executes(*statements: str) -> Function:
    def function(transaction: Transaction, _: Any) -> None:
        for statement in statements:
            transaction.execute(statement)

    return function


def objects(engine: Database) -> list[tuple[Any, ...]]:
    return engine.rows("SELECT type, name, sql FROM sqlite_schema ORDER BY name")


def kinds(engine: Database) -> list[str]:
    rows = engine.rows("SELECT kind FROM history WHERE workflow_id = 'w-1' ORDER BY seq")
    return [kind for (kind,) in rows]


# --- exactly once


def count(transaction: Transaction, value: int) -> int:
    transaction.execute("CREATE TABLE IF NOT EXISTS kept (value INTEGER)")
    transaction.execute("INSERT INTO kept VALUES (?)", (value,))
    return len(transaction.execute("SELECT * FROM kept"))


def test_what_a_function_wrote_and_its_result_are_there_together(engine: Database) -> None:
    done = engine.run(tx(count, 7))
    assert (done.seq, done.kind) == (2, Kind.TRANSACTION_COMPLETED)
    assert payload.decode(done.payload) == {"result": 1, "attempts": 1}
    assert engine.rows("SELECT value FROM kept") == [(7,)]
    assert queries.last_event(engine.conn, "w-1") == (2, "transaction_completed", done.payload)


def test_the_same_operation_twice_runs_once(engine: Database) -> None:
    first, second = engine.twice(tx(count, 7))
    assert first == second
    assert engine.rows("SELECT value FROM kept") == [(7,)]


def test_a_failure_that_comes_twice_is_one_failure(engine: Database) -> None:
    calls: list[int] = []

    def fail(transaction: Transaction, value: Any) -> None:
        calls.append(1)
        raise ActivityFailure("boom", "it went off")

    first, second = engine.twice(tx(fail))
    assert first == second
    assert len(calls) == 1


def test_requests_that_came_meanwhile_are_gone_on_from(engine: Database) -> None:
    engine.run(PauseInstance(workflow_id="w-1", reason="r", at="t"))
    assert engine.run(tx(count)).seq == 3
    assert [done.seq for done in engine.twice(tx(count))] == [3, 3]


def test_another_incarnation_that_has_gone_on_is_refused_before_anything_runs(
    engine: Database,
) -> None:
    event = NewEvent(kind=Kind.SIDE_EFFECT_RECORDED, op="1", at="t")
    engine.run(AppendHistory(workflow_id="w-1", after=1, events=(event,)))
    for after in (1, 5):
        with pytest.raises(Conflict):
            engine.run(tx(count, after=after))
    assert engine.rows("SELECT name FROM sqlite_schema WHERE name = 'kept'") == []


def test_a_workflow_that_was_ended_meanwhile_runs_nothing_more(engine: Database) -> None:
    engine.run(TerminateInstance(workflow_id="w-1", reason="r", at="t"))
    with pytest.raises(Conflict, match="has ended"):
        engine.run(tx(count))
    assert engine.rows("SELECT name FROM sqlite_schema WHERE name = 'kept'") == []


# --- what it may do


def test_tables_of_its_own_may_be_made_changed_and_dropped(engine: Database) -> None:
    own = executes(
        "CREATE TABLE kept (value INTEGER)",
        "CREATE INDEX kept_value ON kept (value)",
        "CREATE TABLE log (value INTEGER)",
        "CREATE VIEW both AS SELECT value FROM kept UNION ALL SELECT value FROM log",
        "CREATE VIEW states AS SELECT status FROM instances",
        "CREATE TABLE numbered (n INTEGER PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO numbered DEFAULT VALUES",
        "ALTER TABLE numbered RENAME TO counted",
        "DROP TABLE counted",
        "ALTER TABLE kept ADD COLUMN more TEXT",
        "INSERT INTO kept VALUES (1, 'a')",
        "UPDATE kept SET value = 2",
        "DELETE FROM log WHERE value = 1",
        "DROP INDEX kept_value",
        "DROP TABLE log",
    )
    assert engine.run(tx(own)).kind is Kind.TRANSACTION_COMPLETED
    assert engine.rows("SELECT value, more FROM kept") == [(2, "a")]


def test_many_rows_go_in_at_once(engine: Database) -> None:
    def many(transaction: Transaction, value: list[Any]) -> int:
        transaction.execute("CREATE TABLE kept (value INTEGER)")
        return transaction.executemany("INSERT INTO kept VALUES (?)", value)

    assert payload.decode(engine.run(tx(many, [[1], [2]])).payload)["result"] == 2


def test_the_engines_tables_may_be_read(engine: Database) -> None:
    def look(transaction: Transaction, _: Any) -> Any:
        return transaction.execute("SELECT workflow_id, status FROM instances")

    assert payload.decode(engine.run(tx(look)).payload)["result"] == [["w-1", "running"]]


REFUSED = {
    "an insert": ("INSERT INTO meta (key, value) VALUES ('epoch', '9')", "writing meta"),
    "an update": ("UPDATE instances SET status = 'completed'", "writing instances"),
    "a delete": ("DELETE FROM history", "writing history"),
    "a drop": ("DROP TABLE history", "dropping history"),
    "a new column": ("ALTER TABLE tasks ADD COLUMN more TEXT", "changing tasks"),
    "another name": ("ALTER TABLE tasks RENAME TO labours", "changing tasks"),
    "an index": ("CREATE INDEX more ON history (at)", "changing history"),
    "an index less": ("DROP INDEX inbox_waiting", "changing inbox"),
    "a trigger": (
        "CREATE TRIGGER more AFTER INSERT ON history BEGIN SELECT 1; END",
        "a trigger",
    ),
    "a trigger of its own": (
        "CREATE TRIGGER t AFTER INSERT ON kept BEGIN UPDATE instances SET status = 'failed'; END",
        "a trigger",
    ),
    "a virtual table": ("CREATE VIRTUAL TABLE docs USING fts5 (word)", "a virtual table"),
    "a temporary table": ("CREATE TEMP TABLE history (seq INTEGER)", "a temporary table"),
    "a temporary view": ("CREATE TEMP VIEW history AS SELECT 1 AS seq", "a temporary view"),
    "a temporary trigger": (
        "CREATE TEMP TRIGGER t AFTER INSERT ON history BEGIN SELECT 1; END",
        "a trigger",
    ),
    "other letters": ("DELETE FROM HiStOrY", "writing history"),
    "a pragma": ("PRAGMA user_version = 3", "a PRAGMA"),
    "a pragma as a function": ("SELECT * FROM pragma_table_info('history')", "a PRAGMA"),
    "a file": ("ATTACH ':memory:' AS more", "ATTACH"),
    "a commit": ("COMMIT", "ending or beginning a transaction"),
    "a rollback": ("ROLLBACK", "ending or beginning a transaction"),
    "a beginning": ("BEGIN", "ending or beginning a transaction"),
    "a savepoint": ("SAVEPOINT more", "a savepoint"),
    "a release": ("RELEASE transaction_step", "a savepoint"),
    "a way back": ("ROLLBACK TO transaction_step", "a savepoint"),
    "an extension": ("SELECT load_extension('more')", "load_extension"),
    "statistics": ("ANALYZE", "ANALYZE"),
    "a table for a migration": ("CREATE TABLE Tasks_new (a)", "making Tasks_new"),
    "an index for a migration": ("CREATE INDEX tasks_more ON kept (value)", "making tasks_more"),
    "a view for a migration": ("CREATE VIEW inbox_old AS SELECT 1", "making inbox_old"),
    "a name for a migration": ("ALTER TABLE kept RENAME TO instances_new", "making instances_new"),
    "a foreign key": (
        "CREATE TABLE more (w TEXT REFERENCES instances (workflow_id))",
        "a foreign key (of more)",
    ),
    "a foreign key later": (
        "ALTER TABLE kept ADD COLUMN w TEXT REFERENCES instances (workflow_id)",
        "a foreign key (of kept)",
    ),
}


@pytest.mark.parametrize(("sql", "what"), REFUSED.values(), ids=REFUSED)
def test_what_is_the_engines_is_not_touched_and_the_refusal_says_what_is_forbidden(
    engine: Database, sql: str, what: str
) -> None:
    found = failure(engine, executes("CREATE TABLE kept (value INTEGER)", sql))
    assert found["code"] == "DatabaseError"
    assert found["message"].startswith(what)
    assert found["message"].endswith(" is not allowed in ctx.tx")
    assert engine.rows("SELECT status FROM instances") == [("running",)]
    assert engine.rows("SELECT name FROM sqlite_temp_schema") == []


@pytest.mark.parametrize("sql", ["VACUUM INTO '/tmp/copy.db'", "DELETE FROM sqlite_schema"])
def test_what_sqlite_itself_forbids_is_said_in_its_words(engine: Database, sql: str) -> None:
    found = failure(engine, executes(sql))
    assert found["code"] == "OperationalError"
    assert "ctx.tx" not in found["message"]


def test_a_refusal_is_not_said_again_of_what_fails_later(engine: Database) -> None:
    def goes_on(transaction: Transaction, _: Any) -> None:
        with suppress(sqlite3.Error):
            transaction.executemany("DELETE FROM history WHERE seq = ?", [[1]])
        transaction.execute("SELECT * FROM nowhere")

    assert failure(engine, goes_on)["message"] == "no such table: nowhere"


def test_every_table_of_the_schema_is_the_engines_own(engine: Database) -> None:
    tables = {
        name for (name,) in engine.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
    }
    assert tables == ENGINE_TABLES


def test_nothing_is_forbidden_any_more_once_the_function_has_ended(engine: Database) -> None:
    for function in (count, executes("COMMIT")):
        done = engine.run(tx(function, 1, op="1", after=queries.last_seq(engine.conn, "w-1")))
        assert done is not None
        engine.conn.execute("PRAGMA user_version")
        engine.run(replace(CREATE, workflow_id=f"w-{done.seq}"))


def test_the_engines_own_statements_may_take_their_time_afterwards(
    engine: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_room, "LIMIT_S", 0.0)
    engine.run(tx(lambda transaction, _: None))
    long = f"{N} SELECT count(*) FROM (SELECT i FROM n LIMIT 50000)"  # noqa: S608 - constants
    assert engine.rows(long) == [(50000,)]


def test_a_transaction_is_of_no_use_afterwards(engine: Database) -> None:
    kept: list[Transaction] = []
    engine.run(tx(lambda transaction, _: kept.append(transaction)))
    with pytest.raises(RuntimeError, match="over"):
        kept[0].execute("SELECT 1")
    with pytest.raises(RuntimeError, match="over"):
        kept[0].executemany("SELECT ?", [[1]])


# --- failures


class Panic(BaseException):
    """What a library in another language may raise."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("it went off"), "ValueError"),
        (ActivityFailure("boom", "it went off"), "boom"),
        (SystemExit("it went off"), "SystemExit"),
        (Panic("it went off"), "Panic"),
    ],
)
def test_what_a_function_raises_is_recorded_and_what_it_wrote_is_taken_back(
    engine: Database, error: BaseException, code: str
) -> None:
    def fail(transaction: Transaction, value: Any) -> None:
        count(transaction, 1)
        raise error

    assert failure(engine, fail) == {"code": code, "message": "it went off", "attempts": 1}


@pytest.mark.parametrize(
    ("result", "code"),
    [(object(), "result_not_json"), ("x" * RESULT_LIMIT_BYTES, "result_too_large")],
    ids=["no json", "too large"],
)
def test_a_result_that_cannot_be_stored_is_a_failure_and_what_was_written_is_taken_back(
    engine: Database, result: object, code: str
) -> None:
    def function(transaction: Transaction, value: Any) -> object:
        count(transaction, 1)
        return result

    assert failure(engine, function)["code"] == code


def test_a_statement_that_fails_may_be_caught(engine: Database) -> None:
    def catches(transaction: Transaction, value: Any) -> str:
        count(transaction, 1)
        try:
            transaction.execute("DELETE FROM history")
        except sqlite3.Error:
            return "caught"
        return "not refused"

    (done,) = committed(engine, tx(catches))
    assert payload.decode(done.payload)["result"] == "caught"
    assert engine.rows("SELECT value FROM kept") == [(1,)]


def test_a_full_disk_is_nobodys_failure(engine: Database) -> None:
    pages = engine.rows("PRAGMA page_count")[0][0]
    engine.conn.execute(f"PRAGMA max_page_count = {pages}")
    filling = executes("CREATE TABLE kept (value)", "INSERT INTO kept VALUES (zeroblob(1000000))")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        engine.handlers[RunTransaction](engine.conn, tx(filling))
    assert kinds(engine) == ["workflow_started"]


# --- what would cost everybody's writes: SQLite takes back the whole transaction

COSTLY: dict[str, Function] = {
    "a write that takes too long": executes("CREATE TABLE kept (value INTEGER)", ENDLESS_WRITE),
    "a statement that rolls back": executes(
        "CREATE TABLE kept (value INTEGER UNIQUE)",
        "INSERT INTO kept VALUES (1)",
        "INSERT OR ROLLBACK INTO kept VALUES (1)",
    ),
    "a table that rolls back": executes(
        "CREATE TABLE kept (value INTEGER UNIQUE ON CONFLICT ROLLBACK)",
        "INSERT INTO kept VALUES (1)",
        "INSERT INTO kept VALUES (1)",
    ),
}


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction_room, "LIMIT_S", 0.05)


@pytest.mark.usefixtures("_impatient")
def test_a_query_that_takes_too_long_is_cut_off(engine: Database) -> None:
    found = failure(engine, executes(ENDLESS_READ))
    assert found["code"] == "transaction_timeout"


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("costly", COSTLY.values(), ids=COSTLY)
def test_a_function_that_costs_the_whole_transaction_fails_alone(
    engine: Database, costly: Function
) -> None:
    before, after = (replace(CREATE, workflow_id=name) for name in ("before", "after"))
    outcomes = committed(engine, before, tx(costly), after)
    assert outcomes[0] is outcomes[2] is None
    assert isinstance(outcomes[1], Transacted)
    assert outcomes[1].kind is Kind.TRANSACTION_FAILED
    assert queries.workflow_ids(engine.conn) == {"before", "w-1", "after"}
    assert kinds(engine) == ["workflow_started", "transaction_failed"]
    assert engine.rows("SELECT name FROM sqlite_schema WHERE name = 'kept'") == []
    (again,) = committed(engine, tx(costly))
    assert again == outcomes[1]


@pytest.mark.usefixtures("_impatient")
def test_a_write_that_takes_too_long_is_said_to(engine: Database) -> None:
    found = failure(engine, COSTLY["a write that takes too long"])
    assert found["code"] == "transaction_timeout"


def test_a_function_that_hides_a_rollback_writes_nothing_outside_a_transaction(
    engine: Database,
) -> None:
    refused: list[str] = []

    def hides(transaction: Transaction, value: Any) -> str:
        with suppress(sqlite3.Error):
            COSTLY["a statement that rolls back"](transaction, value)
        try:
            transaction.execute("CREATE TABLE outside (value INTEGER)")
        except RuntimeError as error:
            refused.append(str(error))
        return "well"

    assert failure(engine, hides)["code"] == "transaction_rolled_back"
    assert "rolled back" in refused[0]
