"""A storm of kill -9 over lives of the real tree, all forked from one process.

Run by `test_crash.py` in a process of its own, which imports everything once. Half of the lives die
within 20 ms after they have acknowledged something, the others while they boot (migrating a new
database, or recovering what the one before left), under load, checkpointing all the time, or while
they stop. A directory sees a few deaths, then one life that brings everything acknowledged to its
end.

    python -m tests.process.storm DIRECTORY SEED KILLS
"""

import faulthandler
import json
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import trio

from tests.support import life
from tests.support.ledger import Ledger, losses
from tests.support.life import Plan

DEATHS = 5  # in one directory; a workflow that was live in more without a step is set aside
ACK_S = 0.020
DEADLINE_S = 60.0
LAST_WORDS_S = 5.0
OTHER_MOMENTS = ("boot", "load", "checkpoint", "stop")
CHECKPOINTING = ("PRAGMA wal_autocheckpoint=2",)


@dataclass(frozen=True, kw_only=True)
class Death:
    """When a life is killed: so long after it has said so many things of a kind.

    Args:
        heard: a word of the sentence that is waited for; none waits for nothing.
    """

    moment: str
    heard: str
    times: int
    after_s: float
    pragmas: tuple[str, ...] = ()

    @classmethod
    def draw(cls, number: int, root: Path, chance: random.Random) -> "Death":
        """Draws the death with this number, of a life in this directory."""
        if number % 2 == 0:
            return cls._soon_after_an_answer(chance)
        if not any(root.iterdir()):
            return cls(moment="migration", heard="", times=0, after_s=chance.uniform(0, 0.05))
        match moment := chance.choice(OTHER_MOMENTS):
            case "boot":
                return cls(moment=moment, heard="", times=0, after_s=chance.uniform(0, 0.12))
            case "stop":
                after_s = chance.uniform(0, 0.03)
                return cls(moment=moment, heard="stopping", times=1, after_s=after_s)
        pragmas = CHECKPOINTING if moment == "checkpoint" else ()
        after_s = chance.uniform(0, 0.2)
        return cls(moment=moment, heard="ready", times=1, after_s=after_s, pragmas=pragmas)

    @classmethod
    def _soon_after_an_answer(cls, chance: random.Random) -> "Death":
        heard = chance.choice(("started", "started", "started", "flushed"))
        times = chance.randint(1, 12 if heard == "started" else 2)
        after_s = chance.uniform(0, ACK_S)
        return cls(moment="acknowledged", heard=heard, times=times, after_s=after_s)


@dataclass
class Said:
    """What a life has said until now."""

    fd: int
    text: bytes = b""

    def wait(self, deadline: float, wanted: str = "", times: int = 0) -> bool:
        """Listens until something was said so often; False at the deadline or at the end."""
        while not wanted or self._count(wanted) < times:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return False
            more = os.read(self.fd, 1 << 16)
            if not more:
                return False
            self.text += more
        return True

    def _count(self, word: str) -> int:
        return self.text.count(f'{{"{word}": '.encode())


@dataclass
class Storm:
    directory: Path
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    late: int = 0
    lost: list[str] = field(default_factory=list)

    def run(self, kills: int) -> None:
        number = 0
        while self.kills.total() < kills and not self.lost:
            self._one_directory(self.directory / f"site-{number}", kills)
            number += 1

    def _one_directory(self, root: Path, kills: int) -> None:
        root.mkdir(parents=True)
        ledger = Ledger()
        for _ in range(min(DEATHS, kills - self.kills.total())):
            death = Death.draw(self.kills.total(), root, self.chance)
            self._die(root, death, ledger)
            if self.chance.random() < 0.5:  # else the next life meets what this one left
                self._judge(root, ledger, f"killed at {death}")
        text, status = lived(self._life(Plan(repo=str(root), starts=2)), None)
        ledger.hear(text.splitlines())
        self.acknowledged += len(ledger.started)
        if status != 0:
            self.lost.append(f"the last life in {root} ended with {status}: {text[-3000:]!r}")
        missing = ledger.started.keys() - ledger.ended.keys()
        self.lost += [f"{workflow_id} in {root} never ended" for workflow_id in missing]
        self._judge(root, ledger, "stopped in order", settled=True)
        if not self.lost:
            shutil.rmtree(root)

    def _die(self, root: Path, death: Death, ledger: Ledger) -> None:
        plan = Plan(repo=str(root), load_s=30.0, pragmas=death.pragmas)
        if death.moment == "stop":
            plan = replace(plan, load_s=0.0, starts=4)
        text, status = lived(self._life(plan), death)
        ledger.hear(text.splitlines())
        self.kills[death.moment] += 1
        if status != -signal.SIGKILL:
            if status == 0:  # it had stopped before it was killed
                self.late += 1
            else:
                self.lost.append(f"a life in {root} ended with {status}: {text[-3000:]!r}")

    def _life(self, plan: Plan) -> Callable[[], None]:
        def live() -> None:
            life.apply(plan)
            trio.run(life.live, plan)

        return live

    def _judge(self, root: Path, ledger: Ledger, when: str, settled: bool = False) -> None:
        try:
            lost = trio.run(losses, root, ledger, settled)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            lost = ["".join(traceback.format_exception(error))]
        if lost:
            self.lost += [f"in {root}, {when}:", *lost, str(ledger)]


def lived(live: Callable[[], None], death: Death | None) -> tuple[bytes, int]:
    """Forks a life and ends it as drawn; gives what it said and how it ended.

    One that has not ended DEADLINE_S after it should have says where it hangs, and is killed.
    """
    listening, speaking = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(listening)
        _live(live, speaking)
    os.close(speaking)
    said = Said(listening)
    try:
        if death is not None:
            if death.heard:
                said.wait(time.monotonic() + DEADLINE_S, death.heard, death.times)
            said.wait(time.monotonic() + death.after_s)
            os.kill(child, signal.SIGKILL)
        said.wait(time.monotonic() + DEADLINE_S)
        os.kill(child, signal.SIGUSR1)  # of one that has ended nothing is left but its status
        said.wait(time.monotonic() + LAST_WORDS_S)
    finally:
        os.close(listening)
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said.text, status


def _live(live: Callable[[], None], speaking: int) -> NoReturn:
    os.dup2(speaking, 1)
    os.dup2(speaking, 2)
    os.close(speaking)
    faulthandler.register(signal.SIGUSR1)
    status = 1
    try:
        live()
        status = 0
    except BaseException:  # noqa: BLE001 - it is said, and ends this process
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def main() -> None:
    directory, seed, kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    life.warm()
    storm = Storm(directory, random.Random(seed))
    storm.run(kills)
    found = {"kills": storm.kills, "acknowledged": storm.acknowledged, "late": storm.late}
    print(json.dumps({**found, "lost": storm.lost}))


if __name__ == "__main__":
    main()
