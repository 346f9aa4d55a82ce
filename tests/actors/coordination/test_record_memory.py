import random
import sqlite3
import threading
from collections import Counter
from dataclasses import replace

import pytest

from actors.coordination.messages import WorkflowRecord
from actors.coordination.record_memory import RECORD_BYTES, Limits, MemoryWitness, RecordMemory

RECORD = WorkflowRecord(
    id="w",
    beads_issue_id="x-1",
    type="t",
    version=1,
    title="",
    status="active",
    priority=2,
    agent_type=None,
    agent_id=None,
    variables={},
    created_at="2026-01-01T00:00:00Z",
    started_at=None,
    completed_at=None,
    error_code=None,
    error_message=None,
)


class Memory(RecordMemory):
    """One that counts, with a clock that stands."""

    def __init__(self, known_changes: int = 100, **limits: float) -> None:
        self.counted: Counter[str] = Counter()
        super().__init__(
            Limits(**limits),  # type: ignore[arg-type]
            lambda level, what: self.counted.update([f"{level} {what}"]),
            known_changes,
        )

    def keep(self, workflow_id: str, status: str = "active", now: float = 0.0) -> None:
        version = self.begin(workflow_id)
        assert version is not None
        self.put(workflow_id, version, replace(RECORD, id=workflow_id, status=status), now)

    def status(self, workflow_id: str, now: float = 0.0) -> str | None:
        found = self.get(workflow_id, now)
        return found and found.status

    def change(self, workflow_id: str, database: str = "coordination") -> None:
        self.changes(database, [workflow_id])
        self.settled(database)


def test_what_was_read_is_kept() -> None:
    memory = Memory()
    assert memory.status("w") is None
    memory.keep("w")
    assert memory.status("w") == "active"
    assert memory.counted == {"memory miss": 1, "memory hit": 1}


def test_a_change_makes_a_copy_worthless() -> None:
    memory = Memory()
    memory.keep("w")
    memory.change("w")
    assert memory.status("w") is None
    assert memory.counted["memory changed"] == 1


def test_a_change_of_another_workflow_does_not() -> None:
    memory = Memory()
    memory.keep("w")
    memory.change("v")
    assert memory.status("w") == "active"


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    memory = Memory()
    version = memory.begin("w")
    memory.change("w")
    assert version is not None
    memory.put("w", version, RECORD, 0.0)
    assert memory.status("w") is None


@pytest.mark.parametrize("database", ["coordination", "tempolite"])
def test_while_a_transaction_changes_it_nothing_is_kept(database: str) -> None:
    memory = Memory()
    version = memory.begin("w")
    memory.changes(database, ["w"])
    assert memory.begin("w") is None
    assert version is not None
    assert not memory.is_current("w", version)
    memory.settled("another")
    assert memory.begin("w") is None
    memory.settled(database)
    memory.keep("w")
    assert memory.status("w") == "active"


def test_the_least_used_goes_when_there_are_too_many() -> None:
    memory = Memory(records=2)
    memory.keep("a")
    memory.keep("b")
    memory.status("a")
    memory.keep("c")
    assert [memory.status(name) for name in "abc"] == ["active", None, "active"]
    assert memory.counted["memory evicted"] == 1


def test_the_bytes_are_bounded() -> None:
    memory = Memory(size_bytes=3 * RECORD_BYTES)
    for number in range(10):
        memory.keep(f"w{number}")
    assert memory._size <= 3 * RECORD_BYTES
    assert len(memory._kept) == 2


def test_one_that_is_larger_than_all_the_room_is_not_kept() -> None:
    memory = Memory(size_bytes=3 * RECORD_BYTES)
    memory.keep("a")
    version = memory.begin("w")
    assert version is not None
    memory.put("w", version, replace(RECORD, title="x" * 4 * RECORD_BYTES), 0.0)
    assert memory.status("a") == "active"
    assert memory.status("w") is None


def test_one_that_is_old_is_read_anew() -> None:
    memory = Memory(age_s=10.0)
    memory.keep("w", now=100.0)
    assert memory.status("w", now=109.9) == "active"
    assert memory.status("w", now=110.0) is None
    assert memory.counted["memory aged"] == 1


def test_room_for_none_keeps_none() -> None:
    memory = Memory(records=0)
    memory.keep("w")
    assert memory.status("w") is None
    assert memory.counted == {}


def test_nobody_s_changes_of_the_variables_are_seen_by_others() -> None:
    memory = Memory()
    version = memory.begin("w")
    assert version is not None
    mine = {"list": [1]}
    memory.put("w", version, replace(RECORD, variables=mine), 0.0)
    mine["list"].append(2)
    first = memory.get("w", 0.0)
    assert first is not None
    first.variables["list"].append(3)
    second = memory.get("w", 0.0)
    assert second is not None
    assert second.variables == {"list": [1]}


def test_clearing_makes_copies_elsewhere_worthless_too() -> None:
    memory = Memory()
    version = memory.begin("w")
    memory.keep("w")
    memory.clear()
    assert version is not None
    assert not memory.is_current("w", version)
    assert memory.status("w") is None


def test_changes_that_are_forgotten_count_for_all() -> None:
    """Bounded memory of changes: older copies of whatever workflow are then not believed."""
    memory = Memory(known_changes=2)
    version = memory.begin("w")
    assert version is not None
    for name in "abc":
        memory.change(name)
    assert not memory.is_current("w", version)
    memory.keep("w")
    assert memory.status("w") == "active"


def database() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.execute("CREATE TABLE instances (workflow_id TEXT PRIMARY KEY, status TEXT, input TEXT)")
    return conn


TRIGGER = """
    CREATE TEMP TRIGGER status_changes AFTER UPDATE OF status ON main.instances
    WHEN new.status IS NOT old.status
    BEGIN INSERT OR IGNORE INTO changes VALUES (new.workflow_id); END;
"""


def test_a_writer_tells_of_rows_before_they_are_committed() -> None:
    memory, conn = Memory(), database()
    witness = MemoryWitness(memory, "tempolite", TRIGGER)
    witness.opened(conn)
    conn.execute("INSERT INTO instances VALUES ('w', 'running', '')")
    memory.keep("w")
    conn.execute("BEGIN")
    conn.execute("UPDATE instances SET input = 'other'")
    witness.committing(conn)
    assert memory.status("w") == "active"
    conn.execute("UPDATE instances SET status = 'paused'")
    witness.committing(conn)
    assert memory.status("w") is None
    assert memory.begin("w") is None
    conn.execute("COMMIT")
    witness.settled()
    assert memory.begin("w") is not None


def test_what_a_writer_takes_back_is_no_change() -> None:
    memory, conn = Memory(), database()
    witness = MemoryWitness(memory, "tempolite", TRIGGER)
    witness.opened(conn)
    conn.execute("INSERT INTO instances VALUES ('w', 'running', '')")
    memory.keep("w")
    conn.execute("BEGIN")
    conn.execute("UPDATE instances SET status = 'paused'")
    conn.execute("ROLLBACK")
    conn.execute("BEGIN")
    witness.committing(conn)
    conn.execute("COMMIT")
    witness.settled()
    assert memory.status("w") == "active"


def test_a_writer_that_comes_back_makes_all_copies_worthless() -> None:
    """Its predecessor may have committed a change and died before it could tell."""
    memory = Memory()
    memory.keep("v")
    memory.changes("tempolite", ["w"])
    MemoryWitness(memory, "tempolite", TRIGGER).opened(database())
    assert memory.status("v") is None
    assert memory.begin("w") is not None


@pytest.mark.parametrize("seed", range(3))
def test_threads_never_see_a_copy_that_is_older_than_an_acknowledged_change(seed: int) -> None:
    """The truth is a number in a list, changed by one thread and read by others, as the stores."""
    memory, truth, acknowledged = Memory(), [0], [0]
    chance, stop, wrong = random.Random(seed), threading.Event(), []

    def write() -> None:
        for number in range(1, 3000):
            memory.changes("tempolite", ["w"])
            if chance.random() < 0.1:
                memory.settled("tempolite")  # taken back
                memory.changes("tempolite", ["w"])
            truth[0] = number
            memory.settled("tempolite")
            acknowledged[0] = number
        stop.set()

    def read() -> None:
        while not stop.is_set():
            least = acknowledged[0]
            found = memory.get("w", 0.0)
            if found is not None:
                if found.priority < least:
                    wrong.append((found.priority, least))
                continue
            version = memory.begin("w")
            seen = truth[0]
            if version is not None:
                memory.put("w", version, replace(RECORD, priority=seen), 0.0)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    write()
    for thread in threads:
        thread.join(20)
    assert wrong == []
