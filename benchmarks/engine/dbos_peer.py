"""The process in which DBOS is measured, in the environment that has it and nothing of ours.

    python dbos_peer.py DIRECTORY JOURNAL STEPS SINGLES WORKFLOWS_1 WORKFLOWS_64

prints one JSON object: its settings as its own connections have them, and figures. JOURNAL is
`default` or `wal_normal`: the latter sets SQLite's write-ahead log and `synchronous=NORMAL` on each
connection that it opens, which DBOS itself does not do.

A workflow is a plain call from a thread, one thread for each in flight: of the ways that DBOS has
(`start_workflow`, queues, asyncio) the fastest, on SQLite.
"""

import contextlib
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

IN_FLIGHT = (1, 64)
PRAGMAS = {
    "default": (),
    "wal_normal": ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL"),
}


def _measure(directory: Path, journal: str, steps: int, singles: int, amounts: list[int]) -> None:
    seen = _watch_connections(PRAGMAS[journal])
    module: Any = import_module("dbos")
    dbos = module.DBOS
    url = f"sqlite:///{directory / 'dbos.sqlite'}"
    config = {"name": "bench", "system_database_url": url, "log_level": "ERROR"}
    with contextlib.redirect_stdout(sys.stderr):
        dbos(config=config)

        @dbos.step()  # type: ignore[untyped-decorator]
        def successor(number: int) -> int:
            return number + 1

        @dbos.workflow()  # type: ignore[untyped-decorator]
        def one_step() -> int:
            done: int = successor(0)
            return done

        @dbos.workflow()  # type: ignore[untyped-decorator]
        def three_steps() -> int:
            number = 0
            for _ in range(steps):
                number = successor(number)
            return number

        dbos.launch()
        one_step(), three_steps()  # whatever is made at the first call
        each_s = sorted(_timed(one_step, 1) for _ in range(singles))
        figures = {
            "single_p50_s": quantiles(each_s, n=100, method="inclusive")[49],
            "single_p99_s": quantiles(each_s, n=100, method="inclusive")[98],
        }
        for in_flight, workflows in zip(IN_FLIGHT, amounts, strict=True):
            rate = _workflows_per_s(three_steps, steps, in_flight, workflows)
            figures[f"{in_flight}_workflows_per_s"] = rate
            figures[f"{in_flight}_steps_per_s"] = steps * rate
        ended = len(dbos.list_workflows(status="SUCCESS", load_input=False, load_output=False))
        assert ended == 2 + singles + sum(amounts), ended
        dbos.destroy()
    settings = {"version": version("dbos"), **seen}
    print(json.dumps({"settings": settings, "figures": figures}), flush=True)


def _watch_connections(pragmas: tuple[str, ...]) -> dict[str, object]:
    """Sets each new connection up; answers where what the last one had will be found."""
    alchemy: Any = import_module("sqlalchemy")
    seen: dict[str, object] = {}

    def connected(connection: Any, _record: object) -> None:
        for pragma in pragmas:
            connection.execute(pragma)
        for name in ("journal_mode", "synchronous"):
            seen[name] = connection.execute(f"PRAGMA {name}").fetchone()[0]

    alchemy.event.listen(alchemy.engine.Engine, "connect", connected)
    return seen


def _workflows_per_s(
    run: Callable[[], int], expected: int, in_flight: int, workflows: int
) -> float:
    with ThreadPoolExecutor(in_flight) as threads:
        list(threads.map(lambda _: None, range(in_flight)))
        started = perf_counter()
        results = list(threads.map(lambda _: run(), range(workflows)))
        seconds = perf_counter() - started
    assert results == [expected] * workflows
    return workflows / seconds


def _timed(run: Callable[[], int], expected: int) -> float:
    started = perf_counter()
    assert run() == expected
    return perf_counter() - started


if __name__ == "__main__":
    _, place, kind, *numbers = sys.argv
    each, ones, *most = map(int, numbers)
    _measure(Path(place), kind, each, ones, most)
