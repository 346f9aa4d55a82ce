"""Measures two commits against each other, in turns, so that what slows the machine slows both.

The benchmark itself is that of head at both commits: only what it measures differs.
"""

import ast
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

import trio

from actors.agents.kit import patches
from actors.agents.kit.beating import beating
from actors.agents.kit.checkouts import Checkout
from actors.agents.kit.files import Skips, read_file
from actors.agents.kit.outcome import Evidence, Finding, Level, Skipped, StoredFile
from actors.agents.kit.parsing import MAX_SOURCE_BYTES, parsing
from actors.agents.kit.toolbox import Toolbox
from actors.agents.kit.untrusted import plain
from actors.agents.poc import noise, timer
from actors.agents.poc.messages import (
    Bench,
    Benchmarked,
    BenchmarkRequest,
    Comparison,
    Difference,
)
from actors.agents.poc.workplace import commit_of, sandbox_of, trial
from actors.agents.protocol import Task
from actors.workflows.definition import ActivityFailure

FOUND: Final = 20
"""So many benchmarks of a project are run without being named."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two commits: its files, and tools that run there."""

    name: str
    checkout: Checkout
    box: Toolbox


Measured = Comparison | Skipped | Finding


async def benchmark(task: Task, request: BenchmarkRequest, *, deadline_s: float) -> Benchmarked:
    """Time each benchmark at both commits, and say which difference is more than noise."""
    for bench in request.benches:
        _check(task, bench)
    sandbox = await sandbox_of(task, request.key)
    head = await commit_of(task, sandbox, request.ref)
    base = await commit_of(task, sandbox, request.baseline or sandbox.base)
    async with AsyncExitStack() as stack:
        sides = [
            _Side(name, *await stack.enter_async_context(trial(task, sandbox, commit, name)))
            for commit, name in ((base, "base"), (head, "head"))
        ]
        benches = request.benches or await trio.to_thread.run_sync(
            lambda: tuple(found(sides[1].checkout.path))
        )
        if base == head or not benches:
            why = "both commits are the same" if base == head else "the project has none"
            nothing = (Skipped(what="benchmarks", why=why),)
            return Benchmarked(
                summary=f"Nothing measured: {why}.", ok=None, base=base, head=head, skipped=nothing
            )
        await trio.to_thread.run_sync(partial(_same_benchmarks, benches, *sides))
        measured = [await _measure(task, one, sides, request, deadline_s) for one in benches]
    return await _outcome(task, base, head, measured)


def found(root: Path) -> Iterator[Bench]:
    """The benchmarks that a project has: functions `bench_…` of `benchmarks/*.py`. For a thread."""
    count = 0
    for file in sorted((root / "benchmarks").glob("*.py")):
        source = read_file(root, f"benchmarks/{file.name}", Skips(), MAX_SOURCE_BYTES)
        if source is None or not file.stem.isidentifier():
            continue
        try:
            with parsing():
                tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("bench_"):
                if count == FOUND:
                    return
                count += 1
                yield Bench(function=f"benchmarks.{file.stem}:{node.name}")


def _check(task: Task, bench: Bench) -> None:
    if bench.command:
        task.site.check(bench.command, "benches.command")
    if bench.script:
        patches.check_paths([bench.script])


async def _measure(
    task: Task,
    bench: Bench,
    sides: Sequence[_Side],
    request: BenchmarkRequest,
    deadline_s: float,
) -> Measured:
    """Time one benchmark on both sides, in an order that is random and the same each time."""
    taken: tuple[list[float], list[float]] = ([], [])
    order = random.Random(f"{task.idempotency_key} {bench}")  # noqa: S311 - no secret
    for number in range(request.rounds + 1):
        task.progress(f"{bench}: round {number} of {request.rounds}", number / request.rounds)
        for which in order.sample((0, 1), k=2):
            seconds = await beating(task, partial(_time, bench, sides[which], deadline_s))
            if isinstance(seconds, str):
                return _not_measured(bench, seconds, sides[which])
            if number:  # the first round only warms up
                taken[which].append(seconds)
    return noise.compare(str(bench), *taken, tolerance=request.tolerance)


async def _time(bench: Bench, side: _Side, deadline_s: float) -> float | str:
    """The seconds of one run, or why there are none."""
    kind, what = _words(bench)
    answer = side.checkout.scratch / "seconds.json"
    answer.unlink(missing_ok=True)
    ran = await side.box.run(
        *("python", "-c", _source(), str(answer), kind, *what), deadline_s=deadline_s
    )
    if isinstance(ran, Skipped):
        return str(ran)
    try:
        seconds = float(json.loads(answer.read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return plain(ran.stderr.decode("utf-8", "replace")[-300:]) or ran.why
    return max(seconds, 1e-9)


def _not_measured(bench: Bench, why: str, side: _Side) -> Skipped | Finding:
    """What does not run at base may be new; what does not run at head is broken."""
    if side.name == "base":
        return Skipped(what=f"benchmark {bench}", why=f"it does not run at the baseline: {why}")
    return Finding(
        tool="benchmark", rule="broken", level=Level.ERROR, message=f"{bench} does not run: {why}"
    )


def _same_benchmarks(benches: Sequence[Bench], base: _Side, head: _Side) -> None:
    """Have head's benchmarks in the files of base. Nothing is written through a link."""
    if any(bench.function.startswith("benchmarks.") for bench in benches):
        source, target = head.checkout.path / "benchmarks", base.checkout.path / "benchmarks"
        if source.is_dir() and not source.is_symlink():
            if target.is_symlink():
                target.unlink()
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, symlinks=True)
    for script in {bench.script for bench in benches if bench.script}:
        source, target = _inside(head, script), _inside(base, script)
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _inside(side: _Side, path: str) -> Path:
    """A file of a commit.

    Raises:
        ActivityFailure: "bad_path"; a link leads out of the work tree.
    """
    root = side.checkout.path.resolve()
    place = (root / path).resolve()
    if not place.is_relative_to(root):
        raise ActivityFailure("bad_path", f"{path!r} leads out of the work tree", retryable=False)
    return place


def _words(bench: Bench) -> tuple[str, tuple[str, ...]]:
    if bench.function:
        return "function", (bench.function,)
    if bench.script:
        return "script", (str(PurePosixPath(bench.script)),)
    return "command", bench.command


def _source() -> str:
    return Path(timer.__file__).read_text(encoding="utf-8")


async def _outcome(task: Task, base: str, head: str, measured: Sequence[Measured]) -> Benchmarked:
    done = [one for one in measured if isinstance(one, Comparison)]
    broken = [one for one in measured if isinstance(one, Finding)]
    slower = [one for one in done if one.difference is Difference.REGRESSION]
    text = json.dumps([one.model_dump(mode="json") for one in done], indent=2)
    stored = await task.artifact("benchmarks.json", text.encode(), "application/json")
    return Benchmarked(
        summary=_summary(done),
        ok=not (slower or broken) if done or broken else None,
        base=base,
        head=head,
        comparisons=tuple(done),
        findings=(*broken, *map(_finding, slower)),
        artifacts=(StoredFile.model_validate(stored),),
        evidence=tuple(
            Evidence(id=f"E{number}", source=one.name, statement=said(one))
            for number, one in enumerate(done, 1)
        ),
        metrics={f"ratio {one.name}": one.ratio for one in done},
        skipped=tuple(one for one in measured if isinstance(one, Skipped)),
    )


def said(one: Comparison) -> str:
    """A comparison in words."""
    return (
        f"{one.difference}: {one.base.median_s:.3g} s before and {one.head.median_s:.3g} s now,"
        f" {one.ratio:.3g} times as long (noise up to {one.bound:.1%})"
    )


def _summary(done: Sequence[Comparison]) -> str:
    if not done:
        return "Nothing could be measured."
    kinds = {kind: sum(one.difference is kind for one in done) for kind in Difference}
    parts = (
        (kinds[Difference.REGRESSION], "slower"),
        (kinds[Difference.IMPROVEMENT], "quicker"),
        (kinds[Difference.NONE], "as quick as before"),
    )
    return f"{', '.join(f'{count} {word}' for count, word in parts if count)}."


def _finding(one: Comparison) -> Finding:
    return Finding(
        tool="benchmark",
        rule="regression",
        level=Level.ERROR,
        message=f"{one.name} takes {one.ratio:.3g} times as long as before",
    )
