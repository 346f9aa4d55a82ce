"""Workflows and steps per second: three trivial steps each, everything durable.

`direct` is the engine alone: an instance is written and launched, and its actor ends once its last
event is on the disk. `manager` is what a user's start goes through: an id for the issue, the
decision, the issue and the instance in their databases, the workflow, and `workflow_completed` in
the event log; it is settled once every issue is closed as well.
"""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import trio

from actors.clock import rfc3339, system_clock
from actors.coordination.messages import StartWorkflow
from actors.hints import hint
from actors.ids import workflow_id as new_workflow_id
from actors.stores import Stores
from actors.workflows.messages import CreateInstance, Launch
from actors.writer import write
from beadflow import Context, activity, workflow
from benchmarks import floor, load
from benchmarks.load import Timing
from benchmarks.report import Report, Samples, Scale, main
from benchmarks.served import Served, served
from storage import payload
from supervision import ask

NAME = "engine"
STEPS = 3
EVENTS = STEPS + 2  # and the workflow's start and end
IN_FLIGHT = (1, 16, 64, 256)
DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured: workflows at each number in flight, rounds, commits of the floor."""

    workflows: tuple[int, ...]
    rounds: int
    floor_commits: int


SIZES: Mapping[Scale, Size] = {
    Scale.FULL: Size(workflows=(350, 1000, 1000, 1000), rounds=3, floor_commits=2000),
    Scale.QUICK: Size(workflows=(40, 120, 250, 300), rounds=1, floor_commits=500),
    Scale.SMOKE: Size(workflows=(3, 5, 5, 5), rounds=1, floor_commits=50),
}


@activity
async def successor(number: int) -> int:
    return number + 1


@workflow
async def three_steps(ctx: Context) -> int:
    number = 0
    for _ in range(STEPS):
        number = await ctx.activity(successor, number)
    return number


def run(scale: Scale, directory: Path) -> Report:
    size = SIZES[scale]
    samples = Samples()
    for number in range(size.rounds):
        _round(size, directory / f"round-{number}", samples)
    figures = samples.medians()
    return Report(
        name=NAME,
        settings={"scale": scale, "steps": STEPS, "in_flight": IN_FLIGHT, **asdict(size)},
        figures=figures,
        ratios={
            f"{path}_{in_flight}_workflows_to_floor": round(
                figures[f"{path}_{in_flight}_workflows_per_s"] / figures["floor_commits_per_s"], 4
            )
            for path in ("direct", "manager")
            for in_flight in IN_FLIGHT
        },
    )


def _round(size: Size, directory: Path, samples: Samples) -> None:
    for in_flight, workflows in zip(IN_FLIGHT, size.workflows, strict=True):
        floor_per_s = floor.commits_per_s(directory, size.floor_commits)
        samples.add("floor_commits_per_s", floor_per_s)
        for path in (_direct, _manager):
            repo = directory / f"{path.__name__}-{in_flight}"
            trio.run(path, repo, in_flight, workflows, samples)


async def _direct(repo: Path, in_flight: int, workflows: int, samples: Samples) -> None:
    chance = random.Random(2)

    async def one(_: int) -> None:
        at = system_clock()
        instance = _instance(new_workflow_id("three_steps", at, chance), rfc3339(at))
        ended = running.exits.expect(instance.workflow_id)
        await write(running.named("tempolite_writer"), instance)
        hint(running.named("dispatcher"), Launch(workflow_id=instance.workflow_id))
        await ended.wait()

    async with served(repo, [three_steps]) as running:
        timing = await load.call(one, calls=workflows, callers=in_flight)
        commits = running.tempolite_commits.so_far()
        _verify_engine(running.stores, workflows)
    prefix = f"direct_{in_flight}"
    _add(samples, prefix, timing)
    samples.add(f"{prefix}_commits_per_workflow", commits / workflows)


def _instance(workflow_id: str, at: str) -> CreateInstance:
    return CreateInstance(
        workflow_id=workflow_id,
        issue_id="bench-none",
        name="three_steps",
        version=1,
        variables=payload.encode({}),
        agent_type=None,
        agent_id=None,
        queued=False,
        at=at,
    )


async def _manager(repo: Path, in_flight: int, workflows: int, samples: Samples) -> None:
    workflow_ids: list[str] = []

    async def one(number: int) -> None:
        start = StartWorkflow(title=f"workflow {number}", workflow_type="three_steps")
        started = await ask(running.named("manager"), start, deadline_s=DEADLINE_S)
        workflow_ids.append(started.id)
        await running.completions.expect(started.id).wait()

    async with served(repo, [three_steps]) as running, trio.open_nursery() as nursery:
        nursery.start_soon(running.follow)
        timing = await load.call(one, calls=workflows, callers=in_flight)
        settling_s = await _settle(running, workflow_ids)
        commits = running.all_commits.so_far()
        _verify_engine(running.stores, workflows)
        _verify_bridge(running.stores, workflows)
        nursery.cancel_scope.cancel()
    prefix = f"manager_{in_flight}"
    _add(samples, prefix, timing)
    samples.add(f"{prefix}_settled_workflows_per_s", workflows / (timing.seconds + settling_s))
    samples.add(f"{prefix}_commits_per_workflow", commits / workflows)


async def _settle(running: Served, workflow_ids: list[str]) -> float:
    """Wait until every issue is closed; answers the seconds that took."""
    started_s = trio.current_time()
    for workflow_id in workflow_ids:
        await running.closings.expect(workflow_id).wait()
    return trio.current_time() - started_s


def _verify_engine(stores: Stores, workflows: int) -> None:
    """Every workflow has completed with a whole history, or the figures are worth nothing."""
    ended = stores.tempolite.inline.execute(
        "SELECT count(*) FROM instances WHERE status = 'completed'"
    )
    assert ended.fetchone()[0] == workflows
    events = stores.tempolite.inline.execute("SELECT count(*) FROM history")
    assert events.fetchone()[0] == EVENTS * workflows


def _verify_bridge(stores: Stores, workflows: int) -> None:
    logged = stores.coordination.inline.execute(
        "SELECT count(*) FROM events WHERE type = 'workflow_completed'"
    )
    assert logged.fetchone()[0] == workflows
    closed = stores.beads.inline.execute("SELECT count(*) FROM issues WHERE status = 'closed'")
    assert closed.fetchone()[0] == workflows


def _add(samples: Samples, prefix: str, timing: Timing) -> None:
    samples.add(f"{prefix}_workflows_per_s", timing.per_s)
    samples.add(f"{prefix}_steps_per_s", STEPS * timing.per_s)
    samples.add(f"{prefix}_p50_s", timing.percentile_s(50))
    samples.add(f"{prefix}_p99_s", timing.percentile_s(99))


if __name__ == "__main__":
    main(NAME, run)
