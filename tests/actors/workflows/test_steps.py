"""Activities of the engine's process: attempts, time limits, heartbeats, and the three modes."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.workflows.history import Kind
from beadflow import (
    ActivityError,
    ActivityFailure,
    Context,
    NotDone,
    RetryPolicy,
    Transaction,
    activity,
    activity_info,
    workflow,
)
from tests.support import engine
from tests.support.faults import until
from tests.support.world import running_system

log: list[Any] = []
left: Counter[str] = Counter()
gate: list[trio.Event] = []


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    log.clear()
    left.clear()
    gate.clear()


@activity(retry=RetryPolicy(attempts=3, initial_s=0.01))
async def flaky(name: str) -> int:
    info = activity_info()
    log.append((info.attempt, info.idempotency_key.rpartition("/")[2]))
    if info.attempt < 3:
        raise ConnectionError(name)
    return info.attempt


@activity(retry=RetryPolicy(attempts=0, initial_s=60.0), schedule_to_close_s=0.2)
async def hopeless() -> None:
    raise ConnectionError("always")


@activity(heartbeat_timeout_s=0.05, retry=RetryPolicy(attempts=2, initial_s=0.0))
async def silent() -> Any:
    info = activity_info()
    if info.attempt == 1:
        info.heartbeat({"row": 7})
        await trio.sleep_forever()
    return info.heartbeat_details


@activity(retry=RetryPolicy(attempts=2, initial_s=0.0))
async def tells_how_far() -> Any:
    info = activity_info()
    log.append(info.heartbeat_details)
    if info.heartbeat_details is None:
        info.heartbeat("half")
        await gate[0].wait()
    return info.heartbeat_details


async def look_whether_paid(amount: int) -> str:
    log.append(f"look {amount}")
    if left["unknown"]:
        raise ConnectionError("the bank is away")
    if left["unpaid"]:
        left["unpaid"] -= 1
        raise NotDone
    return "paid, as it turned out"


@activity(at_most_once=True, reconcile=look_whether_paid)
async def pay(amount: int) -> str:
    log.append(f"pay {amount}")
    if gate:
        await gate[0].wait()
    return "paid"


@activity(at_most_once=True)
async def pay_blindly(amount: int) -> str:
    log.append(f"pay {amount}")
    if gate:
        await gate[0].wait()
    return "paid"


@workflow
async def retries(ctx: Context) -> int:
    return await ctx.activity(flaky, "x")


@workflow
async def gives_up(ctx: Context) -> str:
    try:
        await ctx.activity(hopeless)
    except ActivityError as error:
        return error.code
    return "?"


@workflow
async def listens(ctx: Context) -> Any:
    return await ctx.activity(silent)


@workflow
async def follows(ctx: Context) -> Any:
    return await ctx.activity(tells_how_far)


@workflow
async def pays(ctx: Context) -> str:
    return await ctx.activity(pay, 5)


@workflow
async def pays_blindly(ctx: Context) -> str:
    return await ctx.activity(pay_blindly, 5)


@activity(at_most_once=True, timeout_s=0.05, retry=RetryPolicy(attempts=5, initial_s=0.0))
async def pay_slowly(amount: int) -> str:
    log.append(f"pay {amount}")
    await trio.sleep_forever()
    return "paid"


@workflow
async def pays_slowly(ctx: Context) -> str:
    try:
        return await ctx.activity(pay_slowly, 5)
    except ActivityError as error:
        return error.code


def book(transaction: Transaction, amount: int) -> int:
    transaction.execute("CREATE TABLE IF NOT EXISTS ledger (id INTEGER PRIMARY KEY, amount INT)")
    transaction.execute("INSERT INTO ledger (amount) VALUES (?)", (amount,))
    if amount < 0:
        raise ActivityFailure("negative", "no such amount")
    return int(transaction.execute("SELECT sum(amount) FROM ledger")[0][0])


def forge(transaction: Transaction, _: None) -> None:
    transaction.execute("UPDATE history SET payload = ''")


@workflow
async def books(ctx: Context, variables: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for amount in variables["amounts"]:
        try:
            found.append(await ctx.tx(book, amount))
        except ActivityError as error:
            found.append(error.code)
    return found


@workflow
async def forges(ctx: Context) -> str:
    try:
        await ctx.tx(forge)
    except ActivityError as error:
        return error.message
    return "?"


@workflow
async def books_at_once(ctx: Context) -> list[int]:
    return sorted(await ctx.gather(*(ctx.tx(book, 1) for _ in range(5))))


async def test_attempts_are_counted_and_share_one_idempotency_key(repo: Path) -> None:
    async with running_system(repo, workflows=[retries]) as running:
        started = await running.start("retries")
        await running.ended(started.id)
        assert await running.output(started.id) == 3
        assert engine.kinds(running, started.id).count(Kind.ACTIVITY_RETRIED) == 2
    assert log == [(1, "1"), (2, "1"), (3, "1")]


async def test_attempts_go_on_counting_after_a_restart(repo: Path) -> None:
    slow = RetryPolicy(attempts=3, initial_s=0.5, coefficient=1.0)

    @workflow
    async def retries_slowly(ctx: Context) -> int:
        return await ctx.activity(flaky, "x", retry=slow)

    async with running_system(repo, workflows=[retries_slowly]) as running:
        started = await running.start("retries_slowly")
        await engine.recorded(running, started.id, Kind.ACTIVITY_RETRIED)
    async with running_system(repo, workflows=[retries_slowly]) as running:
        assert await engine.closed(running, started.id) == "completed"
    assert [attempt for attempt, _ in log] == [1, 2, 3]


async def test_schedule_to_close_ends_the_attempts(repo: Path) -> None:
    async with running_system(repo, workflows=[gives_up]) as running:
        started = await running.start("gives_up")
        await running.ended(started.id)
        assert await running.output(started.id) == "schedule_to_close_timeout"


async def test_a_silent_attempt_ends_and_the_next_one_knows_how_far_it_was(repo: Path) -> None:
    async with running_system(repo, workflows=[listens]) as running:
        started = await running.start("listens")
        await running.ended(started.id)
        assert await running.output(started.id) == {"row": 7}


async def test_an_attempt_after_a_restart_knows_how_far_the_last_one_was(repo: Path) -> None:
    gate.append(trio.Event())
    async with running_system(repo, workflows=[follows]) as running:
        started = await running.start("follows")
        reader = running.stores.tempolite.inline
        await until(lambda: reader.execute("SELECT * FROM heartbeats").fetchall() != [])
    async with running_system(repo, workflows=[follows]) as running:
        assert await engine.closed(running, started.id) == "completed"
        assert running.stores.tempolite.inline.execute("SELECT * FROM heartbeats").fetchall() == []
    assert log == [None, "half"]


@pytest.mark.parametrize(
    ("what", "expected"),
    [("", ["pay 5", "look 5"]), ("unpaid", ["pay 5", "look 5", "pay 5"])],
    ids=["it had its effect", "it had none"],
)
async def test_an_attempt_of_unknown_end_is_looked_up_and_not_repeated(
    repo: Path, what: str, expected: list[str]
) -> None:
    gate.append(trio.Event())
    async with running_system(repo, workflows=[pays]) as running:
        started = await running.start("pays")
        await until(lambda: log == ["pay 5"])
    gate.clear()
    left[what] = 1
    async with running_system(repo, workflows=[pays]) as running:
        assert await engine.closed(running, started.id) == "completed"
    assert log == expected


@pytest.mark.parametrize("kind", [pays, pays_blindly])
async def test_what_nobody_can_look_up_is_uncertain(repo: Path, kind: Any) -> None:
    gate.append(trio.Event())
    async with running_system(repo, workflows=[kind]) as running:
        started = await running.start(kind.__name__)
        await until(lambda: log == ["pay 5"])
    gate.clear()
    left["unknown"] = 1
    async with running_system(repo, workflows=[kind]) as running:
        assert await engine.closed(running, started.id) == "failed"
        assert engine.last(running, started.id)["code"] == "uncertain"
    assert log.count("pay 5") == 1


async def test_a_transaction_writes_and_records_its_result_together(repo: Path) -> None:
    async with running_system(repo, workflows=[books]) as running:
        started = await running.start("books", variables={"amounts": [5, -1, 7]})
        await running.ended(started.id)
        assert await running.output(started.id) == [5, "negative", 12]
        rows = running.stores.tempolite.inline.execute("SELECT amount FROM ledger").fetchall()
        assert [row[0] for row in rows] == [5, 7]


async def test_transactions_of_branches_at_once_each_run_once(repo: Path) -> None:
    async with running_system(repo, workflows=[books_at_once]) as running:
        started = await running.start("books_at_once")
        await running.ended(started.id)
        assert await running.output(started.id) == [1, 2, 3, 4, 5]


async def test_a_transaction_cannot_touch_the_engines_own_tables(repo: Path) -> None:
    async with running_system(repo, workflows=[forges]) as running:
        started = await running.start("forges")
        await running.ended(started.id)
        assert "is not allowed in ctx.tx" in await running.output(started.id)


async def test_a_payment_that_took_too_long_is_uncertain_and_not_repeated(repo: Path) -> None:
    async with running_system(repo, workflows=[pays_slowly]) as running:
        started = await running.start("pays_slowly")
        await running.ended(started.id)
        assert await running.output(started.id) == "uncertain"
    assert log == ["pay 5"]
