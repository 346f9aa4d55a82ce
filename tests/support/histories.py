"""Golden histories: what workflows of a released version have recorded, as exported documents.

`python -m tests.support.histories` makes those that are not there yet, by running the workflows. A
file that is there is never made again: it stands for the workflows that users have in flight, and
the engine of today has to take it up. One small workflow for each thing that a workflow can do, and
the built-in one.
"""

import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import trio
from pydantic import BaseModel

from actors.agents.research.agent import ResearchAgent
from actors.agents.research.workflow import research
from actors.facts import GATE_OPENED, LoggedFact
from actors.issues.verbs import AnswerGate
from actors.workflows import document
from actors.workflows.definition import Definitions
from actors.workflows.history import Kind
from beadflow import (
    ActivityError,
    ActivityFailure,
    CancelledError,
    ChildError,
    Context,
    RetryPolicy,
    activity,
    activity_info,
    workflow,
)
from tests.actors.agents.research.index import LocalIndex, metadata, served
from tests.support import engine
from tests.support.world import Running, git_repository, running_system

GOLDEN = Path(__file__).resolve().parent.parent / "actors" / "workflows" / "golden"
INDEX = "https://index.example"


class Order(BaseModel):
    item: str
    count: int = 1


class Receipt(BaseModel):
    text: str
    paid_by: str


class Countdown(BaseModel):
    left: int


@activity
async def describe(order: Order) -> str:
    return f"{order.count} x {order.item}"


@activity(retry=RetryPolicy(attempts=3, initial_s=0.0))
def unreliable(text: str) -> str:
    if activity_info().attempt < 3:
        raise OSError("not yet")
    return text.upper()


@activity
async def refuse(text: str) -> str:
    raise ActivityFailure("refused", text, retryable=False)


@activity
async def book(what: str) -> str:
    return f"booked {what}"


@activity
async def unbook(booked: str) -> None:
    del booked


@activity
async def endless() -> None:
    await trio.sleep_forever()


@workflow
async def golden_activities(ctx: Context, order: Order) -> Receipt:
    """Activities: with a model, tried again, and failed for good."""
    text = await ctx.activity(describe, order)
    paid = await ctx.activity(unreliable, text)
    try:
        await ctx.activity(refuse, "no discount")
    except ActivityError as error:
        paid = f"{paid} ({error.code})"
    return Receipt(text=text, paid_by=paid)


@workflow
async def golden_gather(ctx: Context) -> list[Any]:
    """Branches of several steps at once, and branches within branches."""

    async def two(name: str) -> list[str]:
        first = await ctx.activity(book, name)
        return [first, *await ctx.gather(ctx.activity(book, f"{name}1"), ctx.activity(book, "x"))]

    return [*await ctx.gather(two("a"), two("b"), ctx.activity(unreliable, "c"))]


@workflow
async def golden_first(ctx: Context) -> list[Any]:
    """The first of several, twice: losers end where they are, with what they had done."""
    seen: list[str] = []

    async def slow() -> None:
        seen.append(await ctx.activity(book, "slow"))
        await ctx.activity(endless)

    index, _ = await ctx.first(slow(), ctx.signal("quick"))
    chosen = await ctx.select(late=ctx.sleep(1000), answer=ctx.signal("answer"))
    return [index, chosen.name, chosen.value, seen]


@workflow
async def golden_signals(ctx: Context) -> list[Any]:
    """Signals of two names, one typed."""
    first = await ctx.signal("order", Order)
    return [first.count, await ctx.signal("note"), await ctx.signal("note")]


@workflow
async def golden_gates(ctx: Context) -> list[bool]:
    """Two gates, one with a time."""
    first = await ctx.gate("Begin?", timeout_s=3600.0)
    return [first.approved, (await ctx.gate("Go on?", description="So far so good.")).approved]


@workflow
async def golden_timers(ctx: Context) -> str:
    """Two timers, and the time."""
    await ctx.sleep(0.01)
    await ctx.gather(ctx.sleep(0.02), ctx.sleep(0.01))
    return "awake"


@workflow
async def golden_child(ctx: Context, order: Order) -> str:
    """A child's."""
    return await ctx.activity(describe, order)


@workflow
async def golden_failing_child(ctx: Context) -> str:
    """A child that fails."""
    return await ctx.activity(refuse, "no")


@workflow
async def golden_children(ctx: Context) -> list[str]:
    """Children at once, and one that fails."""
    done = await ctx.gather(*(ctx.child(golden_child, Order(item=item)) for item in ("a", "b")))
    try:
        await ctx.child("golden_failing_child")
    except ChildError as error:
        return [*done, f"{error.name} {error.code}"]
    return [*done]


@workflow
async def golden_saga(ctx: Context) -> None:
    """A saga that is compensated, and so a failed workflow."""
    async with ctx.saga() as saga:
        await saga.step(book, "flight", undo=unbook)
        await saga.step(book, "hotel", undo=unbook)
        await ctx.activity(refuse, "no car")


@workflow
async def golden_version(ctx: Context) -> str:
    """A change with a marker."""
    if ctx.version("politer", 0, 1):
        return await ctx.activity(book, "please")
    return await ctx.activity(book, "now")


@workflow
async def golden_runs(ctx: Context, countdown: Countdown) -> str:
    """Runs that follow one another."""
    letter = await ctx.signal("letter")
    await ctx.activity(book, letter)
    if countdown.left:
        ctx.continue_as_new(Countdown(left=countdown.left - 1))
    return f"run {ctx.run}: {letter}"


def count_up(transaction: Any, amount: int) -> int:
    """Count in a table of the workflow's own."""
    transaction.execute("CREATE TABLE IF NOT EXISTS golden_counter (amount INTEGER NOT NULL)")
    transaction.execute("INSERT INTO golden_counter VALUES (?)", (amount,))
    return int(transaction.execute("SELECT sum(amount) FROM golden_counter")[0][0])


@workflow
async def golden_transactions(ctx: Context) -> list[int]:
    """Transactions."""
    return [await ctx.tx(count_up, 2), await ctx.tx(count_up, 3)]


@workflow
async def golden_effects(ctx: Context) -> list[Any]:
    """What differs each time, and comes back the same."""
    made = await ctx.side_effect(lambda: {"pid": os.getpid()})
    return [made, ctx.now().isoformat(), ctx.random().random(), str(ctx.uuid4())]


@workflow
async def golden_cancelled(ctx: Context) -> None:
    """A cancellation, with clean-up."""
    try:
        await ctx.gather(ctx.signal("never"), ctx.sleep(1000))
    except CancelledError:
        await ctx.activity(book, "the way back")
        raise


@workflow
async def golden_waiting(ctx: Context) -> list[str]:
    """One in flight: an activity is done, a branch waits."""
    first = await ctx.activity(book, "first")
    return [first, *await ctx.gather(ctx.signal("go"), ctx.activity(book, "second"))]


@activity
async def rent(item: str) -> str:
    """Have nothing on the first day."""
    info = activity_info()
    if retried.get(info.workflow_id, 0) == 0:
        raise ActivityFailure("sold_out", f"no {item} today", retryable=False)
    return f"rented {item}"


retried: dict[str, int] = {}


@workflow
async def golden_retried(ctx: Context) -> list[Any]:
    """One that has failed in a branch, has cleaned up, and was retried."""
    try:
        done = await ctx.gather(
            ctx.activity(book, "flight"), ctx.activity(rent, "car"), ctx.signal("guide")
        )
        return [*done, await ctx.signal("guide")]
    except ActivityError:
        await ctx.activity(unbook, "the booking of flight")
        await ctx.signal("guide")
        raise


WORKFLOWS = (
    golden_retried,
    golden_activities,
    golden_gather,
    golden_first,
    golden_signals,
    golden_gates,
    golden_timers,
    golden_children,
    golden_child,
    golden_failing_child,
    golden_saga,
    golden_version,
    golden_runs,
    golden_transactions,
    golden_effects,
    golden_cancelled,
    golden_waiting,
    research,
)

Nudge = Callable[[Running, str], Awaitable[None]]


async def _race(running: Running, workflow_id: str) -> None:
    await engine.recorded(running, workflow_id, Kind.ACTIVITY_COMPLETED)
    await engine.signal(running, workflow_id, "quick")
    await engine.recorded(running, workflow_id, Kind.TIMER_STARTED)
    await engine.signal(running, workflow_id, "answer", {"yes": True})


async def _signal(running: Running, workflow_id: str) -> None:
    await engine.signal(running, workflow_id, "note", "one")
    await engine.signal(running, workflow_id, "order", {"item": "bead", "count": 3})
    await engine.signal(running, workflow_id, "note", "two")


async def _answer(running: Running, workflow_id: str) -> None:
    for number, approved in enumerate((True, False), start=1):

        def opened(seen: Sequence[LoggedFact]) -> list[str]:
            return [fact.issue_id or "" for fact in seen if fact.type == GATE_OPENED]

        seen = await running.until(lambda seen, least=number: len(opened(seen)) >= least)
        answer = AnswerGate(issue_id=opened(seen)[-1], actor="ann", approved=approved)
        await running.ask("tracker", answer)


async def _letters(running: Running, workflow_id: str) -> None:
    for letter in "abc":
        await engine.signal(running, workflow_id, "letter", letter)


async def _cancel(running: Running, workflow_id: str) -> None:
    await engine.recorded(running, workflow_id, Kind.TIMER_STARTED)
    await engine.cancel(running, workflow_id)


async def _retry(running: Running, workflow_id: str) -> None:
    await engine.signal(running, workflow_id, "guide", "ann")
    await engine.signal(running, workflow_id, "guide", "bob")
    await engine.closed(running, workflow_id)
    retried[workflow_id] = 1
    await engine.retry(running, workflow_id)


async def _leave(running: Running, workflow_id: str) -> None:
    await engine.recorded(running, workflow_id, Kind.ACTIVITY_COMPLETED, 2)


VARIABLES: dict[str, dict[str, Any]] = {
    "golden_activities": {"item": "bead", "count": 2},
    "golden_child": {"item": "bead"},
    "golden_runs": {"left": 2},
    "research": {"question": "Is alpha the best?", "candidates": ["alpha", "beta"]},
}
NUDGES: dict[str, Nudge] = {
    "golden_first": _race,
    "golden_signals": _signal,
    "golden_gates": _answer,
    "golden_runs": _letters,
    "golden_cancelled": _cancel,
    "golden_waiting": _leave,
    "golden_retried": _retry,
}
IN_FLIGHT = "golden_waiting"


def files() -> list[Path]:
    return sorted(GOLDEN.glob("*.json"))


async def make(repo: Path, name: str, variables: dict[str, Any]) -> str:
    """Run one workflow as far as it goes; answers its history as a document."""
    async with running_system(repo, workflows=WORKFLOWS, agents=[ResearchAgent]) as running:
        started = await running.start(name, "A golden history", variables=variables)
        if name in NUDGES:
            await NUDGES[name](running, started.id)
        if name != IN_FLIGHT:
            await engine.closed(running, started.id)
        found = document.recorded(running.stores.tempolite.inline, started.id)
    assert found is not None
    return document.write(found)


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    with served() as index:
        _stock(index)
        os.environ.update(index.environ(PIP_EXTRA_INDEX_URL=""))
        for known in Definitions.of(WORKFLOWS).every():
            path = GOLDEN / f"{known.name}-v{known.version}.json"
            if path.exists():
                print(f"{path} is there", file=sys.stderr)
                continue
            with tempfile.TemporaryDirectory() as place:
                repo = git_repository(Path(place) / "repo")
                text = trio.run(make, repo, known.name, VARIABLES.get(known.name, {}))
            path.write_text(text.replace(index.url, INDEX), encoding="utf-8")
            print(path)


def _stock(index: LocalIndex) -> None:
    for name in ("alpha", "beta"):
        index.add(name, "1.0", text=metadata(name, "1.0"))


if __name__ == "__main__":
    main()
