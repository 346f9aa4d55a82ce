"""What grows: the history of one workflow, and the number of those that have ended."""

from pathlib import Path

import trio

from benchmarks import load
from benchmarks.engine.flows import ALL
from benchmarks.engine.size import Size
from benchmarks.engine.starting import Starter
from benchmarks.report import Samples
from benchmarks.served import served

__all__ = ["IN_FLIGHT", "measure"]

IN_FLIGHT = 64


def measure(size: Size, directory: Path, samples: Samples) -> None:
    """Add one long workflow, and the rate after few and after many."""
    trio.run(_history, directory / "history", size.steps, samples)
    trio.run(_finished, directory / "finished", size.finished, samples)


async def _history(repo: Path, steps: int, samples: Samples) -> None:
    async with served(repo, ALL) as running:
        start = Starter(running, "long_history", {"steps": steps})
        began = trio.current_time()
        await start.to_its_end()
        seconds = trio.current_time() - began
        counting = "SELECT count(*) FROM history"
        (events,) = running.stores.tempolite.inline.execute(counting).fetchone()
        assert events == steps + 2
    samples.add(f"history_{steps}_steps_per_s", steps / seconds)


async def _finished(repo: Path, finished: tuple[int, int], samples: Samples) -> None:
    few, many = finished
    async with served(repo, ALL) as running:
        start = Starter(running, "three_steps")

        async def run(workflows: int) -> float:
            timing = await load.call(start.to_its_end, calls=workflows, callers=IN_FLIGHT)
            return timing.per_s

        await run(few)
        for count in finished:
            await run(count - len(start.ids))
            samples.add(f"after_{count}_finished_workflows_per_s", await run(few))
        ended = "SELECT count(*) FROM instances WHERE status = 'completed'"
        (there,) = running.stores.tempolite.inline.execute(ended).fetchone()
        assert there == len(start.ids) == many + few
