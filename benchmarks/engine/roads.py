"""Workflows and steps per second: three trivial steps each, everything durable.

`direct` is the engine alone: an instance is written and launched, and its actor ends once its last
event is on the disk. `manager` is what a user's start goes through: an id for the issue, the
decision, the issue and the instance in their databases, the workflow, and `workflow_completed` in
the event log; it is settled once every issue is closed as well.
"""

from pathlib import Path

import trio

from actors.coordination.messages import StartWorkflow
from actors.stores import Stores
from benchmarks import floor, load
from benchmarks.engine.flows import ALL
from benchmarks.engine.size import DIRECT, MANAGER, STEPS, Size
from benchmarks.engine.starting import Starter
from benchmarks.load import Timing
from benchmarks.report import Samples
from benchmarks.served import Served, served
from supervision import ask

__all__ = ["measure"]

EVENTS = STEPS + 2  # and the workflow's start and end
DEADLINE_S = 60.0
TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


def measure(size: Size, directory: Path, samples: Samples) -> None:
    """Add one round of both roads, each number in flight with the disk's floor beside it."""
    manager = dict(zip(MANAGER, size.manager, strict=True))
    for in_flight, workflows in zip(DIRECT, size.direct, strict=True):
        samples.add("floor_commits_per_s", floor.commits_per_s(directory, size.floor_commits))
        trio.run(_direct, directory / f"direct-{in_flight}", in_flight, workflows, samples)
        if in_flight in manager:
            repo = directory / f"manager-{in_flight}"
            trio.run(_manager, repo, in_flight, manager[in_flight], samples)
    trio.run(_singles, directory / "singles", size.singles, samples)


async def _direct(repo: Path, in_flight: int, workflows: int, samples: Samples) -> None:
    async with served(repo, ALL) as running:
        start = Starter(running, "three_steps")
        before = _rows(running.stores)
        timing = await load.call(start.to_its_end, calls=workflows, callers=in_flight)
        commits = running.tempolite_commits.so_far()
        fsyncs = running.all_commits.fsyncs()
        added = _rows(running.stores) - before
        _verify_engine(running.stores, workflows)
    prefix = f"direct_{in_flight}"
    _add(samples, prefix, timing)
    samples.add(f"{prefix}_rows_per_s", added / timing.seconds)
    samples.add(f"{prefix}_commits_per_workflow", commits / workflows)
    samples.add(f"fsyncs_per_workflow_{in_flight}", fsyncs / workflows)


async def _singles(repo: Path, workflows: int, samples: Samples) -> None:
    """One-step workflows, one at a time."""
    async with served(repo, ALL) as running:
        start = Starter(running, "one_step")
        await start.to_its_end()
        timing = await load.call(start.to_its_end, calls=workflows, callers=1)
    samples.add("single_p50_s", timing.percentile_s(50))
    samples.add("single_p99_s", timing.percentile_s(99))


async def _manager(repo: Path, in_flight: int, workflows: int, samples: Samples) -> None:
    workflow_ids: list[str] = []

    async def one(number: int) -> None:
        start = StartWorkflow(title=f"workflow {number}", workflow_type="three_steps")
        started = await ask(running.named("manager"), start, deadline_s=DEADLINE_S)
        workflow_ids.append(started.id)
        await running.completions.expect(started.id).wait()

    async with served(repo, ALL) as running, trio.open_nursery() as nursery:
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


def _rows(stores: Stores) -> int:
    """How many rows the three databases hold, in all their tables."""
    found = 0
    for readers in (stores.tempolite, stores.coordination, stores.beads):
        tables = readers.inline.execute(TABLES).fetchall()
        for (table,) in tables:
            counting = f'SELECT count(*) FROM "{table}"'  # noqa: S608  names of our own tables
            found += readers.inline.execute(counting).fetchone()[0]
    return found


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
