"""Kills a process between every two commits of a deed, then has the next life make it whole.

Run by `test_bridge_crash.py` in a process of its own, which imports everything once and forks the
lives. One of them goes to its end and says what its writers have committed. Each of the others
kills itself after one of these commits, before anybody hears of it.

    python -m tests.process.crossing DIRECTORY DEED…
"""

import gc
import json
import os
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from actors.writer import DatabaseWriter
from supervision import Delivery
from tests.process import relay
from tests.process.storm import lived
from tests.support.life import say
from tests.support.world import git_repository

Point = tuple[str, int]
"""A command, and which one of its kind."""

OF_A_KIND: Final = 4
"""Commits of one kind after which lives are killed: the last ones follow from those before."""


def trap(point: Point | None) -> None:
    """Have this process say what it commits, and die right after one of them, unanswered."""
    answer, commits = DatabaseWriter._answer, Counter[str]()

    def die(writer: DatabaseWriter, delivery: Delivery, outcome: object) -> None:
        name = type(delivery.message).__name__
        commits[name] += 1  # each kind has one writer, and so one thread
        say(committed=name)
        if point == (name, commits[name]):
            os.kill(os.getpid(), signal.SIGKILL)
        answer(writer, delivery, outcome)

    DatabaseWriter._answer = die  # type: ignore[method-assign]


async def _prepared(root: Path, deed: str) -> None:
    async with relay.running(root) as living:
        await relay.prepare(living, deed)


async def _doomed(root: Path, deed: str, point: Point | None) -> None:
    async with relay.running(root) as living:
        await relay.quiet(living)
        trap(point)
        await relay.do(living, deed)


async def _whole(root: Path, deed: str) -> None:
    async with relay.running(root) as living:
        await relay.repeated(living, deed)


def cross(directory: Path, deed: str) -> tuple[list[Point], list[str]]:
    """Kill after each commit of a deed; answers after which, and what was not as it has to be."""
    root, kept = directory / deed, directory / f"{deed}-kept"
    deaths, lost = list[Point](), list[str]()
    git_repository(root)
    _survives(root, lambda: trio.run(_prepared, root, deed), lost)
    shutil.move(root, kept)
    for point in (None, *_commits(root, kept, deed)):
        status, found = _crossed(root, kept, deed, point)
        lost += [f"{deed}, killed after {point}: {what}" for what in found]
        if point is not None and status == -signal.SIGKILL:
            deaths.append(point)
        if lost:
            break
    return deaths, lost


def _commits(root: Path, kept: Path, deed: str) -> list[Point]:
    shutil.copytree(kept, root, symlinks=True)  # at its own place: no other is taken for it
    text, _ = lived(lambda: trio.run(_doomed, root, deed, None), None)
    shutil.rmtree(root)
    said = [json.loads(line) for line in text.splitlines() if line.startswith(b'{"committed"')]
    times = Counter(line["committed"] for line in said)
    return [(name, n + 1) for name in times for n in range(min(times[name], OF_A_KIND))]


def _crossed(root: Path, kept: Path, deed: str, point: Point | None) -> tuple[int, list[str]]:
    """One life that is killed, and one that makes whole what it left."""
    lost = list[str]()
    shutil.copytree(kept, root, symlinks=True)
    text, status = lived(lambda: trio.run(_doomed, root, deed, point), None)
    if status not in (0, -signal.SIGKILL):
        lost.append(f"it ended with {status}: {text[-3000:]!r}")
    lost += _judged(root, relay.contradictions)
    _survives(root, lambda: trio.run(_whole, root, deed), lost)
    for judge in (relay.contradictions, relay.unsettled, lambda place: relay.undone(place, deed)):
        lost += [f"after the next life, {what}" for what in _judged(root, judge)]
    if not lost:
        shutil.rmtree(root)
    return status, lost


def _survives(root: Path, life: Callable[[], None], lost: list[str]) -> None:
    text, status = lived(life, None)
    if status != 0:
        lost.append(f"a life in {root} ended with {status}: {text[-3000:]!r}")


def _judged(root: Path, judge: Callable[[Path], list[str]]) -> list[str]:
    try:
        return judge(root)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return ["".join(traceback.format_exception(error))]


def main() -> None:
    directory, deeds = Path(sys.argv[1]), sys.argv[2:]
    directory.mkdir(parents=True, exist_ok=True)
    gc.collect()
    gc.freeze()
    for deed in deeds:
        deaths, lost = cross(directory, deed)
        print(json.dumps({"deed": deed, "deaths": deaths, "lost": lost}), flush=True)


if __name__ == "__main__":
    main()
