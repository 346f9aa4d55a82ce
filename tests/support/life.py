"""Lives of the real tree in a process of their own, which a test may trace, starve or kill.

What was acknowledged is said on standard output, one line of JSON each, right after the answer came
and by one system call: whoever traces the process sees it in its place among the writes and syncs.
`tests.support.ledger` reads these lines and holds the stores to them.

    python -m tests.support.life '{"repo": "/a/directory", "lives": 2, "starts": 20}'
"""

import gc
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from actors.coordination.messages import ListWorkflows, ReadEvents
from actors.coordination.results.messages import ListResults
from actors.issues.messages import Flush, GetIssue
from actors.workflows.definition import activity_of
from storage import database
from storage.errors import StorageError
from supervision import ActorDeadError, ActorRestarted, ActorRestarting, AskTimeout, Refused
from tests.support.noted import Clerk, count, noted
from tests.support.world import Running, running_system


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a process does.

    Args:
        repo: the directory to serve; without Git, so that nothing but the process itself writes.
        lives: how often the tree is started and stopped.
        starts: workflows to start in each life, as fast as `clients` of them are answered.
        load_s: start workflows for so many seconds instead.
        pragmas: applied to each writing connection after our own.
        settle: whether all workflows are waited for and the file is flushed before the stop.
        abandon: end the process in the middle of the last life, as kill -9 does.
        patience_s: how long work may take before the stop comes all the same.
        look: read all that is stored before anything is started.
        damaged: whether something else has changed the databases.
        unsynced_file: publish without any sync, to show that this is noticed.
    """

    repo: str
    lives: int = 1
    starts: int = 20
    load_s: float = 0.0
    clients: int = 4
    pragmas: tuple[str, ...] = ()
    settle: bool = True
    abandon: bool = False
    patience_s: float = 60.0
    look: bool = False
    damaged: bool = False
    unsynced_file: bool = False


UNANSWERED = (Refused, ActorDeadError, ActorRestarting, AskTimeout)
UNREAD = (*UNANSWERED, StorageError)
WORKFLOWS = (noted,)
AGENTS = (Clerk,)


def say(**facts: object) -> None:
    os.write(1, json.dumps(facts).encode() + b"\n")


def apply(plan: Plan) -> None:
    """Sets what a plan changes in this process."""
    pragmas = (*database._WRITER_PRAGMAS, *plan.pragmas)
    database._WRITER_PRAGMAS = pragmas  # type: ignore[assignment]
    if plan.unsynced_file:
        os.fsync = lambda fd: None


def warm() -> None:
    """Has everything ready that a process makes once, before it forks lives."""
    for function in (count, Clerk.note):
        definition = activity_of(function)
        assert definition is not None
        _ = definition.input, definition.output
    gc.collect()
    gc.freeze()


async def live(plan: Plan, life: int = 0) -> None:
    """One life: from the lock to the end of an orderly stop, also of a system that gave up."""
    async with running_system(
        Path(plan.repo),
        workflows=WORKFLOWS,
        agents=AGENTS,
        poison=False,
        facts_checked=not plan.damaged,
    ) as running:
        say(ready=life)
        async with trio.open_nursery() as watched:
            watched.start_soon(_watch, running, watched.cancel_scope)
            with trio.move_on_after(plan.patience_s):
                await _work(running, plan, life)
            watched.cancel_scope.cancel()
        if plan.abandon and life == plan.lives - 1:
            os._exit(0)
        say(stopping=life)
    crashes = Counter(e.path for e in running.events if isinstance(e, ActorRestarted))
    say(stopped=life, restarts=max(crashes.values(), default=0))


async def _watch(running: Running, scope: trio.CancelScope) -> None:
    reason = await running.system.wait()
    say(gave_up=str(reason))
    scope.cancel()


async def _work(running: Running, plan: Plan, life: int) -> None:
    if plan.look:
        await _look(running)
    numbers = iter(range(1_000_000 if plan.load_s else plan.starts))
    with trio.move_on_after(plan.load_s or 60.0):
        async with trio.open_nursery() as nursery:
            for _ in range(plan.clients):
                nursery.start_soon(_client, running, life, numbers)
    if plan.settle and not plan.abandon:
        await _settle(running)


async def _look(running: Running) -> None:
    """Says what the system shows of each workflow, or why it does not."""
    try:
        page = await running.ask("manager", ListWorkflows(limit=200))
    except UNREAD as error:
        say(unread="workflows", why=str(error))
        return
    for record in page.records:
        try:
            issue = await running.ask("tracker", GetIssue(issue_id=record.beads_issue_id))
            found = await running.ask("results", ListResults(workflow_id=record.id))
            await running.ask("manager", ReadEvents(workflow_id=record.id))
        except UNREAD as error:
            say(unread=record.id, why=str(error))
            continue
        output = next((r.result_data for r in found.records if r.step == "output"), None)
        say(looked=record.id, issue=issue.id, title=issue.title, output=output)


async def _client(running: Running, life: int, numbers: Any) -> None:
    for number in numbers:
        try:
            record = await running.start(
                "noted", f"number {number} of life {life}", variables={"number": number}
            )
        except UNANSWERED as error:
            say(refused=type(error).__name__, number=number)
            await trio.sleep(0.01)
            continue
        say(started=record.id, issue=record.beads_issue_id, title=record.title, number=number)
        if number % 8 == 0:
            await _flush(running)


async def _flush(running: Running) -> None:
    try:
        done = await running.ask("publisher", Flush())
    except UNANSWERED as error:
        say(refused=type(error).__name__)
    else:
        say(flushed=done.seq, sha256=done.sha256)


async def _settle(running: Running) -> None:
    """What the log says has been committed: whoever reads it was told so."""
    rows = running.stores.coordination.inline.execute(
        "SELECT tempolite_workflow_id FROM workflow_mappings"
    )
    known = [row[0] for row in rows]
    try:
        for record in await running.ended(*known):
            say(ended=record.id, status=record.status)
    except trio.TooSlowError:
        say(refused="TooSlowError")  # what cannot be written never ends
    await _flush(running)


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    apply(plan)
    for life in range(plan.lives):
        trio.run(live, plan, life)


if __name__ == "__main__":
    main()
