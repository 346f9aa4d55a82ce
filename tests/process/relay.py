"""Workflows that agents hand on, what is done to them, and what has to hold of them afterwards.

For the suites that kill between the commits of a start, a cancellation, a handoff and an end.
"""

import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from actors.bus import NO_END, logged_fact
from actors.coordination.assignment_messages import HandOff
from actors.coordination.messages import CancelWorkflow, SignalWorkflow, StartWorkflow
from actors.coordination.reconciler import CONSUMER, changes_for
from actors.errors import Conflict
from actors.workflows import workflow as actor
from beadflow import Agent, Context, Task, activity, workflow
from storage import payload
from storage.coordination.queries import EVENTS, mapping
from storage.home import DataDir
from storage.invariants import broken
from storage.issues.file import PUBLISHED
from storage.issues.queries import cursor
from storage.snapshot import snapshot
from tests.support.world import Running, running_system

BRIEF_S: Final = 0.05
SETTLE_S: Final = 60.0
ENDED: Final = frozenset({"completed", "failed", "cancelled", "terminated", "dead_letter"})
STATUS_OF_ISSUE: Final = {
    "queued": "open",
    "active": "in_progress",
    "paused": "in_progress",
    "stalled": "blocked",
    "dead_letter": "blocked",
    "completed": "closed",
    "failed": "closed",
    "cancelled": "closed",
    "terminated": "closed",
}
HANDED_OVER: Final = {"depth": 3}


class Digger(Agent):
    agent_type = "digger"
    max_workload = 64

    @activity
    async def dig(self, task: Task) -> str:
        return self.agent_id


class Painter(Agent):
    agent_type = "painter"
    max_workload = 64

    @activity
    async def paint(self, task: Task) -> str:
        return self.agent_id


@workflow(agent_type="digger", agents=("painter",))
async def relay(ctx: Context) -> dict[str, Any]:
    """Waits until it may go on, with whichever agent it was handed to."""
    await ctx.signal("go")
    return {"by": await ctx.activity(Digger.dig), "summary": "over"}


@workflow(agent_type="digger")
async def passed(ctx: Context) -> dict[str, Any]:
    """Goes by itself from an agent of one type to one of another."""
    await ctx.signal("go")
    return {"by": await ctx.activity(Painter.paint), "summary": "over"}


def running(root: Path) -> Any:
    """A life of the real tree on a repository."""
    actor.PARK_AFTER_S = BRIEF_S
    return running_system(
        root,
        workflows=(relay, passed),
        agents=(Digger, Digger, Painter, Painter),
        poison=False,
    )


DEEDS: Final = ("start", "cancel", "handoff", "complete", "pass")
"""What is done to a workflow; each is one request that may be repeated."""


async def prepare(living: Running, deed: str) -> None:
    """Have everything as it is before the deed."""
    if deed != "start":
        kind = "passed" if deed == "pass" else "relay"
        await living.start(kind, "T", workflow_id="w-1")
    await quiet(living)


async def do(living: Running, deed: str) -> None:
    """The request, as a client sends it: the same one again when it was not answered."""
    match deed:
        case "start":
            message: Any = StartWorkflow(
                title="T", workflow_type="relay", workflow_id="w-1", idempotency_key="start"
            )
        case "cancel":
            message = CancelWorkflow(workflow_id="w-1", reason="enough")
        case "handoff":
            message = HandOff(
                workflow_id="w-1",
                from_agent="digger-1",
                to_agent="painter-1",
                reason="all dug",
                payload=HANDED_OVER,
                idempotency_key="handoff",
            )
        case _:
            message = SignalWorkflow(workflow_id="w-1", name="go", message_id="go")
    await living.ask("manager", message)
    await reached(living, "w-1", EXPECTED[deed].status)
    await quiet(living)


async def reached(living: Running, workflow_id: str, status: str) -> None:
    """Wait until the log says so; what was acknowledged is shown before."""
    with trio.fail_after(SETTLE_S):
        while True:
            row = mapping(living.stores.coordination.inline, workflow_id)
            found = (None, None) if row is None else (row["status"], row["started_at"])
            if found[0] == status and (found[1] or status != "active"):
                return
            await trio.sleep(0.005)


async def quiet(living: Running) -> None:
    """Wait until nothing that was decided is left to be made, and the issues have followed."""
    with trio.fail_after(SETTLE_S):
        while not _is_quiet(living):
            await trio.sleep(0.005)


def _is_quiet(living: Running) -> bool:
    coordination, beads = living.stores.coordination.inline, living.stores.beads.inline
    if coordination.execute("SELECT 1 FROM intents").fetchone():
        return False
    rows = coordination.execute(EVENTS, (0, NO_END, -1)).fetchall()
    logged = (logged_fact(row) for row in reversed(rows) if row["issue_id"] is not None)
    last = next((fact.seq for fact in logged if changes_for(fact)), 0)
    return cursor(beads, CONSUMER) >= last


# --- what has to hold


def contradictions(root: Path) -> list[str]:
    """In which the rows of the three databases contradict each other, at any moment."""
    with snapshot(DataDir.resolve(root).path) as held:
        return [f"{f.database}.{f.table} {f.place}: {f.what}" for f in broken(held)]


def unsettled(root: Path) -> list[str]:
    """What does not agree although the last life was stopped in order."""
    data = DataDir.resolve(root)
    with (
        closing(opened(data.coordination_db)) as coordination,
        closing(opened(data.beads_db)) as beads,
    ):
        lines = {row["id"]: row["line"] for row in beads.execute("SELECT id, line FROM issues")}
        found = [
            *(
                f"intent {row['id']} is open"
                for row in coordination.execute("SELECT id FROM intents")
            ),
            *_issues(coordination, {key: json.loads(line) for key, line in lines.items()}),
            *_handoffs(coordination, {key: json.loads(line) for key, line in lines.items()}),
        ]
    return [*found, *_files(root, lines)]


def _issues(coordination: sqlite3.Connection, issues: dict[str, Any]) -> Iterator[str]:
    """Each workflow has its issue, which says what became of it, and who has it."""
    mappings = coordination.execute("SELECT * FROM workflow_mappings").fetchall()
    if len(issues) != len(mappings):
        yield f"there are {len(mappings)} workflows and {len(issues)} issues"
    for row in mappings:
        workflow_id = row["tempolite_workflow_id"]
        issue = issues.get(row["beads_issue_id"])
        if issue is None:
            yield f"{workflow_id} has no issue"
            continue
        if issue["status"] != STATUS_OF_ISSUE[row["status"]]:
            yield f"{workflow_id} is {row['status']}, its issue is {issue['status']}"
        last = coordination.execute(
            "SELECT agent_id FROM agent_assignments WHERE workflow_id = ? ORDER BY id DESC LIMIT 1",
            (workflow_id,),
        ).fetchone()
        said = issue["metadata"]["beadflow"].get("agent_id")
        if last is not None and said != last["agent_id"]:
            yield f"{workflow_id} is with {last['agent_id']}, its issue says {said}"


def _handoffs(coordination: sqlite3.Connection, issues: dict[str, Any]) -> Iterator[str]:
    """Each handoff is one assignment, one event, one comment and one result."""
    sql = "SELECT workflow_id, issue_id, data FROM events WHERE type = 'agent_handoff'"
    events = [(row[0], row[1], payload.decode(row[2])) for row in coordination.execute(sql)]
    logged = Counter((workflow_id, data["assignment_id"]) for workflow_id, _, data in events)
    sql = "SELECT workflow_id, id FROM agent_assignments WHERE step_number > 1 AND NOT EXISTS"
    sql += " (SELECT 1 FROM agent_assignments b WHERE b.workflow_id = a.workflow_id AND b.id < a.id"
    sql += " AND b.step_number = a.step_number)"
    made = Counter(
        tuple(row)
        for row in coordination.execute(
            sql.replace("agent_assignments WHERE", "agent_assignments a WHERE", 1)
        )
    )
    if logged != made:
        yield f"handoffs were logged as {logged}, and made as {made}"
    comments = Counter(
        (issue_id, comment["text"])
        for issue_id, issue in issues.items()
        for comment in issue.get("comments", ())
        if comment["text"].startswith("Handoff from ")
    )
    expected = Counter(
        (
            issue_id,
            f"Handoff from {data['from_agent']} to "
            + (data["to_agent"] or f"the next free agent of type {data['to_type']}")
            + (f"\n\n{data['reason']}" if data["reason"] else ""),
        )
        for _, issue_id, data in events
    )
    if comments != expected:
        yield f"the comments are {comments - expected} too many, {expected - comments} too few"


def _files(root: Path, lines: dict[str, str]) -> Iterator[str]:
    """The published file, the ref of it in Git, and the database say the same."""
    text = (root / PUBLISHED).read_text() if (root / PUBLISHED).exists() else ""
    published = {json.loads(line)["id"]: json.loads(line) for line in text.splitlines()}
    if published != {key: json.loads(line) for key, line in lines.items()}:
        yield "the published file is not what the database says"
    show = ["git", "show", "refs/beadflow/issues:issues.jsonl"]
    recorded = subprocess.run(show, cwd=root, capture_output=True, text=True, check=False)
    if recorded.stdout != text:
        yield f"Git has other issues than the file: {recorded.stderr}"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a deed leaves, whatever was killed on its way.

    Args:
        agents: of the assignments of the workflow, with their steps, in order.
        signals: names of those that it was given.
        results: types of those that are stored.
        comments: how many stand on its issue.
    """

    status: str
    agents: tuple[tuple[str, int], ...] = (("digger-1", 1),)
    signals: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    comments: int = 0


EXPECTED: Final = {
    "start": Expected(status="active"),
    "cancel": Expected(status="cancelled", comments=1),
    "handoff": Expected(
        status="active",
        agents=(("digger-1", 1), ("painter-1", 2)),
        signals=("agent_handoff",),
        results=("handoff",),
        comments=1,
    ),
    "complete": Expected(
        status="completed", signals=("go",), results=("dig", "output"), comments=1
    ),
    "pass": Expected(
        status="completed",
        agents=(("digger-1", 1), ("painter-1", 2)),
        signals=("agent_handoff", "go"),
        results=("output", "paint"),
        comments=2,
    ),
}


def undone(root: Path, deed: str) -> list[str]:
    """In what the stores differ from what the deed leaves."""
    data, expected = DataDir.resolve(root), EXPECTED[deed]
    with (
        closing(opened(data.coordination_db)) as coordination,
        closing(opened(data.tempolite_db)) as tempolite,
        closing(opened(data.beads_db)) as beads,
    ):
        statuses = _column(coordination, "SELECT status FROM workflow_mappings")
        sql = "SELECT agent_id, step_number FROM agent_assignments ORDER BY id"
        agents = tuple(tuple(row) for row in coordination.execute(sql))
        signals = tuple(sorted(_column(tempolite, "SELECT name FROM inbox")))
        results = tuple(sorted(_column(coordination, "SELECT result_type FROM workflow_results")))
        issues = [json.loads(line) for line in _column(beads, "SELECT line FROM issues")]
    comments = sum(len(issue.get("comments", ())) for issue in issues)
    found = Expected(
        status=",".join(statuses),
        agents=agents,
        signals=signals,
        results=results,
        comments=comments,
    )
    return [] if found == expected else [f"it left {found}"]


def _column(database: sqlite3.Connection, sql: str) -> list[Any]:
    return [row[0] for row in database.execute(sql)]


def opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


async def repeated(living: Running, deed: str) -> None:
    """What a client does whose request was cut off: the same again."""
    try:
        await do(living, deed)
    except Conflict as error:
        if error.code != "workflow_closed":
            raise
        await quiet(living)
