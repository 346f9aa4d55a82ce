"""A workflow that was cut off anywhere ends as if nothing had happened."""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.batch import Batches
from actors.clock import rfc3339
from actors.errors import Conflict
from actors.workflows import document
from actors.workflows.definition import Definitions
from actors.workflows.history import CLOSED, STATUS_AFTER, Kind, idempotency_key
from actors.workflows.messages import (
    AddSignal,
    AppendHistory,
    PauseInstance,
    RequestCancel,
    ResumeInstance,
)
from actors.workflows.replay import _CLOSES
from actors.workflows.rerun import Fit, rerun
from storage import payload
from tests.actors.workflows.programs import (
    Hand,
    Program,
    ledger,
    lift,
    program,
    programs,
    sagas_that_see_their_end,
)
from tests.support import engine
from tests.support.bare import EPOCH, Engine, Image
from tests.support.world import Running, running_system

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
EXAMPLES = 1_000 if SOAK else 150
ROOT = "w-1"
LONG_S = 100_000.0
ENDS = {kind for kind, status in STATUS_AFTER.items() if status in CLOSED}

Event = tuple[str, str, str, str]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a program.

    Args:
        statuses: of the workflow and its children.
        events: {workflow: what it recorded, in the order of its operations}, without those that
            were in progress when their branch lost.
        booked: rows of transactions.
        undone: {saga: what was undone, in order}.
    """

    statuses: dict[str, str]
    events: dict[str, list[Event]]
    booked: Counter[int]
    undone: dict[int, list[int]]

    @classmethod
    def of(cls, life: Engine) -> "Outcome":
        found = life.connection
        statuses = dict(found.execute("SELECT workflow_id, status FROM instances").fetchall())
        events: dict[str, list[Event]] = {workflow_id: [] for workflow_id in statuses}
        for workflow_id, op, kind, name, text in found.execute(
            "SELECT workflow_id, op, kind, name, payload FROM history ORDER BY op, seq"
        ):
            if name == "pay":  # looked up after a cut, it says so
                if kind == Kind.ACTIVITY_STARTED:
                    continue
                if kind == Kind.ACTIVITY_COMPLETED:
                    text = str(payload.decode(text)["result"])  # noqa: PLW2901 - what counts of it
            if kind == Kind.VERSION_MARKED:
                op = f"version {name}"  # noqa: PLW2901 - branches mark theirs in any order
            events[workflow_id].append((op, kind, name, text))
        for workflow_id, found_events in events.items():
            found_events.sort(key=lambda event: event[0])
            lost = {event[0] for event in found_events if _is_lost(event)}
            events[workflow_id] = [event for event in found_events if event[0] not in lost]
        tables = {row[0] for row in found.execute("SELECT name FROM sqlite_schema")}
        booked = found.execute("SELECT number FROM ledger") if "ledger" in tables else ()
        return cls(
            statuses=statuses,
            events=events,
            booked=Counter(row[0] for row in booked),
            undone=_by_saga("undone"),
        )


def _is_lost(event: Event) -> bool:
    """Whether a branch that lost had still begun its next operation is up to the scheduler."""
    _, kind, _, text = event
    return kind == Kind.OPERATION_CANCELLED and "lost" in payload.decode(text)


def _by_saga(what: str) -> dict[int, list[int]]:
    """Steps in the order in which they first happened."""
    found: dict[int, list[int]] = {}
    for entry, saga, number in ledger:
        if entry == what and number not in found.setdefault(saga, []):
            found[saga].append(number)
    return found


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_a_program_that_is_cut_off_after_any_event_ends_as_if_it_had_not_been(
    example: Program,
) -> None:
    trio.run(_compare, example, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            Program(
                nodes=[["work", 1, 0], ["signal", 2, "top"]],
                signals=[(0.0, "top", 2)],
                requests=[(1.0, "pause"), (2.0, "resume")],  # too late for who takes it at once
            ),
            id="a new run takes the signals that the one before has left",
        ),
        pytest.param(
            Program(nodes=[["work", 1, 2]], requests=[(0.2, "pause"), (5.0, "resume")]),
            id="a paused workflow tries nothing again until it is resumed",
        ),
        pytest.param(
            Program(
                nodes=[["steps", ["sleep", 1], ["sleep", 3]]],
                requests=[(0.2, "pause"), (5.0, "resume")],
            ),
            id="a paused workflow begins no timer until it is resumed",
        ),
        pytest.param(
            Program(
                nodes=[
                    [
                        "first",
                        ["steps", ["sleep", 1], ["book", 2, 0]],
                        ["child", 3, "cancel", ["sleep", 5]],
                    ]
                ],
            ),
            id="what a loser had begun ends with it",
        ),
        pytest.param(
            Program(
                nodes=[
                    [
                        "steps",
                        ["work", 1, 0],
                        ["try", ["child", 2, "terminate", ["clean up", 3, ["work", 4, 0]]]],
                    ]
                ],
                requests=[(0.209251, "cancel")],
            ),
            id="a child that is being cancelled is waited for in the next life, too",
        ),
    ],
)
def test_a_program_that_was_once_told_otherwise_is_told_the_same(example: Program) -> None:
    for _ in range(10):  # trio's scheduler takes turns
        trio.run(_compare, example, clock=MockClock(autojump_threshold=0))


async def _compare(example: Program) -> None:
    ledger.clear()
    images, whole = await _run(example, None)
    happened = list(ledger)
    _check(example, whole, lives=1)
    for image, following in zip(images, [*images[1:], None], strict=True):
        # What was done before the next commit was done, and nobody knows.
        ledger[:] = happened if following is None else happened[: following.note[1]]
        before = len(ledger)
        known = _recorded(image)
        _, found = await _run(example, image)
        assert found == whole
        again = {(what, which) for what, which, _ in ledger[before:]}
        assert not again & known
        _check(example, found, lives=2)


def _recorded(image: Image) -> set[tuple[str, Any]]:
    """Attempts and side effects whose outcome is recorded, as the ledger calls them."""
    with closing(image.open()) as found:
        outcomes = found.execute(
            "SELECT workflow_id, op FROM history WHERE kind IN"
            " ('activity_completed', 'activity_failed', 'operation_cancelled')"
        ).fetchall()
        effects = found.execute(
            "SELECT payload FROM history WHERE kind = 'side_effect_recorded' AND name = ''"
        ).fetchall()
    attempts = {("attempt", idempotency_key(*row)) for row in outcomes}
    return attempts | {("effect", payload.decode(text)["result"]) for (text,) in effects}


def _check(example: Program, outcome: Outcome, *, lives: int) -> None:
    """What holds of every program, whatever it does."""
    for workflow_id, events in outcome.events.items():
        ends = Counter(op for op, kind, *_ in events if op and kind in _CLOSES)
        assert max(ends.values(), default=1) == 1, workflow_id
        closings = [kind for op, kind, *_ in events if kind in ENDS]
        assert len(closings) == 1, workflow_id
    assert set(outcome.booked.values()) <= {1}
    assert max(Counter(ledger).values(), default=1) <= lives
    done = _by_saga("done")
    for saga in set().union(*map(sagas_that_see_their_end, example.nodes)):
        back = [n for n in reversed(done.get(saga, [])) if n not in example.lost]
        assert outcome.undone.get(saga, []) in ([], back)


async def _run(example: Program, image: Image | None) -> tuple[list[Image], Outcome]:
    """Run a program to its end, from an image if there is one."""
    asked = 0 if image is None else image.note[0]
    outcomes: list[Outcome] = []

    async def main(life: Engine) -> None:
        if image is None:
            await life.start(ROOT, "program", example.variables)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            with trio.fail_after(LONG_S):
                await life.closed()
            nursery.cancel_scope.cancel()
        outcomes.append(Outcome.of(life))

    async def ask() -> None:
        nonlocal asked
        for at_s, request in _requests(example, ROOT)[asked:]:
            await trio.sleep(at_s - life.now_s)
            asked += 1
            try:
                await life.send(request(rfc3339(life.now())))
            except Conflict:
                return  # it has closed

    life = Engine(
        [program],
        image=image,
        keep=(lambda: (asked, len(ledger))) if image is None else None,
        lift=lift,
    )
    await life.run(main)
    return life.images, outcomes[0]


def _requests(example: Program, workflow_id: str) -> Sequence[tuple[float, Any]]:
    """(when, command at that time), in order."""
    found: list[tuple[float, Any]] = [
        (at_s, lambda at, name=name, value=value: AddSignal(
            workflow_id=workflow_id,
            message_id=str(value),
            name=name,
            value=payload.encode(value),
            at=at,
        ))
        for at_s, name, value in example.signals
    ]  # fmt: skip
    for at_s, what in example.requests:
        match what:
            case "cancel":
                ask = lambda at: RequestCancel(workflow_id=workflow_id, reason="enough", at=at)  # noqa: E731
            case "pause":
                ask = lambda at: PauseInstance(workflow_id=workflow_id, reason="wait", at=at)  # noqa: E731
            case _:
                ask = lambda at: ResumeInstance(workflow_id=workflow_id, at=at)  # noqa: E731
        found.append((at_s, ask))
    return sorted(found, key=lambda each: each[0])


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_a_rerun_finds_that_every_history_fits_the_program_that_made_it(example: Program) -> None:
    trio.run(_rerun_all, example, clock=MockClock(autojump_threshold=0))


async def _rerun_all(example: Program) -> None:
    """Of what each commit has left; and nothing happens meanwhile."""
    ledger.clear()
    images, _ = await _run(example, None)
    happened = list(ledger)
    for image in images:
        with closing(image.open()) as found:
            found.row_factory = sqlite3.Row
            ids = [row[0] for row in found.execute("SELECT workflow_id FROM instances")]
            for workflow_id in ids:
                workflow = document.recorded(found, workflow_id)
                assert workflow is not None
                verdict = await rerun(workflow, Definitions.of([program]))
                assert verdict.fit is Fit.FITS, verdict
                if workflow.events[-1].kind in (Kind.WORKFLOW_COMPLETED, Kind.WORKFLOW_FAILED):
                    assert verdict.complete, verdict
    assert ledger == happened


@settings(
    max_examples=100 if SOAK else 10,
    deadline=None,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(programs(), st.integers(1, 5))
def test_a_program_ends_the_same_in_a_system_that_is_started_again_and_again(
    tmp_path_factory: pytest.TempPathFactory, example: Program, commits: int
) -> None:
    """Of the whole tree, on files, each life of which ends after so many commits of the engine."""
    place = tmp_path_factory.mktemp("system")

    async def compare() -> None:
        whole = await _in_systems(example, place / "whole", LONG_S)
        found = await _in_systems(example, place / "cut", commits)
        assert found == whole

    trio.run(compare, clock=MockClock(autojump_threshold=0))


async def _in_systems(example: Program, repo: Path, commits: float) -> dict[str, Any]:
    """Run a program to its end, as many lives as that takes; what each workflow did and became."""
    begun_s = trio.current_time()
    repo.mkdir()
    ledger.clear()
    ids: list[str] = []
    asked: list[float] = []
    while True:
        with _ended_after(commits) as scope:
            async with _running(repo) as running:
                with scope:
                    if not ids:
                        started = await running.start("program", variables=example.variables)
                        ids.append(started.id)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(_ask, running, example, ids[0], asked, begun_s)
                        await _until_closed(running)
                        nursery.cancel_scope.cancel()
                    return _became(running, ids[0])


def _running(repo: Path) -> AbstractAsyncContextManager[Running]:
    return running_system(repo, workflows=[program], agents=[Hand], inline=True, clock=_now)


def _now() -> datetime:
    return EPOCH + timedelta(seconds=trio.current_time())


@contextmanager
def _ended_after(commits: float) -> Iterator[trio.CancelScope]:
    """Cancel what runs in the scope once a workflow's actor has stored so much."""
    scope, commit, left = trio.CancelScope(), Batches.commit, commits

    def count(self: Batches, connection: Any, commands: Any) -> Any:
        nonlocal left
        outcomes = commit(self, connection, commands)
        left -= any(isinstance(command, AppendHistory) for command in commands)
        if left <= 0:
            scope.cancel()
        return outcomes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batches, "commit", count)
        yield scope


async def _ask(
    running: Running, example: Program, workflow_id: str, asked: list[float], begun_s: float
) -> None:
    for at_s, request in _requests(example, workflow_id)[len(asked) :]:
        await trio.sleep_until(begun_s + at_s)
        with suppress(Conflict):  # it has closed
            await engine.send(running, request(engine.now(running)))
        asked.append(at_s)


async def _until_closed(running: Running) -> None:
    sql = "SELECT status FROM instances"
    with trio.fail_after(LONG_S):
        while any(row[0] not in CLOSED for row in running.stores.tempolite.inline.execute(sql)):
            await trio.sleep(0.5)


def _became(running: Running, root: str) -> dict[str, Any]:
    found = running.stores.tempolite.inline
    lost = {
        (row["workflow_id"], row["op"])
        for row in found.execute("SELECT * FROM history WHERE kind = 'operation_cancelled'")
        if "lost" in payload.decode(row["payload"])
    }
    became: dict[str, Any] = dict(found.execute("SELECT workflow_id, status FROM instances"))
    for workflow_id, status in list(became.items()):
        rows = found.execute(
            "SELECT op, kind, name FROM history WHERE workflow_id = ? AND kind NOT IN"
            " ('activity_started')",
            (workflow_id,),
        )
        did = sorted(tuple(row) for row in rows if (workflow_id, row["op"]) not in lost)
        became[workflow_id] = [status, did]
    return {workflow_id.replace(root, "root"): each for workflow_id, each in became.items()}
