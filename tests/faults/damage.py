"""Damaged files, and what a life of the real tree makes of them.

Run by `test_damaged_files.py` in a process of its own, because it forks. Each damage is drawn from
the seed and its number: bits flipped, the end cut off, a stretch zeroed, of one file of a system
that was stopped in order or killed. The life boots, reads everything there is, starts one workflow,
waits for its end and stops.

    python -m tests.faults.damage DIRECTORY SEED COUNT PARTS
"""

import json
import random
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.sweep import run
from tests.support import life
from tests.support.ledger import Ledger
from tests.support.life import Plan
from tests.support.parts import in_parts

STOPPED = (
    ".beadflow/coordination.db",
    ".beadflow/tempolite.db",
    ".beadflow/beads.db",
    ".beads/issues.jsonl",
    ".beadflow/lock",
)
KILLED = (*(f"{name}-wal" for name in STOPPED[:3]), *(f"{name}-shm" for name in STOPPED[:3]))
HOWS = ("flipped", "flipped", "truncated", "zeroed")
PAGE_BYTES = 4096
PATIENCE_S = 3.0  # for what cannot be written any more, and so never ends


@dataclass(frozen=True, kw_only=True)
class Damage:
    victim: str
    how: str
    offset: int
    length: int

    def __str__(self) -> str:
        return f"{self.victim} {self.how} at {self.offset} ({self.length})"

    @classmethod
    def draw(cls, chance: random.Random, stopped: Path, killed: Path) -> "Damage":
        victim = chance.choice(STOPPED * 2 + KILLED)
        size = ((stopped if victim in STOPPED else killed) / victim).stat().st_size
        how = chance.choice(HOWS)
        offset = chance.randrange(max(1, size))
        if chance.random() < 0.25:  # where what describes the rest stands
            offset = min(offset, chance.randrange(100))
        if how == "zeroed" and chance.random() < 0.5:
            offset -= offset % PAGE_BYTES
        length = {"flipped": chance.randint(1, 8), "truncated": size - offset}.get(
            how, chance.choice((16, 512, PAGE_BYTES))
        )
        return cls(victim=victim, how=how, offset=offset, length=length)

    def do(self, root: Path, chance: random.Random) -> None:
        path = root / self.victim
        data = bytearray(path.read_bytes())
        end = min(len(data), self.offset + self.length)
        match self.how:
            case "truncated":
                del data[self.offset :]
            case "zeroed":
                data[self.offset : end] = bytes(end - self.offset)
            case "flipped":
                for place in range(self.offset, end):
                    data[place] ^= 1 << chance.randrange(8)
        path.write_bytes(data)


def outcome(damage: Damage, root: Path, before: Ledger) -> dict[str, Any]:
    plan = Plan(repo=str(root), starts=1, clients=1, look=True, damaged=True, patience_s=PATIENCE_S)
    said, _, status = run(root, plan=plan)
    text = said.decode(errors="replace")
    seen = Ledger.read(said.splitlines())
    shown = {
        workflow_id: (facts["issue"], facts["title"], facts["number"] + 2)
        for workflow_id, facts in before.started.items()
    }
    return {
        "damage": str(damage),
        "database": Path(damage.victim).name.partition(".")[0],
        "ended": status != 0 or '{"gave_up"' in text,
        "hung": "Timeout (" in text,
        "restarts": max(map(int, re.findall(r'"restarts": (\d+)', text)), default=0),
        "unseen": sorted(shown.keys() - seen.looked.keys() - seen.unread),
        "different": sorted(
            workflow_id
            for workflow_id in shown.keys() & seen.looked.keys()
            if seen.looked[workflow_id] not in {shown[workflow_id], (*shown[workflow_id][:2], None)}
        ),
        "unread": sorted(seen.unread),
        "said": text[-6000:],
    }


def main() -> None:
    directory, seed = Path(sys.argv[1]), sys.argv[2]
    count, parts = map(int, sys.argv[3:])
    stopped, killed, root = (directory / name for name in ("stopped", "killed", "made"))
    directory.mkdir(parents=True)
    life.warm()
    known = {}
    for place, abandon in ((stopped, False), (killed, True)):
        said, _, status = run(root, plan=Plan(repo=str(root), starts=8, settle=True))
        assert status == 0, said
        ledger = known[place] = Ledger.read(said.splitlines())
        if abandon:
            said, _, status = run(root, plan=Plan(repo=str(root), starts=8, abandon=True))
            ledger.hear(said.splitlines())
        root.rename(place)  # what lay there is moved, and no copy beside its original

    def outcomes(part: int) -> Iterator[dict[str, Any]]:
        root = directory / f"site-{part}"
        for number in range(part, count, parts):
            chance = random.Random(f"{seed}:{number}")
            damage = Damage.draw(chance, stopped, killed)
            before = stopped if damage.victim in STOPPED else killed
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(before, root)
            damage.do(root, chance)
            yield {"number": number, **outcome(damage, root, known[before])}

    for found in in_parts(parts, outcomes):
        print(json.dumps(found))


if __name__ == "__main__":
    main()
