"""A pass finds what the stores disagree about, repairs or reports it, and leaves nothing to do."""

import inspect
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.coordination import intents
from actors.coordination.messages import PauseWorkflow
from actors.coordination.reconciling.messages import (
    REPAIRED,
    CompleteAssignment,
    Divergence,
    DropLease,
    FollowEngine,
    FollowIssue,
    LogReconciled,
    QueueAssignment,
    Reconcile,
    Report,
    SetBackFeed,
    SetBackOutbox,
)
from actors.facts import STATE_RECONCILED
from beadflow import Agent, Context, Task, activity, workflow
from storage.invariants import broken
from storage.snapshot import snapshot
from tests.actors.coordination.test_hands import when
from tests.actors.test_tree import Losses
from tests.support import divergences
from tests.support.divergences import INJECTORS, Injected, Injector, Stock
from tests.support.faults import until
from tests.support.world import Running, running_system

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

DIVERGENCES = int(os.environ.get("BEADFLOW_DIVERGENCES", "200"))
LIFE = 40
"""Divergences in one life of the system."""


class Clerk(Agent):
    """Has room for everything, and never ends what it begins."""

    agent_type = "clerk"
    max_workload = 1000

    @activity
    async def think(self, task: Task) -> str:
        await trio.sleep_forever()
        raise AssertionError


@workflow
async def waits(ctx: Context) -> str:
    return str(await ctx.signal("go"))


@workflow(agent_type="clerk")
async def idles(ctx: Context) -> str:
    return str(await ctx.signal("go"))


@workflow(agent_type="clerk")
async def asks(ctx: Context) -> str:
    return await ctx.activity(Clerk.think)


@workflow
async def ends(ctx: Context) -> int:
    return 1


@workflow
async def fails(ctx: Context) -> int:
    raise ValueError("no")


ALL = [waits, idles, asks, ends, fails]


@pytest.fixture(autouse=True)
def _intents_are_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intents, "RETRY_S", 0.01)


@asynccontextmanager
async def stocked(repo: Path, number: int = 2) -> AsyncIterator[Stock]:
    """A system in which workflows are in every state."""
    async with running_system(repo, workflows=ALL, agents=[Clerk]) as running:
        stock = Stock(running)
        for _ in range(number):
            stock.active.append((await running.start("waits")).id)
            stock.assigned.append((await running.start("idles")).id)
            stock.working.append((await running.start("asks")).id)
            stock.paused.append((await running.start("waits")).id)
            stock.ended += [(await running.start(kind)).id for kind in ("ends", "fails")]
        for workflow_id in stock.paused:
            await running.ask("manager", PauseWorkflow(workflow_id=workflow_id))
        await running.ended(*stock.ended)
        for workflow_id in (*stock.active, *stock.assigned, *stock.working):
            await when(running, workflow_id, "in_progress")
        await running.until(lambda seen: sum(f.type == "step_started" for f in seen) == number)
        first = await reconcile(running)
        assert first.found == ()
        yield stock


async def reconcile(running: Running, **given: Any) -> Report:
    report: Report = await running.ask("reconciler", Reconcile(**given), deadline_s=60.0)
    return report


async def inject(stock: Stock, injector: Injector, chance: random.Random) -> Injected:
    done = injector(stock, chance)
    injected: Injected = await done if inspect.isawaitable(done) else done
    return injected


def found_in(report: Report, injected: Injected) -> list[Divergence]:
    return [
        one
        for one in report.found
        if (one.code, one.workflow_id) == (injected.code, injected.workflow_id)
    ]


def contradictions(stock: Stock) -> list[str]:
    with snapshot(stock.running.world.data.path) as held:
        return [f"{one.place}: {one.what}" for one in broken(held)]


def foreign(stock: Stock) -> list[Any]:
    sql = "SELECT * FROM issues WHERE line LIKE '%home-elsewhere%' ORDER BY id"
    return [tuple(row) for row in stock.run("beads", sql)]


def check(report: Report, second: Report, injected: Sequence[Injected]) -> None:
    """What a pass has to have found, and the one after it."""
    for one in injected:
        if one.code is not None and (one.sure or found_in(report, one)):
            (divergence,) = found_in(report, one)
            assert (divergence.done == REPAIRED) is one.repairs, divergence
    told = {(one.code, one.workflow_id) for one in injected if not one.repairs}
    assert {(one.code, one.workflow_id) for one in second.found} == told, second.found


@pytest.mark.parametrize("injector", INJECTORS, ids=lambda found: found.__name__)
async def test_what_is_wrong_is_found_once_and_dealt_with(repo: Path, injector: Injector) -> None:
    async with stocked(repo, 1) as stock:
        injected = await inject(stock, injector, random.Random(1))
        theirs = foreign(stock)
        report = await reconcile(stock.running)
        check(report, await reconcile(stock.running), [injected])
        assert foreign(stock) == theirs
        injected.undo()
        assert contradictions(stock) == []
        assert (await reconcile(stock.running)).found == ()


@pytest.mark.parametrize("life", range(-(-DIVERGENCES // LIFE)))
async def test_whatever_is_wrong_at_once_is_dealt_with_in_one_pass(repo: Path, life: int) -> None:
    """Up to eight ways at once, on workflows of their own; a second pass finds nothing to do."""
    number, seed = 0, life * LIFE
    async with stocked(repo, 5) as stock:
        while number < LIFE:
            number += await _survive(stock, seed + number)


async def _survive(stock: Stock, seed: int) -> int:
    chance = random.Random(seed)
    chosen = chance.sample(INJECTORS, chance.choice([1, 2, 3, 5, 8]))
    injected: list[Injected] = []
    for injector in chosen:
        rest = stock.without([one.workflow_id for one in injected])
        injected.append(await inject(rest, injector, chance))
    theirs = foreign(stock)
    report, second = await reconcile(stock.running), await reconcile(stock.running)
    try:
        check(report, second, injected)
        assert foreign(stock) == theirs
        for one in injected:
            one.undo()
        assert contradictions(stock) == []
    except (AssertionError, ValueError) as error:
        names = [injector.__name__ for injector in chosen]
        raise AssertionError(f"seed {seed}: {names}: {error}; {report.found}") from error
    return len(injected)


class Single(Agent):
    """Has room for one workflow."""

    agent_type = "single"
    max_workload = 1


@workflow(agent_type="single")
async def takes_all(ctx: Context) -> str:
    return str(await ctx.signal("go"))


async def test_a_workflow_whose_agent_nobody_told_the_engine_of_runs(repo: Path) -> None:
    async with running_system(repo, workflows=[takes_all], agents=[Single]) as running:
        await running.start("takes_all")
        waiting = (await running.start("takes_all")).id
        stock = Stock(running)
        await when(running, waiting, "open")
        stock.run(
            "coordination",
            "UPDATE agent_assignments SET agent_id = 'single-1', status = 'assigned',"
            " assigned_at = ? WHERE workflow_id = ?",
            divergences.OLD,
            waiting,
        )
        report = await reconcile(running)
        assert {(one.code, one.workflow_id, one.done) for one in report.found} == {
            ("not_activated", waiting, REPAIRED),
            ("issue_behind", waiting, REPAIRED),  # it does not say whose it is
        }
        await when(running, waiting, "in_progress")
        assert (await reconcile(running)).found == ()
        assert contradictions(stock) == []


async def test_a_step_that_its_agent_does_not_know_of_is_given_out_with_the_next_fence(
    repo: Path,
) -> None:
    async with stocked(repo, 1) as stock:
        await inject(stock, divergences.agent_knows_nothing, random.Random(1))
        (workflow_id,) = stock.working
        sql = "SELECT fence, state, agent_id FROM tasks WHERE workflow_id = ?"
        before = tuple(stock.run("tempolite", sql, workflow_id)[0])
        await reconcile(stock.running)
        fence, state, agent_id = before
        again = (fence + 1, state, agent_id)
        await until(lambda: tuple(stock.run("tempolite", sql, workflow_id)[0]) == again)


async def test_an_issue_that_names_another_workflow_of_ours_is_told_of_for_both(
    repo: Path,
) -> None:
    async with stocked(repo, 1) as stock:
        (mine,), (other,) = stock.active, stock.assigned

        def says(workflow_id: str) -> None:
            def edit(row: dict[str, Any]) -> None:
                row["metadata"]["beadflow"]["workflow_id"] = workflow_id

            stock.edit(stock.issue_of(mine), edit)

        says(other)
        for _ in range(2):
            found = (await reconcile(stock.running)).found
            assert {(one.code, one.workflow_id, one.done) for one in found} == {
                ("issue_elsewhere", mine, "reported"),
                ("issue_copied", other, "reported"),
            }
        says(mine)
        assert (await reconcile(stock.running)).found == ()


LOST = {
    FollowEngine: divergences.mapping_has_ended,
    FollowIssue: divergences.mapping_has_another_title,
    QueueAssignment: divergences.assignment_is_lost,
    CompleteAssignment: divergences.assignment_of_the_ended_is_open,
    SetBackOutbox: divergences.outbox_is_ahead,
    SetBackFeed: divergences.feed_is_ahead,
    DropLease: divergences.claim_is_left,
    LogReconciled: divergences.mapping_has_ended,
}


@pytest.mark.parametrize("lost", LOST, ids=lambda kind: kind.__name__)
async def test_an_answer_that_is_lost_after_its_commit_changes_nothing_of_a_repair(
    repo: Path, monkeypatch: pytest.MonkeyPatch, lost: type
) -> None:
    async with stocked(repo, 1) as stock:
        losses = Losses(monkeypatch, lambda command: isinstance(command, lost))
        injected = await inject(stock, LOST[lost], random.Random(1))
        report = await reconcile(stock.running)
        await losses.check(stock.running)
        check(report, await reconcile(stock.running), [injected])
        told = [fact for fact in stock.running.log() if fact.type == STATE_RECONCILED]
        assert len(told) == 1


async def test_a_pass_that_may_not_repair_only_tells(repo: Path) -> None:
    async with stocked(repo, 1) as stock:
        injected = await inject(stock, divergences.mapping_has_ended, random.Random(1))
        told = await reconcile(stock.running, repair=False)
        assert [one.done for one in found_in(told, injected)] == ["reported"]
        done = await reconcile(stock.running)
        assert [one.done for one in found_in(done, injected)] == [REPAIRED]


async def test_the_smaller_pass_looks_at_what_is_live_or_has_changed_since(repo: Path) -> None:
    async with stocked(repo, 2) as stock:
        assert (await reconcile(stock.running)).looked_at == 12
        await reconcile(stock.running, complete=False)
        await until(lambda: bool(noted(stock)))
        assert (await reconcile(stock.running, complete=False)).looked_at == 8
        injected = await inject(stock, divergences.mapping_has_ended, random.Random(1))
        found = await reconcile(stock.running, complete=False)
        assert [one.done for one in found_in(found, injected)] == [REPAIRED]


def noted(stock: Stock) -> list[Any]:
    sql = "SELECT 1 FROM outbox_cursors WHERE source = 'reconciled_events' AND position > 0"
    return stock.run("coordination", sql)


async def test_what_is_only_reported_is_told_once(repo: Path) -> None:
    async with stocked(repo, 1) as stock:
        await inject(stock, divergences.results_of_nobody, random.Random(1))
        for _ in range(3):
            await reconcile(stock.running)
        await stock.running.until(lambda seen: any(f.type == STATE_RECONCILED for f in seen))
        told = [fact for fact in stock.running.log() if fact.type == STATE_RECONCILED]
        assert [fact.data["codes"] for fact in told] == [["result_orphaned"]]


async def test_a_system_makes_a_pass_when_it_has_started(repo: Path) -> None:
    async with stocked(repo, 1) as stock:
        injected = await inject(stock, divergences.mapping_has_ended, random.Random(1))
    workflows, agents = ALL, [Clerk]
    async with running_system(
        repo, workflows=workflows, agents=agents, reconcile_s=1000.0
    ) as running:
        await running.until(lambda seen: any(f.type == STATE_RECONCILED for f in seen))
        stock.running = running
        sql = "SELECT status FROM workflow_mappings WHERE tempolite_workflow_id = ?"
        row = stock.run("coordination", sql, injected.workflow_id)[0]
        assert row["status"] != "completed"
