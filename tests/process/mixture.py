"""Workflows of every kind, a life of the real tree that runs them, and what has to hold of them.

Every attempt of a step leaves a line in a file, with the life that made it: what really ran,
whatever was recorded of it.
"""

import json
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from actors.errors import Conflict
from actors.workflows import workflow as actor
from beadflow import (
    ActivityError,
    ActivityFailure,
    Agent,
    Context,
    RetryPolicy,
    Task,
    Transaction,
    activity,
    activity_info,
    workflow,
)
from storage import payload
from storage.home import DataDir
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused
from tests.support import engine
from tests.support.life import say
from tests.support.world import Running, running_system

UNANSWERED = (Refused, ActorDeadError, ActorRestarting, AskTimeout)
KINDS = ("letters", "family", "journey", "chapters")
LETTERS = ("a", "b", "c")
CLIENTS = 4
BRIEF_S = 0.05
AGAIN = RetryPolicy(attempts=3, initial_s=0.005)

_place: list[Path] = []
_life: list[int] = []


def attempts(root: Path) -> Path:
    return root / "attempts"


def _note(key: str, attempt: int, what: str) -> None:
    line = json.dumps([key, attempt, _life[0], what])
    handle = os.open(attempts(_place[0]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def _note_own(what: str) -> int:
    info = activity_info()
    _note(info.idempotency_key, info.attempt, what)
    return info.attempt


@activity(retry=AGAIN)
async def step(what: str) -> str:
    if _note_own(what) == 1 and what.endswith("2"):
        raise OSError("not at the first try")
    return what


@activity
def thought(what: str) -> str:
    _note_own(what)
    return what


@activity
async def book(what: str) -> str:
    if what == "car":
        raise ActivityFailure("sold_out", "no car is left", retryable=False)
    _note_own(f"book {what}")
    return what


@activity
async def release(what: str) -> None:
    _note_own(f"release {what}")


class Clerk(Agent):
    agent_type = "clerk"
    max_workload = 64

    @activity
    async def file(self, task: Task, what: str) -> str:
        _note(task.id, task.attempt, f"file {what}")
        return what


def enter(transaction: Transaction, given: dict[str, Any]) -> int:
    transaction.execute(
        "CREATE TABLE IF NOT EXISTS entered (workflow_id TEXT, line INTEGER) STRICT"
    )
    transaction.execute("INSERT INTO entered VALUES (?, ?)", (given["id"], given["line"]))
    return int(given["line"])


@workflow
async def letters(ctx: Context, variables: dict[str, Any]) -> dict[str, Any]:
    """Takes signals, with a transaction for each."""
    found = []
    for line, _ in enumerate(LETTERS):
        found.append(await ctx.signal("letter"))
        await ctx.tx(enter, {"id": ctx.workflow_id, "line": line})
    chosen = await ctx.select(never=ctx.signal("never"), late=ctx.sleep(0.01))
    return {"number": variables["number"], "summary": "over", "found": found, "chosen": chosen.name}


@workflow
async def member(ctx: Context, variables: dict[str, Any]) -> int:
    await ctx.sleep(0.01)
    await ctx.tx(enter, {"id": ctx.workflow_id, "line": 0})
    return int(variables["number"])


@workflow(agent_type="clerk")
async def family(ctx: Context, variables: dict[str, Any]) -> dict[str, Any]:
    """Has children, beside a timer that outlives a restart and an agent's step."""
    number = variables["number"]
    found = await ctx.gather(
        ctx.child(member, {"number": number}),
        ctx.child(member, {"number": number + 1}),
        ctx.activity(Clerk.file, "family"),
        ctx.sleep(2 * BRIEF_S),
    )
    return {"number": number, "summary": "over", "found": found[:2]}


@workflow
async def journey(ctx: Context, variables: dict[str, Any]) -> dict[str, Any]:
    """Books, fails for good, and gives everything back."""
    number = variables["number"]
    try:
        async with ctx.saga() as saga:
            for what in ("train", "hotel", "car"):
                await saga.step(book, what, undo=release)
    except ActivityError as error:
        return {"number": number, "summary": "over", "found": error.code}
    return {"number": number, "summary": "over", "found": "booked"}


@workflow(agent_type="clerk")
async def chapters(ctx: Context, variables: dict[str, Any]) -> dict[str, Any]:
    """Continues as new, with steps in process, in threads and by an agent."""
    number = variables["number"]
    chance = ctx.random().random()
    for what in ("1", "2"):
        await ctx.activity(step, f"{ctx.run}/{what}")
    await ctx.activity(thought, f"{ctx.run}/thought")
    await ctx.activity(Clerk.file, f"{ctx.run}/file")
    await ctx.tx(enter, {"id": ctx.workflow_id, "line": ctx.run})
    if ctx.run == 1:
        ctx.continue_as_new(variables)
    return {"number": number, "summary": "over", "found": ctx.run, "chance": 0.0 <= chance < 1.0}


WORKFLOWS = (letters, family, member, journey, chapters)
ENTERED = {"letters": [0, 1, 2], "member": [0], "chapters": [1, 2]}


def expected(kind: str, number: int) -> dict[str, Any]:
    match kind:
        case "letters":
            return {"number": number, "found": list(LETTERS), "chosen": "late"}
        case "family":
            return {"number": number, "found": [number, number + 1]}
        case "journey":
            return {"number": number, "found": "sold_out"}
        case "chapters":
            return {"number": number, "found": 2, "chance": True}
    raise ValueError(kind)


@dataclass(frozen=True, kw_only=True)
class Life:
    """What a process does until it is killed.

    Args:
        root: the directory to serve.
        number: names this life in the file of attempts.
        starts: workflows to start; without any it starts them for ever.
        settle: everything is brought to its end before the stop.
    """

    root: Path
    number: int
    starts: int = 1_000_000
    settle: bool = False

    def live(self) -> None:
        _place[:], _life[:] = [self.root], [self.number]
        actor.PARK_AFTER_S = BRIEF_S
        trio.run(self._run)

    async def _run(self) -> None:
        system = running_system(self.root, workflows=WORKFLOWS, agents=(Clerk,), poison=False)
        async with system as running:
            say(ready=self.number)
            numbers = iter(range(self.starts))
            async with trio.open_nursery() as nursery:
                for _ in range(CLIENTS):
                    nursery.start_soon(self._client, running, numbers)
            if self.settle:
                await self._settle(running)
            say(stopping=self.number)

    async def _client(self, running: Running, numbers: Iterator[int]) -> None:
        chance = random.Random()
        for number in numbers:
            kind = chance.choice(KINDS)
            try:
                record = await running.start(
                    kind, f"{kind} {number} of life {self.number}", variables={"number": number}
                )
            except UNANSWERED:
                await trio.sleep(0.01)
                continue
            issue = record.beads_issue_id
            say(started=record.id, issue=issue, title=record.title, number=number, kind=kind)
            if kind == "letters":
                await self._write(running, record.id)
            elif chance.random() < 0.5:
                (ended,) = await running.ended(record.id)
                say(ended=record.id, status=ended.status)

    async def _write(self, running: Running, workflow_id: str) -> None:
        """Send its signals, one after the other; each is said when it was acknowledged."""
        for letter in LETTERS:
            try:
                await engine.signal(running, workflow_id, "letter", letter, message_id=letter)
            except Conflict:
                return  # it has closed, with all it needs
            say(signalled=workflow_id, letter=letter)

    async def _settle(self, running: Running) -> None:
        rows = running.stores.coordination.inline.execute(
            "SELECT tempolite_workflow_id, workflow_type FROM workflow_mappings"
        ).fetchall()
        for workflow_id, kind in rows:
            if kind == "letters":
                await self._write(running, workflow_id)
        for record in await running.ended(*(row[0] for row in rows)):
            say(ended=record.id, status=record.status)


@dataclass
class Record:
    """What was acknowledged, what ran, and what is recorded, over the lives of one directory.

    Args:
        attempts: how many ran.
        again: how many of them because a kill had cut off the one before.
    """

    root: Path
    kinds: dict[str, tuple[str, int]] = field(default_factory=dict)
    signalled: set[tuple[str, str]] = field(default_factory=set)
    ended: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    again: int = 0
    _over: set[str] = field(default_factory=set)
    _read: int = 0

    def hear(self, text: bytes) -> None:
        for line in text.splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue  # cut off
            match said:
                case {"started": workflow_id, "kind": kind, "number": number}:
                    self.kinds[workflow_id] = kind, number
                case {"signalled": workflow_id, "letter": letter}:
                    self.signalled.add((workflow_id, letter))
                case {"ended": workflow_id}:
                    self.ended[workflow_id] += 1

    def losses(self, *, settled: bool) -> Iterator[str]:
        """What is not as it has to be, between two lives."""
        ran = self._ran()
        for (key, attempt, life, what), times in Counter(map(tuple, ran)).items():
            if times > 1:
                yield f"attempt {attempt} of {key} ({what}) ran {times} times in life {life}"
        for key, *_ in ran[self._read :]:
            if key in self._over:
                yield f"{key} ran again after its outcome was recorded"
        self._read = self.attempts = len(ran)
        self.again = len(ran) - len({(key, attempt) for key, attempt, *_ in ran})
        database = DataDir.resolve(self.root, self.root / ".beadflow").tempolite_db
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as tempolite:
            tempolite.row_factory = sqlite3.Row
            yield from self._recorded(tempolite)
            yield from self._signals(tempolite)
            yield from _entered(tempolite)
            if settled:
                yield from self._ended(tempolite, ran)

    def _ran(self) -> list[list[Any]]:
        path = attempts(self.root)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _recorded(self, tempolite: sqlite3.Connection) -> Iterator[str]:
        counted = tempolite.execute(
            "SELECT workflow_id, op, count(*) FROM history WHERE kind IN ("
            "'activity_completed', 'activity_failed', 'transaction_completed', 'timer_fired',"
            " 'signal_consumed', 'child_completed', 'branch_chosen', 'compensation_started')"
            " GROUP BY 1, 2"
        )
        self._over = set()
        for workflow_id, op, count in counted:
            self._over.add(f"{workflow_id}/{op}")
            if count > 1:
                yield f"{workflow_id}/{op} has {count} outcomes"

    def _signals(self, tempolite: sqlite3.Connection) -> Iterator[str]:
        inbox = Counter(tempolite.execute("SELECT workflow_id, message_id FROM inbox").fetchall())
        known = {tuple(row) for row in inbox}
        taken: dict[str, list[str]] = {}
        for workflow_id, text in tempolite.execute(
            "SELECT workflow_id, payload FROM history WHERE kind = 'signal_consumed' ORDER BY seq"
        ):
            taken.setdefault(workflow_id, []).append(payload.decode(text))
        for workflow_id, letter in self.signalled - known:
            if letter not in taken.get(workflow_id, []):
                yield f"{workflow_id}: signal {letter} was acknowledged and is nowhere"
        for workflow_id, found in taken.items():
            if found != list(LETTERS[: len(found)]):
                yield f"{workflow_id}: took {found}"

    def _ended(self, tempolite: sqlite3.Connection, ran: list[list[Any]]) -> Iterator[str]:
        ends = {
            row["workflow_id"]: row
            for row in tempolite.execute(
                "SELECT workflow_id, kind, payload, count(*) AS times FROM history WHERE kind IN"
                " ('workflow_completed', 'workflow_failed', 'workflow_cancelled',"
                " 'workflow_terminated', 'workflow_dead_lettered') GROUP BY workflow_id"
            )
        }
        for workflow_id, (kind, number) in self.kinds.items():
            end = ends.get(workflow_id)
            if end is None or (end["kind"], end["times"]) != ("workflow_completed", 1):
                yield f"{workflow_id} ended as {None if end is None else dict(end)}"
                continue
            found = payload.decode(end["payload"])["result"]
            if found != {**expected(kind, number), "summary": "over"}:
                yield f"{workflow_id} ended with {found}"
            if kind == "journey":
                yield from _way_back(workflow_id, ran)
        for workflow_id, name in tempolite.execute("SELECT workflow_id, name FROM instances"):
            sql = "SELECT line FROM entered WHERE workflow_id = ? ORDER BY rowid"
            lines = [row[0] for row in tempolite.execute(sql, (workflow_id,))]
            if lines != ENTERED.get(name, []):
                yield f"{workflow_id}: its transactions have entered {lines}"
        left = tempolite.execute("SELECT count(*) FROM tasks WHERE state <> 'consumed'")
        if count := left.fetchone()[0]:
            yield f"{count} tasks are left"


def _entered(tempolite: sqlite3.Connection) -> Iterator[str]:
    """What a transaction entered is there as often as its result is recorded."""
    if not tempolite.execute("SELECT 1 FROM sqlite_schema WHERE name = 'entered'").fetchall():
        return
    entered = dict(
        tempolite.execute("SELECT workflow_id, count(*) FROM entered GROUP BY 1").fetchall()
    )
    recorded = dict(
        tempolite.execute(
            "SELECT workflow_id, count(*) FROM history WHERE kind = 'transaction_completed'"
            " GROUP BY 1"
        ).fetchall()
    )
    if entered != recorded:
        odd = {key for key in entered | recorded if entered.get(key) != recorded.get(key)}
        yield f"what was entered is not what was recorded of {odd}"


def _way_back(workflow_id: str, ran: list[list[Any]]) -> Iterator[str]:
    """Each step once more at most for each life, and the way back in order."""
    steps: list[str] = []
    for key, _, _, what in ran:
        if key.startswith(f"{workflow_id}/") and what not in steps:
            steps.append(what)
    if steps != ["book train", "book hotel", "release hotel", "release train"]:
        yield f"{workflow_id}: did {steps}"
