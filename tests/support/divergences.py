"""Ways in which the stores can come to disagree, done to a running system by going round it.

Each edits rows, the file, Git or the actors as no part of the system ever would, and says which
code of docs/reconcile.md a pass has to give for it. What is only reported is put right by `undo`.
"""

import random
import sqlite3
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import trio

from actors.agents.messages import CancelTask, Introduce
from actors.coordination.intents import plan_to_text
from actors.facts import STEP_STARTED, LoggedFact
from actors.issues.issue import new_issue
from actors.workflows.messages import TerminateInstance
from actors.writer import persist
from storage.issues import jsonl
from storage.issues.file import PUBLISHED
from supervision import TerminateChild, ask
from tests.support.starts import start_plan
from tests.support.world import Running

OLD = "2020-01-01T00:00:00.000000Z"
GHOST = "clerk-9"


@dataclass
class Stock:
    """The workflows that there are, by what they are doing."""

    running: Running
    active: list[str] = field(default_factory=list)
    assigned: list[str] = field(default_factory=list)
    working: list[str] = field(default_factory=list)
    paused: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def any_live(self, chance: random.Random) -> str:
        return chance.choice([*self.active, *self.assigned, *self.working, *self.paused])

    def without(self, workflow_ids: Collection[str | None]) -> "Stock":
        """The same, but for these."""
        kinds = ("active", "assigned", "working", "paused", "ended")
        left = {k: [w for w in getattr(self, k) if w not in workflow_ids] for k in kinds}
        return replace(self, **left)

    @contextmanager
    def open(self, database: str) -> Iterator[sqlite3.Connection]:
        path = getattr(self.running.stores, database).path
        with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection

    def run(self, database: str, sql: str, *given: Any) -> list[sqlite3.Row]:
        with self.open(database) as connection:
            return connection.execute(sql, given).fetchall()

    def issue_of(self, workflow_id: str) -> str:
        sql = "SELECT beads_issue_id FROM workflow_mappings WHERE tempolite_workflow_id = ?"
        return str(self.run("coordination", sql, workflow_id)[0][0])

    def edit(self, issue_id: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change an issue's row, and leave no trace of it."""
        with self.open("beads") as connection:
            connection.execute("BEGIN IMMEDIATE")
            sql = "SELECT line FROM issues WHERE id = ?"
            row = jsonl.parse(connection.execute(sql, (issue_id,)).fetchone()[0])
            change(row)
            connection.execute(
                "UPDATE issues SET line = ?, status = ?, title = ?, priority = ? WHERE id = ?",
                (jsonl.encode_text(row), row["status"], row["title"], row["priority"], issue_id),
            )
            connection.execute("COMMIT")


@dataclass
class Injected:
    """What was done: the workflow and the code that a pass has to give for it.

    Args:
        code: None where nothing has to be found.
        repairs: False for what is only reported.
        sure: False where a part of the system may have mended it by itself before the pass.
    """

    code: str | None
    workflow_id: str | None
    repairs: bool = True
    undo: Callable[[], None] = lambda: None
    sure: bool = True


Injector = Callable[[Stock, random.Random], Any]


def mapping_says_otherwise(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = stock.any_live(chance)
    before = "SELECT status FROM workflow_mappings WHERE tempolite_workflow_id = ?"
    status = stock.run("coordination", before, workflow_id)[0][0]
    others = [s for s in ("active", "paused", "stalled", "queued") if s != status]
    sql = "UPDATE workflow_mappings SET status = ? WHERE tempolite_workflow_id = ?"
    stock.run("coordination", sql, chance.choice(others), workflow_id)
    return Injected("status_behind", workflow_id)


def mapping_has_ended(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = stock.any_live(chance)
    sql = """UPDATE workflow_mappings SET status = 'completed', completed_at = ?
        WHERE tempolite_workflow_id = ?"""
    stock.run("coordination", sql, OLD, workflow_id)
    return Injected("status_behind", workflow_id)


def mapping_goes_on(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.ended)
    sql = """UPDATE workflow_mappings SET status = 'active', completed_at = NULL
        WHERE tempolite_workflow_id = ?"""
    stock.run("coordination", sql, workflow_id)
    return Injected("status_behind", workflow_id)


def mapping_has_another_title(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = stock.any_live(chance)
    sql = "UPDATE workflow_mappings SET title = 'x', priority = 4 WHERE tempolite_workflow_id = ?"
    stock.run("coordination", sql, workflow_id)
    return Injected("issue_renamed", workflow_id)


def issue_says_otherwise(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = stock.any_live(chance)
    status = chance.choice(["open", "blocked"])
    stock.edit(stock.issue_of(workflow_id), lambda row: row.update(status=status))
    return Injected("issue_behind", workflow_id)


def issue_is_closed_without_a_trace(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = stock.any_live(chance)
    closed = {"status": "closed", "closed_at": OLD, "close_reason": "x"}
    stock.edit(stock.issue_of(workflow_id), lambda row: row.update(closed))
    return Injected("issue_behind", workflow_id)


def issue_of_the_ended_goes_on(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.ended)

    def open_again(row: dict[str, Any]) -> None:
        row["status"] = chance.choice(["in_progress", "open"])
        row.pop("closed_at", None)
        row.pop("close_reason", None)

    stock.edit(stock.issue_of(workflow_id), open_again)
    return Injected("issue_behind", workflow_id)


def label_is_wrong(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice([*stock.paused, *stock.active])
    labels = ["beadflow"] if workflow_id in stock.paused else ["beadflow", "paused"]
    stock.edit(stock.issue_of(workflow_id), lambda row: row.update(labels=labels))
    return Injected("issue_behind", workflow_id)


def issue_names_another_agent(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.assigned)

    def rename(row: dict[str, Any]) -> None:
        row["metadata"]["beadflow"]["agent_id"] = GHOST

    stock.edit(stock.issue_of(workflow_id), rename)
    return Injected("issue_behind", workflow_id)


def issue_forgets_its_workflow(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = stock.any_live(chance)
    stock.edit(stock.issue_of(workflow_id), lambda row: row.update(metadata={"other": 1}))
    return Injected("issue_unmarked", workflow_id)


def issue_is_lost(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = stock.any_live(chance)
    issue_id = stock.issue_of(workflow_id)
    last = stock.run("beads", "SELECT max(seq) FROM journal")[0][0]
    stock.run("beads", "DELETE FROM issues WHERE id = ?", issue_id)
    sql = "DELETE FROM journal WHERE issue_id = ? AND seq < ?"
    stock.run("beads", sql, issue_id, last)
    return Injected("issue_missing", workflow_id)


def issue_of_an_unknown_workflow(stock: Stock, chance: random.Random) -> Injected:
    issue_id = f"repo-u{chance.randrange(10**9)}"
    home = stock.running.stores.identity.home
    workflow_id = f"lost-{chance.randrange(10**9)}"
    insert_issue(stock, issue_id, {"home": home, "workflow_id": workflow_id})
    undo = partial(close, stock, issue_id)
    return Injected("workflow_unknown", workflow_id, repairs=False, undo=undo)


def issue_is_copied(stock: Stock, chance: random.Random) -> Injected:
    issue_id = f"repo-c{chance.randrange(10**9)}"
    home, workflow_id = stock.running.stores.identity.home, stock.any_live(chance)
    insert_issue(stock, issue_id, {"home": home, "workflow_id": workflow_id})
    undo = partial(close, stock, issue_id)
    return Injected("issue_copied", workflow_id, repairs=False, undo=undo)


def close(stock: Stock, issue_id: str) -> None:
    closed = {"status": "closed", "closed_at": OLD, "close_reason": "x"}
    stock.edit(issue_id, lambda row: row.update(closed))


def foreign_issue(stock: Stock, chance: random.Random) -> Injected:
    """What is another home's is its own."""
    issue_id = f"repo-f{chance.randrange(10**9)}"
    insert_issue(stock, issue_id, {"home": "home-elsewhere", "workflow_id": "theirs-1"})
    return Injected(None, None)


def insert_issue(stock: Stock, issue_id: str, work: dict[str, str]) -> None:
    row = {
        "id": issue_id,
        "title": "another",
        "status": "in_progress",
        "priority": 2,
        "issue_type": "task",
        "created_at": OLD,
        "updated_at": OLD,
        "metadata": {"beadflow": work},
    }
    stock.run(
        "beads",
        "INSERT INTO issues (id, line, title, status, priority, issue_type, assignee, updated_us)"
        " VALUES (?, ?, 'another', 'in_progress', 2, 'task', '', 0)",
        issue_id,
        jsonl.encode_text(row),
    )


def assignment_is_lost(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice([*stock.assigned, *stock.working])
    stock.run("coordination", "DELETE FROM agent_assignments WHERE workflow_id = ?", workflow_id)
    return Injected("assignment_missing", workflow_id)


def assignment_of_the_ended_is_open(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.ended)
    stock.run(
        "coordination",
        "INSERT INTO agent_assignments (workflow_id, agent_type, agent_id, step_number, status,"
        " created_at) VALUES (?, 'clerk', 'clerk-1', 1, 'assigned', ?)",
        workflow_id,
        OLD,
    )
    return Injected("assignment_left", workflow_id)


def agent_is_gone(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.assigned)
    sql = """UPDATE agent_assignments SET agent_id = ?, status = 'assigned'
        WHERE workflow_id = ? AND status IN ('queued', 'assigned')"""
    stock.run("coordination", sql, GHOST, workflow_id)
    return Injected("agent_gone", workflow_id, sure=False)


def step_is_at_nobody(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.working)
    sql = "UPDATE tasks SET agent_id = ? WHERE workflow_id = ? AND state = 'running'"
    stock.run("tempolite", sql, GHOST, workflow_id)
    return Injected("task_lost", workflow_id)


def intent_is_open(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.active)
    issue_id = stock.issue_of(workflow_id)
    made = new_issue(issue_id=issue_id, title="T", created_at=OLD, created_by="beadflow")
    plan = start_plan("waits", workflow_id=workflow_id, issue_id=issue_id, issue=made)
    row = stock.run("tempolite", "SELECT * FROM instances WHERE workflow_id = ?", workflow_id)[0]
    assert row["status"] == "running"
    stock.run(
        "coordination",
        "INSERT INTO intents (id, workflow_id, kind, payload, created_at)"
        " VALUES (?, ?, 'start', ?, ?)",
        workflow_id,
        workflow_id,
        plan_to_text(plan),
        OLD,
    )
    return Injected("intent_open", workflow_id)


def claim_is_left(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.ended)
    at = "2026-01-01T00:00:00.000000Z"
    stock.run(
        "beads",
        "INSERT OR REPLACE INTO leases (issue_id, holder, home, token, request, claimed_at,"
        " expires_at) VALUES (?, 'ann', 'h', (SELECT coalesce(max(token), 0) FROM leases) - 1000,"
        " 'r', ?, ?)",
        stock.issue_of(workflow_id),
        at,
        at,
    )
    return Injected("lease_left", workflow_id)


def outbox_is_ahead(stock: Stock, chance: random.Random) -> Injected:
    sql = "UPDATE outbox_cursors SET position = position + 1000 WHERE source = ?"
    stock.run("coordination", sql, chance.choice(["tempolite", "beads"]))
    return Injected("outbox_ahead", None)


def feed_is_ahead(stock: Stock, chance: random.Random) -> Injected:
    del chance
    sql = "UPDATE cursors SET position = position + 100000 WHERE consumer = 'reconciler'"
    stock.run("beads", sql)
    return Injected("feed_ahead", None)


async def actor_is_gone(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.working)
    await stock.running.ask("workflow_instances", TerminateChild(id=workflow_id))
    return Injected("actor_missing", workflow_id)


def instance_is_lost(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = f"gone-{chance.randrange(10**9)}"
    issue_id = f"repo-g{chance.randrange(10**9)}"
    stock.run(
        "coordination",
        "INSERT INTO workflow_mappings (beads_issue_id, tempolite_workflow_id, workflow_type,"
        " workflow_version, title, status, priority, metadata, created_at, request_sha256)"
        " VALUES (?, ?, 't', 1, 'T', 'active', 2, '[1,{}]', ?, '')",
        issue_id,
        workflow_id,
        OLD,
    )

    def undo() -> None:
        sql = "DELETE FROM workflow_mappings WHERE tempolite_workflow_id = ?"
        stock.run("coordination", sql, workflow_id)

    return Injected("instance_missing", workflow_id, repairs=False, undo=undo)


def mapping_is_lost(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.ended)
    row = stock.run(
        "coordination",
        "SELECT * FROM workflow_mappings WHERE tempolite_workflow_id = ?",
        workflow_id,
    )[0]
    stock.run(
        "coordination", "DELETE FROM workflow_mappings WHERE tempolite_workflow_id = ?", workflow_id
    )

    def undo() -> None:
        marks = ", ".join("?" * len(row))
        names = ", ".join(row.keys())
        sql = f"INSERT INTO workflow_mappings ({names}) VALUES ({marks})"  # noqa: S608 - names of columns
        stock.run("coordination", sql, *tuple(row))

    return Injected("mapping_missing", workflow_id, repairs=False, undo=undo)


def results_of_nobody(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = f"nobody-{chance.randrange(10**9)}"
    stock.run(
        "coordination",
        "INSERT INTO workflow_results (workflow_id, step, result_type, result_data, created_at)"
        " VALUES (?, '1', 't', '[1,1]', ?)",
        workflow_id,
        OLD,
    )

    def undo() -> None:
        stock.run("coordination", "DELETE FROM workflow_results WHERE workflow_id = ?", workflow_id)

    return Injected("result_orphaned", workflow_id, repairs=False, undo=undo)


def child_has_a_mapping(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = chance.choice(stock.ended)
    sql = "UPDATE instances SET parent_id = ? WHERE workflow_id = ?"
    stock.run("tempolite", sql, "another", workflow_id)
    undo = partial(stock.run, "tempolite", sql, None, workflow_id)
    return Injected("child_mapped", workflow_id, repairs=False, undo=undo)


def issue_has_no_room(stock: Stock, chance: random.Random) -> Injected:
    """Its metadata is no object, so nothing can be said in it."""
    workflow_id = stock.any_live(chance)
    undo = _marked_otherwise(stock, workflow_id, "a text")
    return Injected("issue_elsewhere", workflow_id, repairs=False, undo=undo)


def issue_is_taken(stock: Stock, chance: random.Random) -> Injected:
    workflow_id = stock.any_live(chance)
    theirs = {"beadflow": {"home": "home-elsewhere", "workflow_id": "theirs-2"}}
    undo = _marked_otherwise(stock, workflow_id, theirs)
    return Injected("issue_taken", workflow_id, repairs=False, undo=undo)


def _marked_otherwise(stock: Stock, workflow_id: str, metadata: Any) -> Callable[[], None]:
    issue_id = stock.issue_of(workflow_id)
    before: list[Any] = []

    def mark(row: dict[str, Any]) -> None:
        before.append(row["metadata"])
        row["metadata"] = metadata

    stock.edit(issue_id, mark)
    return lambda: stock.edit(issue_id, lambda row: row.update(metadata=before[0]))


async def actor_is_left(stock: Stock, chance: random.Random) -> Injected:
    """A workflow, one more, ends, and its actor is not told."""
    del chance
    running = stock.running
    workflow_id = (await running.start("asks")).id
    await running.until(lambda seen: (STEP_STARTED, workflow_id) in kinds(seen))
    end = TerminateInstance(workflow_id=workflow_id, reason="", at=OLD)
    await persist(running.system.named("tempolite_writer"), end)
    return Injected("actor_left", workflow_id)


def kinds(seen: Sequence[LoggedFact]) -> set[tuple[str, str | None]]:
    return {(fact.type, fact.workflow_id) for fact in seen}


async def agent_knows_nothing(stock: Stock, chance: random.Random) -> Injected:
    """An agent gives up what everybody else believes that it does."""
    workflow_id = chance.choice(stock.working)
    sql = "SELECT op, fence, agent_id FROM tasks WHERE workflow_id = ? AND state = 'running'"
    op, fence, agent_id = stock.run("tempolite", sql, workflow_id)[0]
    agent = stock.running.system.named(f"agent/{agent_id}")
    agent.tell(CancelTask(workflow_id=workflow_id, op=op, fence=fence))
    known = (workflow_id, op, fence)
    while known in (await ask(agent, Introduce(), deadline_s=20.0)).running:
        await trio.sleep(0.001)
    return Injected("step_forgotten", workflow_id)


def file_is_gone(stock: Stock, chance: random.Random) -> Injected:
    """The publisher writes it again; nothing disagrees by then."""
    del chance
    (stock.running.world.repo / PUBLISHED).unlink(missing_ok=True)
    return Injected(None, None)


def ref_is_gone(stock: Stock, chance: random.Random) -> Injected:
    del chance
    command = ["git", "update-ref", "-d", "refs/beadflow/issues"]
    subprocess.run(command, cwd=stock.running.world.repo, check=False, capture_output=True)
    return Injected(None, None)


INJECTORS: tuple[Injector, ...] = (
    mapping_says_otherwise,
    mapping_has_ended,
    mapping_goes_on,
    mapping_has_another_title,
    issue_says_otherwise,
    issue_is_closed_without_a_trace,
    issue_of_the_ended_goes_on,
    label_is_wrong,
    issue_names_another_agent,
    issue_forgets_its_workflow,
    issue_is_lost,
    issue_of_an_unknown_workflow,
    issue_is_copied,
    foreign_issue,
    assignment_is_lost,
    assignment_of_the_ended_is_open,
    agent_is_gone,
    step_is_at_nobody,
    intent_is_open,
    claim_is_left,
    outbox_is_ahead,
    feed_is_ahead,
    actor_is_gone,
    instance_is_lost,
    mapping_is_lost,
    results_of_nobody,
    child_has_a_mapping,
    issue_has_no_room,
    issue_is_taken,
    actor_is_left,
    agent_knows_nothing,
    file_is_gone,
    ref_is_gone,
)
