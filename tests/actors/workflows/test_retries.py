"""A workflow that failed goes on from what failed, wherever the process dies meanwhile."""

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from trio.testing import MockClock

from actors.clock import rfc3339
from actors.errors import Conflict
from actors.workflows import document, segments
from actors.workflows.definition import Definitions
from actors.workflows.history import Kind
from actors.workflows.messages import AddSignal, Launch, Look, RetryInstance, SetAside
from actors.workflows.rerun import Fit, rerun
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
from storage import invariants, payload
from tests.actors.workflows.programs import Program, ledger, lift, program, programs
from tests.actors.workflows.test_programs import _requests as requests_of
from tests.support.bare import EPOCH, Engine, Image

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

ROOT = "w-1"
LONG_S = 100_000.0
AT = rfc3339(EPOCH)
HEAR = ("listens", "goes_back")
SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
SEED = os.environ.get("RETRY_SEED", "1")
ASKER = "ann"
VARYING = ("from", "next_at", "fire_at", "message", "reconciled")
"""What the payload of an event holds that depends on when, or in which order."""


@dataclass
class World:
    """What is outside of the workflows.

    Args:
        retries: how often the workflow was retried.
        did: what activities did, in order.
    """

    retries: int = 0
    did: list[tuple[str, int]] = field(default_factory=list)

    def times(self, what: str) -> int:
        return sum(name == what for name, _ in self.did)


world = World()


@activity
async def step(given: str) -> str:
    """`name`, or `name!2`: fails until the workflow was retried twice."""
    name, _, needed = given.partition("!")
    world.did.append((name, world.retries))
    if world.retries < int(needed or 0):
        raise ActivityFailure("not_yet", f"{name} needs {needed} retries")
    return f"{name} by {activity_info().idempotency_key}"


@activity(retry=RetryPolicy(attempts=2, initial_s=1.0))
async def stubborn() -> int:
    world.did.append((f"attempt {activity_info().attempt}", world.retries))
    if world.retries == 0:
        raise OSError("away")
    return activity_info().attempt


async def looks() -> str:
    if world.retries == 0:
        raise OSError("the other side is away")
    if world.times("paid"):
        return "found paid"
    raise NotDone


@activity(at_most_once=True, timeout_s=5.0, reconcile=looks)
async def pays() -> str:
    world.did.append(("paid", world.retries))
    await trio.sleep(10.0)
    return "paid"


@activity(at_most_once=True)
async def pays_or_raises() -> str:
    world.did.append(("tried", world.retries))
    if world.retries == 0:
        raise ActivityFailure("no_money", "the account is empty")
    return "paid"


@workflow
async def plain(ctx: Context) -> Any:
    done = [await ctx.activity(step, "a"), await ctx.activity(step, "b!1")]
    return [*done, await ctx.activity(step, "c")]


@workflow
async def tries_hard(ctx: Context) -> Any:
    return await ctx.activity(stubborn)


@workflow
async def cleans_up(ctx: Context) -> Any:
    try:
        await ctx.activity(step, "a")
        await ctx.activity(step, "b!1")
        return await ctx.activity(step, "c")
    except ActivityError as error:
        await ctx.activity(step, "clean")
        raise RuntimeError("wrapped") from error
    finally:
        await ctx.activity(step, "last")


async def slow(ctx: Context, seconds: float, *steps: str) -> Any:
    await ctx.sleep(seconds)
    return [await ctx.activity(step, each) for each in steps]


async def slowly(ctx: Context, seconds: float, *steps: str) -> Any:
    found = []
    for each in steps:
        await ctx.sleep(seconds)
        found.append(await ctx.activity(step, each))
        await ctx.sleep(seconds)
    return found


@workflow
async def gathers(ctx: Context) -> Any:
    found = await ctx.gather(
        slow(ctx, 1.0, "a", "b!1", "c"), slow(ctx, 60.0, "d", "e"), slow(ctx, 3.0, "f!1")
    )
    return [list(found), await ctx.activity(step, "g")]


@workflow
async def naps(ctx: Context, variables: dict[str, float]) -> Any:
    await ctx.sleep(variables["seconds"])
    return await ctx.activity(step, "napped")


@workflow
async def races(ctx: Context) -> Any:
    index, value = await ctx.first(
        slowly(ctx, 1.0, "a", "b!1"), ctx.child(naps, {"seconds": 30.0}), ctx.sleep(20.0)
    )
    return [index, value]


@workflow
async def goes_back(ctx: Context) -> Any:
    await ctx.sleep(1.0)
    said = await ctx.signal("go")
    async with ctx.saga() as saga:
        await saga.step(step, "a", undo=step, undo_input="undo a")
        await saga.step(step, "b!1", undo=step, undo_input="undo b")
    return [said, ctx.run, await ctx.activity(step, "c")]


@workflow
async def small(ctx: Context, variables: dict[str, str]) -> Any:
    await ctx.activity(step, "before")
    return await ctx.activity(step, variables["step"])


@workflow
async def middle(ctx: Context, variables: dict[str, str]) -> Any:
    return await ctx.child(small, variables)


@workflow
async def has_children(ctx: Context) -> Any:
    first = await ctx.child(small, {"step": "good"})
    return [first, await ctx.child(middle, {"step": "bad!1"}), await ctx.activity(step, "end")]


@workflow
async def cleans_up_with_a_child(ctx: Context) -> Any:
    try:
        await ctx.activity(step, "a!1")
        return await ctx.child(middle, {"step": "next"})
    except ActivityError:
        await ctx.child(small, {"step": "clean"})
        raise


@workflow
async def listens(ctx: Context) -> Any:
    await ctx.sleep(1.0)
    said = [await ctx.signal("go")]
    try:
        await ctx.activity(step, "a!1")
    except ActivityError:
        await ctx.signal("go")
        raise
    return [*said, await ctx.signal("go"), await ctx.signal("go")]


def book(transaction: Transaction, amount: int) -> int:
    transaction.execute("CREATE TABLE IF NOT EXISTS booked (amount INTEGER)")
    transaction.execute("INSERT INTO booked VALUES (?)", (amount,))
    if amount == 2 and world.retries == 0:
        raise ActivityFailure("refused", "not yet")
    return len(transaction.execute("SELECT amount FROM booked"))


@workflow
async def books(ctx: Context) -> Any:
    return [await ctx.tx(book, amount) for amount in (1, 2, 3)]


@workflow
async def pays_once(ctx: Context) -> Any:
    return await ctx.activity(pays)


@workflow
async def pays_later(ctx: Context) -> Any:
    return await ctx.activity(pays_or_raises)


@workflow
async def stumbles(ctx: Context) -> Any:
    await ctx.activity(step, "a")
    try:
        await ctx.activity(step, "b")
        if world.retries == 0:
            raise KeyError("a mistake")
        return await ctx.activity(step, "c")
    finally:
        await ctx.gather(ctx.activity(step, "clean"), ctx.activity(step, "up"))


@workflow
async def fails_twice(ctx: Context) -> Any:
    try:
        found = [await ctx.activity(step, each) for each in ("a", "b!1", "c", "d!2", "e")]
    except ActivityError:
        await ctx.activity(step, "clean")
        raise
    return found


@workflow
async def fails_earlier_the_second_time(ctx: Context) -> Any:
    """Its first retry goes on behind a failure that it had caught, and its second does that."""
    caught = None
    try:
        await ctx.activity(step, "a!2")
    except ActivityError as error:
        caught = error
    if world.retries == 1 and caught is not None:
        raise caught
    return [caught is None, await ctx.activity(step, "b!1")]


@workflow
async def turns(ctx: Context, variables: dict[str, int]) -> Any:
    await ctx.activity(step, "a")
    if variables["left"]:
        ctx.continue_as_new({"left": variables["left"] - 1})
    return [await ctx.activity(step, "b!1"), ctx.run]


@workflow
async def long(ctx: Context) -> Any:
    found = [await ctx.activity(step, f"a{number}") for number in range(9)]
    found.append(await ctx.activity(step, "b!1"))
    return found + [await ctx.activity(step, f"c{number}") for number in range(9)]


@workflow
async def answers_a_number(ctx: Context) -> int:
    found: Any = await ctx.activity(step, "a")
    return found  # type: ignore[no-any-return]


@workflow
async def asks_for_a_number(ctx: Context) -> Any:
    return await ctx.child(answers_a_number)


ALL = [
    *(plain, tries_hard, cleans_up, gathers, naps, races, goes_back, small, middle, has_children),
    *(cleans_up_with_a_child, listens, books, pays_once, pays_later, stumbles, fails_twice),
    *(fails_earlier_the_second_time, turns, long),
    *(answers_a_number, asks_for_a_number),
]


@dataclass(frozen=True)
class Ended:
    """What became of a workflow that was retried."""

    statuses: dict[str, str]
    output: Any
    recorded: Counter[tuple[str, str, str, str, str]]


Check = Callable[[Ended], object]


def key(op: str, workflow_id: str = ROOT) -> str:
    return f"{workflow_id}/{op}"


def said(number: int) -> AddSignal:
    value = payload.encode(number)
    return AddSignal(workflow_id=ROOT, message_id=f"m-{number}", name="go", value=value, at=AT)


async def run(
    name: str, image: Image | None, retries: int, variables: Any
) -> tuple[list[Image], Ended]:
    """Run a workflow to its end, from an image if there is one, and retry it so many times."""
    ended: list[Ended] = []

    def retried(life: Engine) -> int:
        sql = "SELECT count(*) FROM history WHERE workflow_id = ? AND kind = 'workflow_retried'"
        return int(life.connection.execute(sql, (ROOT,)).fetchone()[0])

    async def main(life: Engine) -> None:
        if image is None:
            await life.start(ROOT, name, variables)
        if name in HEAR:
            for number in range(3):
                await life.send(said(number))
        with trio.fail_after(LONG_S):
            await life.closed()
            while retried(life) < retries:
                await trio.sleep(random.choice((0.0, 3600.0)))  # its actor may still be there
                world.retries = retried(life) + 1
                await life.send(
                    RetryInstance(workflow_id=ROOT, author=ASKER, at=rfc3339(life.now()))
                )
                await life.closed()
        ended.append(_ended(life.connection))

    life = Engine(ALL, image=image, keep=(lambda: world.retries) if image is None else None)
    world.retries = retried(life)
    await life.run(main)
    return life.images, ended[0]


def _ended(connection: sqlite3.Connection) -> Ended:
    statuses = dict(connection.execute("SELECT workflow_id, status FROM instances").fetchall())
    recorded: Counter[tuple[str, str, str, str, str]] = Counter()
    output = None
    for row in connection.execute("SELECT * FROM history ORDER BY seq"):
        body = payload.decode(row["payload"])
        if isinstance(body, dict):
            body = {name: value for name, value in body.items() if name not in VARYING}
        if row["workflow_id"] == ROOT and row["kind"] == Kind.WORKFLOW_COMPLETED:
            output = body["result"]
        recorded[row["workflow_id"], row["op"], row["kind"], row["name"], str(body)] += 1
    return Ended(statuses=statuses, output=output, recorded=recorded)


async def compare(name: str, check: Check, retries: int, variables: Any) -> None:
    world.did.clear()
    images, whole = await run(name, None, retries, variables)
    did = list(world.did)
    check(whole)
    assert not _broken(images[-1])
    assert sum(kind == Kind.WORKFLOW_RETRIED for _, _, kind, *_ in whole.recorded) >= 1
    for image in images:
        world.did[:] = [] if name != "pays_once" else did[:1]
        await _fits(image)
        _, found = await run(name, image, retries, variables)
        assert found == whole


def _broken(image: Image) -> list[Any]:
    """Places where a row of the engine contradicts another."""
    rules = [rule for rule in invariants._BREAKS if rule.database == "tempolite"]
    with closing(image.open()) as connection:
        return [row[0] for rule in rules for row in connection.execute(rule.find)]


async def _fits(image: Image) -> None:
    """Whatever a commit has left can be replayed with the code of then."""
    now, world.retries = world.retries, image.note
    with closing(image.open()) as found:
        for (workflow_id,) in found.execute("SELECT workflow_id FROM instances").fetchall():
            recorded = document.recorded(found, workflow_id)
            assert recorded is not None
            assert document.read(document.write(recorded)) == recorded
            verdict = await rerun(recorded, Definitions.of(ALL))
            raises = "the code raises KeyError" in verdict.what  # its own mistake
            assert verdict.fit is Fit.FITS or raises, verdict
    world.retries = now


def kept(*names: str) -> Check:
    """Each of these was done in the first life of the workflow alone."""

    def check(ended: Ended) -> None:
        for name in names:
            assert [found for found in world.did if found[0] == name] == [(name, 0)], name
        assert ended.statuses[ROOT] == "completed"

    return check


def output(value: Any, *also: Check) -> Check:
    def check(ended: Ended) -> None:
        assert ended.output == value
        for each in also:
            each(ended)

    return check


def did(*wanted: tuple[str, int]) -> Check:
    def check(ended: Ended) -> None:
        assert world.did == list(wanted), ended

    return check


def statuses(**wanted: str) -> Check:
    def check(ended: Ended) -> None:
        names = {name.replace("w_1", ROOT): status for name, status in wanted.items()}
        assert ended.statuses == names

    return check


def by(name: str, op: str, workflow_id: str = ROOT) -> str:
    return f"{name} by {workflow_id}/{op}"


SCENARIOS: dict[str, tuple[str, Check]] = {
    "what was completed keeps its result": (
        "plain",
        output([by("a", "1"), by("b", "2"), by("c", "3")], kept("a")),
    ),
    "a step has all its attempts again": (
        "tries_hard",
        output(1, did(("attempt 1", 0), ("attempt 2", 0), ("attempt 1", 1))),
    ),
    "clean-up is forgotten": (
        "cleans_up",
        output(
            by("c", "3"),
            did(("a", 0), ("b", 0), ("clean", 0), ("last", 0), ("b", 1), ("c", 1), ("last", 1)),
        ),
    ),
    "what other branches did stays, and all that failed are done again": (
        "gathers",
        output(
            [
                [
                    [by("a", "1.0.2"), by("b", "1.0.3"), by("c", "1.0.4")],
                    [by("d", "1.1.2"), by("e", "1.1.3")],
                    [by("f", "1.2.2")],
                ],
                by("g", "2"),
            ],
            kept("a", "d", "e"),
        ),
    ),
    "who has lost to a failure races again": (
        "races",
        output([0, [by("a", "1.0.2"), by("b", "1.0.5")]], kept("a")),
    ),
    "a workflow whose saga was undone begins anew": (
        "goes_back",
        output(
            [0, 2, by("c", "2~5")],
            did(("a", 0), ("b", 0), ("undo a", 0), ("a", 1), ("b", 1), ("c", 1)),
        ),
    ),
    "children that have failed are retried": (
        "has_children",
        output(
            [by("good", "2", "w-1.1"), by("bad", "2", "w-1.2.1"), by("end", "3")],
            kept("good"),
        ),
    ),
    "a child that cleaned up stands in nobody's way": (
        "cleans_up_with_a_child",
        output(by("next", "2", "w-1.2~~2.1")),
    ),
    "signals that were taken after the failure wait again": ("listens", output([0, 1, 2])),
    "a transaction that failed is made once": ("books", output([1, 2, 3])),
    "what must not be repeated is looked up": (
        "pays_once",
        output("found paid", did(("paid", 0))),
    ),
    "code that raised runs on once it is mended": (
        "stumbles",
        output(by("c", "3"), kept("a", "b")),
    ),
    "a new run is retried alone": (
        "turns",
        output([by("b", "3~2"), 3]),
    ),
    "a long history": ("long", kept("a0", "a8")),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("many", [False, True], ids=["", "in segments"])
def test_a_retry_goes_on_from_what_failed_wherever_it_is_cut_off(
    scenario: str, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, check = SCENARIOS[scenario]
    if many:
        monkeypatch.setattr(segments, "EVENTS", 3)
        monkeypatch.setattr("actors.workflows.loading.INLINE_EVENTS", 2)
    random.seed(f"{scenario} {SEED}")
    variables = {"left": 2} if name == "turns" else {}
    trio.run(compare, name, check, 1, variables, clock=MockClock(autojump_threshold=0))


def test_what_runs_at_most_once_and_has_raised_is_done_again() -> None:
    """Cut off in the middle, nobody knows whether it has, and it never is."""

    async def once() -> None:
        world.did.clear()
        _, ended = await run("pays_later", None, 1, {})
        output("paid", did(("tried", 0), ("tried", 1)))(ended)

    trio.run(once, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    ("name", "check"),
    [
        (
            "fails_twice",
            output([by(n, str(i)) for i, n in enumerate("abcde", 1)], kept("a")),
        ),
        ("fails_earlier_the_second_time", output([True, by("b", "2")])),
    ],
)
def test_a_workflow_is_retried_again(name: str, check: Check) -> None:
    random.seed(f"{name} {SEED}")
    trio.run(compare, name, check, 2, {}, clock=MockClock(autojump_threshold=0))


def test_a_child_that_answers_something_else_has_failed_by_name() -> None:
    async def once() -> None:
        world.did.clear()
        _, ended = await run("asks_for_a_number", None, 0, {})
        assert ended.statuses == {ROOT: "failed", f"{ROOT}.1": "completed"}
        (failed,) = [body for *_, kind, _, body in ended.recorded if kind == Kind.CHILD_FAILED]
        assert "result_of_wrong_type" in failed

    trio.run(once, clock=MockClock(autojump_threshold=0))


def test_an_actor_from_before_a_retry_leaves_the_workflow_to_the_next_one() -> None:
    async def main(life: Engine) -> None:
        await life.start(ROOT, "naps", {"seconds": 1000.0})
        await trio.sleep(1.0)
        old, gone = life._live[ROOT]
        await life.commit(SetAside(workflow_id=ROOT, reason="r", at=AT))
        await life.commit(RetryInstance(workflow_id=ROOT, author=ASKER, at=AT))
        assert not await old.on_receive(Look())
        await gone.wait()
        life.tell(Launch(workflow_id=ROOT))
        with trio.fail_after(LONG_S):
            await life.closed()
        assert _ended(life.connection).statuses == {ROOT: "completed"}

    async def live() -> None:
        await Engine(ALL).run(main)

    trio.run(live, clock=MockClock(autojump_threshold=0))


# --- whatever a workflow does


@settings(
    max_examples=1_000 if SOAK else 60,
    deadline=None,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_whatever_has_failed_can_be_retried_and_is_never_stalled_by_that(example: Program) -> None:
    trio.run(_retry_twice, example, clock=MockClock(autojump_threshold=0))


async def _retry_twice(example: Program) -> None:
    """Its code has not changed, so it fails again; what it does until then fits its history."""
    ledger.clear()
    life = _ProgramLife(example, None)
    await life.engine.run(life.main)
    for image in life.engine.images[-1:] if life.status == "failed" else ():
        for cut in (await _retried(example, image))[:-1]:
            await _retried(example, cut)


async def _retried(example: Program, image: Image) -> list[Image]:
    life = _ProgramLife(example, image)
    await life.engine.run(life.main)
    assert life.status != "stalled"
    assert not _broken(life.engine.images[-1])
    return life.engine.images


class _ProgramLife:
    """One life in which a program is run, or retried, to its end."""

    def __init__(self, example: Program, image: Image | None) -> None:
        self._example = example
        self._image = image
        self.status = ""
        self.engine = Engine([program], image=image, keep=lambda: 0, lift=lift)

    async def main(self, life: Engine) -> None:
        if self._image is None:
            await life.start(ROOT, "program", self._example.variables)
        else:
            with suppress(Conflict):
                await life.send(
                    RetryInstance(workflow_id=ROOT, author=ASKER, at=rfc3339(life.now()))
                )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask, life)
            with trio.move_on_after(LONG_S):  # it may wait for a signal that nobody sends
                await life.closed()
            nursery.cancel_scope.cancel()
        row = life.connection.execute("SELECT status FROM instances WHERE workflow_id = ?", (ROOT,))
        self.status = row.fetchone()[0]

    async def _ask(self, life: Engine) -> None:
        example = self._example
        if self._image is not None:  # who has retried it wants it to go on
            example = replace(example, requests=[])
        for at_s, request in requests_of(example, ROOT):
            await trio.sleep(max(0.0, at_s - life.now_s))
            with suppress(Conflict):  # it has closed
                await life.send(request(rfc3339(life.now())))
