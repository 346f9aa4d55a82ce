"""A storm of kill -9 over lives that run workflows of every kind.

As `tests.process.storm`, whose way to fork and to kill it takes: a directory sees a few deaths,
then one life that brings everything to its end.

    python -m tests.process.mixed DIRECTORY SEED KILLS
"""

import gc
import json
import random
import shutil
import signal
import sys
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tests.process.mixture import Life, Record
from tests.process.storm import ACK_S, DEATHS, Death, lived
from tests.support.ledger import Ledger, losses

HEARD = ("started", "started", "signalled", "ended")


def draw(number: int, chance: random.Random) -> Death:
    """Most deaths come soon after something was acknowledged, some while a life boots."""
    if number % 4 == 3:
        return Death(moment="boot", heard="", times=0, after_s=chance.uniform(0.02, 0.2))
    heard = chance.choice(HEARD)
    times = chance.randint(1, 20 if heard == "started" else 8)
    return Death(moment=heard, heard=heard, times=times, after_s=chance.uniform(0, 2 * ACK_S))


@dataclass
class Storm:
    directory: Path
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    workflows: int = 0
    attempts: int = 0
    again: int = 0
    lost: list[str] = field(default_factory=list)

    def run(self, kills: int) -> None:
        number = 0
        while self.kills.total() < kills and not self.lost:
            self._one_directory(self.directory / f"mixed-{number}", kills)
            number += 1

    def _one_directory(self, root: Path, kills: int) -> None:
        root.mkdir(parents=True)
        ledger, record = Ledger(), Record(root)
        lives = min(DEATHS, kills - self.kills.total())
        for number in range(lives):
            death = draw(self.kills.total(), self.chance)
            text, status = lived(Life(root=root, number=number).live, death)
            self.kills[death.moment] += 1
            if status != -signal.SIGKILL:
                self.lost.append(f"a life in {root} ended with {status}: {text[-3000:]!r}")
            self._judge(root, text, (ledger, record), f"killed at {death}")
        last = Life(root=root, number=lives, starts=2, settle=True)
        text, status = lived(last.live, None)
        if status != 0:
            self.lost.append(f"the last life in {root} ended with {status}: {text[-3000:]!r}")
        self._judge(root, text, (ledger, record), "stopped in order", settled=True)
        self.workflows += len(record.kinds)
        self.attempts += record.attempts
        self.again += record.again
        if not self.lost:
            shutil.rmtree(root)

    def _judge(
        self,
        root: Path,
        text: bytes,
        known: tuple[Ledger, Record],
        when: str,
        *,
        settled: bool = False,
    ) -> None:
        ledger, record = known
        ledger.hear(text.splitlines())
        record.hear(text)
        try:
            # The first opens the stores as the program does, whatever the kill has left.
            lost = [*trio.run(losses, root, ledger, settled), *record.losses(settled=settled)]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            lost = ["".join(traceback.format_exception(error))]
        if lost:
            self.lost += [f"in {root}, {when}:", *lost, str(ledger)]


def main() -> None:
    directory, seed, kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    gc.collect()
    gc.freeze()
    storm = Storm(directory, random.Random(seed))
    storm.run(kills)
    found = {"kills": storm.kills, "workflows": storm.workflows}
    ran = {"attempts": storm.attempts, "again": storm.again}
    print(json.dumps({**found, **ran, "lost": storm.lost}))


if __name__ == "__main__":
    main()
