"""One call after another to the tracker of a whole running tree, on real files.

What is written is acknowledged when it is durable; the file is published, and recorded in Git,
beside it, as it is in use.
"""

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter

from actors.issues.messages import Flush, RecordNow
from actors.issues.questions import IssueFilter, QueryIssues, ReadyIssues, ShowIssue
from actors.issues.verbs import CloseIssue, NewIssue, UpdateIssue
from benchmarks import load
from benchmarks.issues.size import Size
from benchmarks.report import Samples
from benchmarks.served import Served, served
from storage.issues.file import PUBLISHED
from supervision import ask

__all__ = ["KINDS", "measure"]

KINDS = ("ready", "list", "search", "show", "create", "update", "close")
DEADLINE_S = 300.0
TEXT = "What has to be done, and how to see that it was, in a few lines of text. " * 5

One = Callable[[int], Awaitable[object]]


async def measure(size: Size, name: str, repo: Path, data: bytes, samples: Samples) -> None:
    """Add one round at one number of issues, whose published file is given."""
    async with served(repo, ()) as running:
        samples.add(f"import_{name}_s", await _import(running, repo, data))
        await _calls(running, size, name, samples)
        await ask(running.named("publisher"), Flush(), deadline_s=DEADLINE_S)
    began = perf_counter()
    async with served(repo, (), life="second") as running:
        found = await ask(running.named("tracker"), ReadyIssues(), deadline_s=DEADLINE_S)
        samples.add(f"cold_start_{name}_s", perf_counter() - began)
        assert found


async def _import(running: Served, repo: Path, data: bytes) -> float:
    """Put the file there, and see it taken in and answered from."""
    path = repo / PUBLISHED
    path.parent.mkdir()
    path.write_bytes(data)
    began = perf_counter()
    await ask(running.named("publisher"), Flush(), deadline_s=DEADLINE_S)
    page = await ask(
        running.named("tracker"),
        QueryIssues(filter=IssueFilter(status=ALL), limit=1),
        deadline_s=DEADLINE_S,
    )
    took = perf_counter() - began
    assert page.total == data.count(b"\n")
    return took


ALL = ("open", "closed", "tombstone", "hooked")


async def _calls(running: Served, size: Size, name: str, samples: Samples) -> None:
    tracker = running.named("tracker")
    chance = random.Random(1)
    page = await ask(tracker, QueryIssues(limit=1000, closed=True))
    there = [issue.id for issue in page.issues]
    created: list[str] = []

    async def ready(_: int) -> None:
        assert await ask(tracker, ReadyIssues())

    async def listed(_: int) -> None:
        assert (await ask(tracker, QueryIssues())).issues

    async def search(_: int) -> None:
        assert (await ask(tracker, QueryIssues(filter=IssueFilter(text="gate")))).total

    async def show(_: int) -> None:
        await ask(tracker, ShowIssue(issue_id=chance.choice(there)))

    async def create(number: int) -> None:
        fields = {"title": f"issue {number}", "description": TEXT}
        created.append((await ask(tracker, NewIssue(fields=fields, actor="benchmark"))).id)

    async def update(number: int) -> None:
        change = UpdateIssue(
            issue_id=created[number], actor="benchmark", fields={"priority": number % 5}
        )
        await ask(tracker, change)

    async def close(number: int) -> None:
        await ask(tracker, CloseIssue(issue_id=created[number], actor="benchmark"))

    reads: dict[str, One] = {"ready": ready, "list": listed, "show": show}
    writes: dict[str, One] = {"create": create, "update": update, "close": close}
    for kind, one in reads.items():
        await _time(one, size.reads, f"{kind}_{name}", samples)
    await _time(search, max(2, size.reads // 10), f"search_{name}", samples)
    # What the import left to be recorded in Git is not what a write costs.
    await ask(running.named("publisher"), RecordNow(), deadline_s=DEADLINE_S)
    for kind, one in writes.items():
        await _time(one, size.writes, f"{kind}_{name}", samples)
    assert (await ask(tracker, ShowIssue(issue_id=created[-1]))).issue.status == "closed"


async def _time(one: One, calls: int, key: str, samples: Samples) -> None:
    timing = await load.call(one, calls=calls, callers=1)
    samples.add(f"{key}_p50_ms", timing.percentile_s(50) * 1000)
    samples.add(f"{key}_p99_ms", timing.percentile_s(99) * 1000)
