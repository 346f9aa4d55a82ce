"""Workflow programs as data, and the workflow that does what they say.

A program is a list: what to do, its number, and the rest. Numbers make every wait end at a moment
of its own, so that races have one winner whatever trio's scheduler does; what is no wait takes no
time. What really happened (attempts, undos, side effects) is entered in `ledger`.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from beadflow import (
    ActivityError,
    ActivityFailure,
    Agent,
    CancelledError,
    ChildError,
    CompensationError,
    Context,
    NotDone,
    RetryPolicy,
    Task,
    Transaction,
    activity,
    activity_info,
    workflow,
)
from storage import payload
from storage.workflows.records import TaskRow

Node = list[Any]
FOR_GOOD = 9
"""So many attempts of a step fail that it fails for good."""

THRICE = RetryPolicy(attempts=3, initial_s=0.3)

ledger: list[tuple[str, Any, Any]] = []
"""(what, whose or which, how often or what for), in the order in which it happened."""


def seconds(number: int) -> float:
    """How long the wait with this number takes, in microseconds that no other one has."""
    return round(random.Random(number).choice([0.5, 3.0, 12.0]) * (1 + _unique(number)), 6)


def moment(number: int) -> float:
    """When the signal, or the request, with this number comes."""
    return round(random.Random(~number).choice([0.0, 2.0, 8.0, 20.0]) + _unique(number + 10_000), 6)


def _unique(number: int) -> float:
    return random.Random(f"unique {number}").random()


@activity(retry=THRICE)
async def work(given: dict[str, int]) -> str:
    info = activity_info()
    ledger.append(("attempt", info.idempotency_key, info.attempt))
    if info.attempt <= given["falls"]:
        raise OSError("fell")
    return f"work {given['number']}"


async def look_whether_paid(number: int) -> str:
    if ("paid", number, None) in ledger:
        return f"paid {number}"
    raise NotDone


@activity(at_most_once=True, reconcile=look_whether_paid)
async def pay(number: int) -> str:
    info = activity_info()
    ledger.append(("attempt", info.idempotency_key, info.attempt))
    ledger.append(("paid", number, None))
    return f"paid {number}"


@activity
async def do(given: dict[str, int]) -> dict[str, int]:
    if given["falls"] == FOR_GOOD:
        raise ActivityFailure("sold_out", f"no {given['number']}", retryable=False)
    info = activity_info()
    ledger.append(("attempt", info.idempotency_key, info.attempt))
    ledger.append(("done", given["saga"], given["number"]))
    return given


@activity(retry=THRICE)
async def undo(given: dict[str, int]) -> None:
    info = activity_info()
    ledger.append(("attempt", info.idempotency_key, info.attempt))
    if info.attempt <= given["undo_falls"]:
        raise ActivityFailure("closed", f"nobody takes {given['number']} back")
    ledger.append(("undone", given["saga"], given["number"]))


class Hand(Agent):
    agent_type = "hand"

    @activity
    async def lift(self, task: Task, number: int) -> str:
        ledger.append(("attempt", task.id, task.attempt))
        return f"lifted {number}"


def lift(row: TaskRow) -> str:
    """Do what `Hand` does, where there are no agents."""
    number = payload.decode(row.input)
    ledger.append(("attempt", f"{row.workflow_id}/{row.op}", row.attempt))
    return f"lifted {number}"


def book(transaction: Transaction, given: dict[str, int]) -> int:
    transaction.execute("CREATE TABLE IF NOT EXISTS ledger (number INTEGER)")
    transaction.execute("INSERT INTO ledger VALUES (?)", (given["number"],))
    if given["falls"]:
        raise ActivityFailure("refused", "no such account")
    return given["number"]


@workflow
async def program(ctx: Context, variables: dict[str, Any]) -> Any:
    found = await perform(ctx, variables["node"])
    if variables["next"]:
        following, *rest = variables["next"]
        ctx.continue_as_new({"node": following, "next": rest})
    return found


async def perform(ctx: Context, node: Node) -> Any:
    match node:
        case ["steps", *nodes]:
            return [await perform(ctx, each) for each in nodes]
        case ["work", number, falls]:
            return await ctx.activity(work, {"number": number, "falls": falls})
        case ["pay", number]:
            return await ctx.activity(pay, number)
        case ["lift", number]:
            return await ctx.activity(Hand.lift, number)
        case ["sleep", number]:
            return await ctx.sleep(seconds(number))
        case ["signal", number, name]:
            return await ctx.signal(name)
        case ["effect", number]:
            return await ctx.side_effect(lambda: _produce(number))
        case ["chance", _]:
            return [ctx.random().random(), str(ctx.uuid4()), ctx.now().isoformat()]
        case ["version", number]:
            return ctx.version(f"change {number}", 0, 1)
        case ["book", number, falls]:
            return await ctx.tx(book, {"number": number, "falls": falls})
        case ["gather", *branches]:
            return list(await ctx.gather(*(perform(ctx, branch) for branch in branches)))
        case ["first", *branches]:
            return list(await ctx.first(*(perform(ctx, branch) for branch in branches)))
        case ["approval", number, name]:
            chosen = await ctx.select(said=ctx.signal(name), late=ctx.sleep(seconds(number)))
            return list(chosen)
        case ["saga", number, *nodes]:
            return await _saga(ctx, number, nodes)
        case ["child", _, policy, inner]:
            return await ctx.child(program, {"node": inner, "next": []}, on_parent_close=policy)
        case ["try", inner]:
            return await _try(ctx, inner)
        case ["clean up", number, inner]:
            try:
                return await perform(ctx, inner)
            finally:
                await ctx.activity(work, {"number": number, "falls": 1})
        case ["bear", inner]:
            try:
                return await perform(ctx, inner)
            except CancelledError as error:
                return f"cancelled: {error.reason}"
        case _:
            raise TypeError(node)


async def _saga(ctx: Context, number: int, nodes: list[Node]) -> list[Any]:
    found = []
    async with ctx.saga() as saga:
        for node in nodes:
            match node:
                case ["step", step, falls, undo_falls]:
                    given = {
                        "saga": number,
                        "number": step,
                        "falls": falls,
                        "undo_falls": undo_falls,
                    }
                    await saga.step(do, given, undo=undo, retry=THRICE)
                    found.append(step)
                case _:
                    found.append(await perform(ctx, node))
    return found


async def _try(ctx: Context, node: Node) -> Any:
    try:
        return await perform(ctx, node)
    except (ActivityError, ChildError) as error:
        return error.code
    except CompensationError as error:
        return [error.code, error.undone, [str(failure) for failure in error.not_undone]]


def _produce(number: int) -> int:
    ledger.append(("effect", number, None))
    return number


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run, and what others ask of it meanwhile.

    Args:
        nodes: one for each run of the workflow, each continuing as new.
        signals: (when, name, value) of each.
        requests: (when, what) of each cancel, pause and resume.
    """

    nodes: list[Node]
    signals: list[tuple[float, str, int]] = field(default_factory=list)
    requests: list[tuple[float, str]] = field(default_factory=list)

    @property
    def lost(self) -> set[int]:
        """Steps that nobody can undo."""
        return set().union(*map(_lost, self.nodes))

    @property
    def variables(self) -> dict[str, Any]:
        return {"node": self.nodes[0], "next": self.nodes[1:]}


LEAVES = st.one_of(
    st.builds(lambda falls: ["work", None, falls], st.sampled_from([0, 0, 1, 2, FOR_GOOD])),
    st.sampled_from([
        ["pay", None],
        ["lift", None],
        ["sleep", None],
        ["sleep", None],
        ["signal", None, None],
        ["signal", None, None],
        ["approval", None, None],
        ["effect", None],
        ["chance", None],
        ["version", None],
        ["book", None, 0],
        ["book", None, 1],
    ]),
)  # fmt: skip
STEP = st.builds(
    lambda falls, undo_falls: ["step", None, falls, undo_falls],
    st.sampled_from([0, 0, 0, 0, FOR_GOOD]),
    st.sampled_from([0, 0, 0, 1, FOR_GOOD]),
)


def _lists(inner: st.SearchStrategy[Node], most: int = 3) -> st.SearchStrategy[list[Node]]:
    return st.lists(inner, min_size=1, max_size=most)


def _wider(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    late = _lists(inner, 2).map(lambda nodes: ["steps", ["sleep", None], *nodes])
    policy = st.sampled_from(["terminate", "cancel", "abandon"])
    return st.one_of(
        _lists(inner, 4).map(lambda nodes: ["steps", *nodes]),
        st.lists(inner, min_size=2, max_size=3).map(lambda nodes: ["gather", *nodes]),
        st.lists(late, min_size=2, max_size=3).map(lambda nodes: ["first", *nodes]),
        st.lists(st.one_of(STEP, STEP, inner), min_size=2, max_size=4).map(
            lambda nodes: ["saga", None, *nodes]
        ),
        st.builds(lambda how, node: ["child", None, how, node], policy, inner),
        inner.map(lambda node: ["try", node]),
        inner.map(lambda node: ["clean up", None, node]),
        inner.map(lambda node: ["bear", node]),
    )


NODES = st.recursive(LEAVES, _wider, max_leaves=8)
SAGAS = st.builds(
    lambda steps, last: ["saga", None, *steps, last],
    st.lists(STEP, min_size=1, max_size=3),
    st.one_of(LEAVES, st.sampled_from([["step", None, FOR_GOOD, 0], ["signal", None, None]])),
)
PARTS = st.one_of(NODES, NODES, SAGAS, SAGAS.map(lambda saga: ["try", saga]))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A program with its signals, which come at any time, and at most one other request."""
    numbers = iter(range(1, 1_000))
    run = st.lists(PARTS, min_size=2, max_size=4).map(lambda each: ["steps", *each])
    drawn = draw(st.lists(run, min_size=1, max_size=2))
    signals: list[tuple[float, str, int]] = []
    nodes = [_numbered(node, numbers, signals, where="top") for node in drawn]
    requests: list[tuple[float, str]] = []
    if not any(_has_a_race(node) for node in nodes):  # a request would wake two branches at once
        match draw(st.sampled_from(["cancel", "pause", ""])):
            case "cancel":
                requests = [(moment(next(numbers)), "cancel")]
            case "pause":
                first, last = sorted([moment(next(numbers)), moment(next(numbers))])
                requests = [(first, "pause"), (last, "resume")]
    return Program(nodes=nodes, signals=signals, requests=requests)


def _numbered(
    node: Node, numbers: Iterator[int], signals: list[tuple[float, str, int]], where: str
) -> Node:
    """The same with numbers. Each line of the program has signals of its own; a child has none."""
    match node:
        case ["signal" | "approval" as what, _, _]:
            number = next(numbers)
            if where == "":
                return ["sleep", number]
            signals.append((moment(number), where, number))
            return [what, number, where]
        case ["child", _, policy, inner]:
            number = next(numbers)
            return ["child", number, policy, _numbered(_without_races(inner), numbers, signals, "")]
        case ["gather" | "first" as what, *branches]:
            below = [where and f"{where}.{next(numbers)}" for _ in branches]
            each = zip(branches, below, strict=True)
            return [what, *(_numbered(branch, numbers, signals, name) for branch, name in each)]
        case [str(what), *rest]:
            return [
                what,
                *(
                    next(numbers)
                    if part is None
                    else _numbered(part, numbers, signals, where)
                    if isinstance(part, list)
                    else part
                    for part in rest
                ),
            ]
        case _:
            raise TypeError(node)


def _has_a_race(node: Node) -> bool:
    return node[0] in ("first", "approval") or any(
        _has_a_race(part) for part in node if isinstance(part, list)
    )


def _without_races(node: Node) -> Node:
    """A child may be cancelled by its parent, which would wake two branches at once."""
    what, *rest = node
    if what == "approval":
        return ["sleep", None]
    parts = (_without_races(part) if isinstance(part, list) else part for part in rest)
    return ["gather" if what == "first" else what, *parts]


def _lost(node: Node) -> set[int]:
    own = {node[1]} if node[0] == "step" and node[3] == FOR_GOOD else set()
    return own.union(*(_lost(part) for part in node if isinstance(part, list)))


def sagas_that_see_their_end(node: Node) -> set[int]:
    """Those that are in no race: a branch that has lost gets no further, not even back."""
    if node[0] == "first":
        return set()
    inner = (sagas_that_see_their_end(part) for part in node if isinstance(part, list))
    own = {node[1]} if node[0] == "saga" else set()
    return own.union(*inner)
