"""Starts and handoffs, asked of the manager as the API asks them."""

from itertools import count
from pathlib import Path

import trio

from actors.coordination.assignment_messages import HandOff
from actors.coordination.messages import StartWorkflow, WorkflowRecord
from actors.writer import Settle, write
from benchmarks import load
from benchmarks.bridge import raw
from benchmarks.bridge.flows import FIRST, SECOND, WORKERS, passed_on
from benchmarks.bridge.raw import Template
from benchmarks.bridge.size import CLIENTS, Size
from benchmarks.load import Timing
from benchmarks.report import Samples
from benchmarks.served import Served, served
from supervision import ask

__all__ = ["measure"]

DEADLINE_S = 60.0


def measure(size: Size, directory: Path, samples: Samples) -> None:
    """Add one round: each number of clients, and the bare connections beside it."""
    for clients, starts, handoffs in zip(CLIENTS, size.starts, size.handoffs, strict=True):
        place = directory / f"starts-{clients}"
        template = trio.run(_starts, place, clients, starts, size.warm_up, samples)
        rate = raw.starts_per_s(
            directory / f"raw-{clients}", template, starts=starts, at_once=clients
        )
        samples.add(f"raw_writer_{clients}_starts_per_s", rate)
        place = directory / f"handoffs-{clients}"
        trio.run(_handoffs, place, clients, handoffs, size.warm_up, samples)


async def _starts(
    repo: Path, clients: int, starts: int, warm_up: int, samples: Samples
) -> Template:
    async with served(repo, [passed_on], agents=WORKERS) as running:

        async def one(_number: int) -> WorkflowRecord:
            return await _start(running)

        first = await _start(running)
        await load.call(one, calls=warm_up, callers=clients)
        commits = running.all_commits.so_far()
        timing = await load.call(one, calls=starts, callers=clients)
        commits = running.all_commits.so_far() - commits
        await _verify_starts(running, 1 + warm_up + starts)
        template = raw.template_of(running, first.id, first.beads_issue_id)
    _add(samples, "start", clients, timing)
    samples.add(f"starts_{clients}_commits_per_start", commits / starts)
    return template


async def _start(running: Served) -> WorkflowRecord:
    start = StartWorkflow(title="a workflow that waits", workflow_type="passed_on")
    return await ask(running.named("manager"), start, deadline_s=DEADLINE_S)


async def _handoffs(
    repo: Path, clients: int, handoffs: int, warm_up: int, samples: Samples
) -> None:
    """Each client hands one workflow of its own there and back."""
    async with served(repo, [passed_on], agents=WORKERS) as running:
        free = [(await _start(running)).id for _ in range(clients)]
        holders: dict[str, str] = {}
        for workflow_id in free:
            holders[workflow_id] = _holder(running, workflow_id)
        moved = count()

        async def one(_number: int) -> None:
            workflow_id = free.pop()
            holder = holders[workflow_id]
            other = SECOND if holder == FIRST else FIRST
            message = HandOff(workflow_id=workflow_id, from_agent=holder, to_agent=other)
            await ask(running.named("manager"), message, deadline_s=DEADLINE_S)
            holders[workflow_id] = other
            free.append(workflow_id)
            next(moved)

        await load.call(one, calls=max(warm_up, clients), callers=clients)
        timing = await load.call(one, calls=handoffs, callers=clients)
        _verify_handoffs(running, next(moved), holders)
    _add(samples, "handoff", clients, timing)


def _add(samples: Samples, what: str, clients: int, timing: Timing) -> None:
    samples.add(f"{what}s_{clients}_per_s", timing.per_s)
    samples.add(f"{what}_{clients}_p50_ms", 1000 * timing.percentile_s(50))
    samples.add(f"{what}_{clients}_p99_ms", 1000 * timing.percentile_s(99))


async def _verify_starts(running: Served, starts: int) -> None:
    """Every start is in all three databases, and no intent is left open."""
    stores = running.stores
    for readers, table in (
        (stores.coordination, "workflow_mappings"),
        (stores.beads, "issues"),
        (stores.tempolite, "instances"),
    ):
        counting = f"SELECT count(*) FROM {table}"  # noqa: S608 - constants
        assert readers.inline.execute(counting).fetchone()[0] == starts
    await write(running.named("coordination_writer"), Settle())
    (open_,) = stores.coordination.inline.execute("SELECT count(*) FROM intents").fetchone()
    assert open_ == 0


def _holder(running: Served, workflow_id: str) -> str:
    (found,) = running.stores.coordination.inline.execute(
        "SELECT agent_id FROM agent_assignments WHERE workflow_id = ? AND status = 'assigned'",
        (workflow_id,),
    ).fetchone()
    return str(found)


def _verify_handoffs(running: Served, handoffs: int, holders: dict[str, str]) -> None:
    """Each of them ended one assignment, and everybody has what it should."""
    (ended,) = running.stores.coordination.inline.execute(
        "SELECT count(*) FROM agent_assignments WHERE status = 'completed'"
    ).fetchone()
    assert ended == handoffs
    assert holders == {workflow_id: _holder(running, workflow_id) for workflow_id in holders}
