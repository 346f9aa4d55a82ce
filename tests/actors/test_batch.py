"""Batches without a writer: what runs twice, what is counted, what a command weighs."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actors.batch import LEFT, Batches, Bounds, Group, StartOver, weigh
from actors.errors import NotFound
from storage.database import open_writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    name: str
    then_refuse: bool = False
    takes_all_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    lines: tuple[str, ...]
    data: dict[str, Any]
    of: Add | None = None


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "x.db")) as opened:
        opened.execute("CREATE TABLE things (name TEXT NOT NULL UNIQUE)")
        yield opened


class Runs:
    """Batches over one table; writes down what ran, what was observed and what SQLite was told."""

    def __init__(self, conn: sqlite3.Connection, **bounds: Any) -> None:
        self.ran: list[str] = []
        self.observed: list[str] = []
        self.told: list[str] = []
        self._conn = conn
        conn.set_trace_callback(self.told.append)
        unhurried = Bounds(**{"seconds": 60.0, **bounds})
        self._batches = Batches({Add: self._add}, "x", self._observe, unhurried)

    def commit(self, *commands: object) -> list[object]:
        return self._batches.commit(self._conn, commands)

    def names(self) -> list[str]:
        return [name for (name,) in self._conn.execute("SELECT name FROM things ORDER BY name")]

    def _add(self, conn: sqlite3.Connection, command: Add) -> str:
        self.ran.append(command.name)
        if command.takes_all_back:
            conn.execute("ROLLBACK")
            raise StartOver(command, Add(name=f"instead of {command.name}"))
        conn.execute("INSERT INTO things (name) VALUES (?)", (command.name,))
        if command.then_refuse:
            raise NotFound(command.name)
        return command.name

    def _observe(self, database: str, operation: str, seconds: float, number: int) -> None:
        assert seconds >= 0
        self.observed += [f"{database} {operation}"] * number


def test_a_batch_in_which_all_goes_well_takes_one_statement_for_each_command(
    conn: sqlite3.Connection,
) -> None:
    runs = Runs(conn)
    assert runs.commit(Add(name="a"), Add(name="b")) == ["a", "b"]
    assert [text.split()[0] for text in runs.told] == ["BEGIN", "INSERT", "INSERT", "COMMIT"]


def test_a_command_that_failed_before_it_wrote_costs_its_neighbours_nothing(
    conn: sqlite3.Connection,
) -> None:
    runs = Runs(conn)
    runs.commit(Add(name="a"))
    taken, added = runs.commit(Add(name="a"), Add(name="b"))
    assert isinstance(taken, Exception)
    assert added == "b"
    assert runs.ran == ["a", "a", "b"], "nothing ran twice"


def test_a_command_that_wrote_and_failed_is_taken_back_alone(conn: sqlite3.Connection) -> None:
    runs = Runs(conn)
    first, refused, last = runs.commit(
        Add(name="a"), Add(name="b", then_refuse=True), Add(name="c")
    )
    assert (first, last) == ("a", "c")
    assert isinstance(refused, NotFound)
    assert runs.names() == ["a", "c"]


def test_a_batch_that_ran_twice_is_observed_once(conn: sqlite3.Connection) -> None:
    runs = Runs(conn)
    runs.commit(Add(name="a"), Add(name="b", then_refuse=True))
    assert runs.ran == ["a", "b", "a", "b"]
    assert runs.observed == ["x add", "x add"]


def test_the_first_command_gets_in_however_much_it_carries(conn: sqlite3.Connection) -> None:
    runs = Runs(conn, bytes=100)
    assert runs.commit(Add(name="a" * 1000), Add(name="b")) == ["a" * 1000]
    assert runs.commit(Add(name="b"), Add(name="c" * 1000)) == ["b"]


def test_a_command_weighs_what_its_texts_do_however_deep_they_are() -> None:
    empty = weigh(Letter(lines=(), data={}))
    full = Letter(
        lines=("x" * 1000, "y" * 1000),
        data={"k" * 1000: [b"z" * 1000, {"deep": "w" * 1000}], "n": 1},
        of=Add(name="v" * 1000),
    )
    assert 6000 < weigh(full) - empty < 7000


def test_a_command_that_took_everything_back_is_replaced_and_the_rest_runs_again(
    conn: sqlite3.Connection,
) -> None:
    runs = Runs(conn)
    outcomes = runs.commit(
        Add(name="a"),
        Add(name="b", takes_all_back=True),
        Add(name="c"),
        Add(name="d", takes_all_back=True),
        Add(name="e", then_refuse=True),
        Add(name="f"),
    )
    assert outcomes[:4] == ["a", "instead of b", "c", "instead of d"]
    assert isinstance(outcomes[4], NotFound)
    assert outcomes[5:] == ["f"]
    assert runs.names() == ["a", "c", "f", "instead of b", "instead of d"]
    assert not conn.in_transaction


# --- commands that are run at once ---


@dataclass(frozen=True, kw_only=True)
class Grow:
    workflow_id: str
    then: str = ""


class Grown:
    """Batches in which `Grow` may come in groups; writes down how they were run."""

    def __init__(self, conn: sqlite3.Connection, **bounds: Any) -> None:
        self.ran: list[str] = []
        self.observed: list[tuple[str, int]] = []
        self._conn = conn
        self._batches = Batches(
            {Grow: self._alone, Add: self._add},
            "x",
            lambda _, operation, __, number: self.observed.append((operation, number)),
            Bounds(**bounds),
            groups={Grow: Group(self._at_once)},
        )

    def commit(self, *commands: object) -> list[object]:
        return self._batches.commit(self._conn, commands)

    def names(self) -> list[str]:
        return [name for (name,) in self._conn.execute("SELECT name FROM things")]

    def _at_once(self, conn: sqlite3.Connection, commands: Sequence[Grow]) -> list[object]:
        self.ran.append("+".join(command.workflow_id for command in commands))
        for command in commands:
            conn.execute("INSERT INTO things (name) VALUES (?)", (command.workflow_id,))
            if command.then == "fail at once":
                raise RuntimeError("of one of them")
        return [LEFT if command.then == "leave" else "at once" for command in commands]

    def _alone(self, conn: sqlite3.Connection, command: Grow) -> str:
        del conn
        self.ran.append(command.workflow_id)
        return "alone"

    def _add(self, conn: sqlite3.Connection, command: Add) -> str:
        del conn
        self.ran.append(command.name)
        return "added"


def test_commands_of_different_workflows_are_run_at_once(conn: sqlite3.Connection) -> None:
    runs = Grown(conn)
    assert runs.commit(Grow(workflow_id="a"), Grow(workflow_id="b")) == ["at once"] * 2
    assert runs.ran == ["a+b"]


def test_a_group_ends_at_another_type_and_at_a_workflow_that_is_in_it(
    conn: sqlite3.Connection,
) -> None:
    runs = Grown(conn)
    commands: list[object] = [Grow(workflow_id=name) for name in ("a", "b", "a")]
    conn.execute("DROP TABLE things")
    conn.execute("CREATE TABLE things (name TEXT)")
    answers = runs.commit(*commands, Grow(workflow_id="c"), Add(name="x"), Grow(workflow_id="d"))
    assert runs.ran == ["a+b", "a+c", "x", "d"]
    assert answers == ["at once"] * 4 + ["added", "alone"]


def test_a_group_is_observed_at_once(conn: sqlite3.Connection) -> None:
    runs = Grown(conn)
    runs.commit(*(Grow(workflow_id=name) for name in "abc"), Add(name="x"), Add(name="y"))
    assert runs.observed == [("grow", 3), ("add", 1), ("add", 1)]


def test_a_group_carries_no_more_bytes_than_a_transaction_may(conn: sqlite3.Connection) -> None:
    small, large = Grow(workflow_id="a"), Grow(workflow_id="b" * 1000)
    more = Grow(workflow_id="c")
    room = weigh(small) + weigh(large)
    runs = Grown(conn, bytes=room)
    assert runs.commit(small, large, more) == ["at once"] * 2
    assert Grown(conn, bytes=room - 1).commit(Grow(workflow_id="d"), large, more) == ["alone"]


def test_one_that_is_left_is_run_by_itself_and_answered_in_its_place(
    conn: sqlite3.Connection,
) -> None:
    runs = Grown(conn)
    answers = runs.commit(
        Grow(workflow_id="a"), Grow(workflow_id="b", then="leave"), Grow(workflow_id="c")
    )
    assert answers == ["at once", "alone", "at once"]
    assert runs.ran == ["a+b+c", "b"]


def test_a_group_that_fails_is_taken_back_and_run_one_by_one(conn: sqlite3.Connection) -> None:
    runs = Grown(conn)
    answers = runs.commit(Grow(workflow_id="a"), Grow(workflow_id="b", then="fail at once"))
    assert answers == ["alone", "alone"]
    assert runs.ran == ["a+b", "a", "b"]
    assert runs.names() == []
