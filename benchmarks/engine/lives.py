"""What is left of a life that ends with `kill -9`, and how the next one goes on: `life.py`.

The direct road makes no issues, but a data directory in which the engine knows workflows that the
bridge does not is refused. So between the two lives each gets its line in the bridge's table.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.engine.flows import can_wait
from benchmarks.engine.life import WARM_UP
from benchmarks.engine.size import Size
from benchmarks.report import Samples
from storage.coordination.queries import insert_mapping
from storage.database import open_reader, open_writer
from storage.home import DataDir

__all__ = ["measure"]

ROOM = Path(__file__).parents[2]
AT = "2026-01-01T00:00:00.000000Z"


def measure(size: Size, directory: Path, samples: Samples) -> None:
    """Add recoveries, and the start beside workflows that wait."""
    for count in size.recovered:
        repo = directory / f"recover-{count}"
        with _alive("interrupt", repo, count, "first"):
            pass
        _map(repo)
        began = perf_counter()
        with _alive("recover", repo, count, "second") as found:
            samples.add(f"recover_{count}_process_s", perf_counter() - began)
            samples.add(f"recover_{count}_s", found["seconds"])
    if can_wait():
        _measure_waiting(size.waiting, directory / "waiting", samples)


def _measure_waiting(count: int, repo: Path, samples: Samples) -> None:
    with _alive("wait", repo, count, "first") as found:
        samples.add("started_waiting_workflow_bytes", _each(found["bytes"], count))
    _map(repo)
    waiting = count + WARM_UP
    with _alive("first_progress", repo, waiting, "second") as found:
        samples.add(f"first_progress_{count}_waiting_s", found["seconds"])
    with _alive("first_progress", repo.with_name("nobody-waits"), 0, "first") as without:
        grown = found["bytes"] - without["bytes"]
    samples.add("waiting_workflow_bytes", _each(grown, waiting))


def _each(grown_bytes: float, count: int) -> float:
    """What is less than a byte, or below nothing, cannot be told from it."""
    return max(1.0, grown_bytes / count)


@contextmanager
def _alive(kind: str, repo: Path, count: int, life: str) -> Iterator[dict[str, Any]]:
    """A life that has got where it was to get; it is killed when the block ends."""
    command = [sys.executable, "-m", "benchmarks.engine.life", kind, str(repo), str(count), life]
    with subprocess.Popen(command, cwd=ROOM, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said, f"the life of {kind!r} ended before it got anywhere"
            yield json.loads(said)
        finally:
            process.kill()


def _map(repo: Path) -> None:
    with DataDir.resolve(repo) as data:
        with closing(open_reader(data.tempolite_db)) as engine:
            made = engine.execute("SELECT workflow_id, name FROM instances").fetchall()
        with closing(open_writer(data.coordination_db)) as bridge:
            bridge.execute("BEGIN")
            for number, (workflow_id, name) in enumerate(made):
                insert_mapping(bridge, _line(number, workflow_id, name))
            bridge.execute("COMMIT")


def _line(number: int, workflow_id: str, name: str) -> dict[str, object]:
    return {
        "issue_id": f"bench-{number}",
        "workflow_id": workflow_id,
        "workflow_type": name,
        "version": 1,
        "title": workflow_id,
        "status": "active",
        "priority": 2,
        "agent_type": None,
        "variables": "{}",
        "at": AT,
        "idempotency_key": None,
        "request_sha256": "",
    }
