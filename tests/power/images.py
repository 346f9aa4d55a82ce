"""Images of a disk after power cuts, rebuilt from a record of a real run, opened and judged.

A record is a directory: `trace`, what strace saw, `events`, what was read in it, and `record.json`,
where it ran and which directories were durable before. Image N of a seed is drawn from the seed and
N alone, so each can be rebuilt by itself:

    python -m tests.power.images rebuild RECORD SEED COUNT N PLACE
    python -m tests.power.images judge RECORD SEED COUNT PARTS
"""

import json
import pickle
import random
import shutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import trio

from storage.errors import StorageError
from tests.power import disk, trace
from tests.support import life
from tests.support.ledger import Ledger, losses
from tests.support.parts import in_parts
from tests.support.world import running_system

BOOT_EVERY = 50


@dataclass(frozen=True, kw_only=True)
class Record:
    """One traced run.

    Args:
        place: the directory of the record.
        root: the directory that was served.
        there: directories below it that were durable before, relative to it.
    """

    place: str
    root: str
    there: tuple[str, ...]

    @classmethod
    def load(cls, place: Path) -> "Record":
        said = json.loads((place / "record.json").read_text())
        return cls(**{**said, "place": str(place), "there": tuple(said["there"])})

    @property
    def lines(self) -> Path:
        return Path(self.place, "trace")

    def save(self) -> None:
        Path(self.place, "record.json").write_text(json.dumps(asdict(self)))

    def events(self) -> list[trace.Event]:
        """What happened in the run; read once, since a trace is a hundred times as long."""
        kept = Path(self.place, "events")
        if not kept.exists():
            kept.write_bytes(pickle.dumps(trace.read(self.lines, Path(self.root))))
        events: list[trace.Event] = pickle.loads(kept.read_bytes())  # noqa: S301 - our own
        return events

    def disk(self) -> disk.Disk:
        return disk.Disk(self.there)


@dataclass(frozen=True, kw_only=True)
class Image:
    number: int
    after: int
    directories: Sequence[str]
    files: dict[str, bytes]
    ledger: Ledger


def images(record: Record, seed: int, count: int, wanted: range) -> Iterator[Image]:
    """Draws `count` moments of a run, and rebuilds what the wanted ones left."""
    events, model, at = record.events(), record.disk(), 0
    for number, after in enumerate(disk.moments(events, count, random.Random(seed))):
        while at < after:
            model.happen(events[at])
            at += 1
        if number in wanted:
            directories, files = model.cut(random.Random(f"{seed}:{number}"))
            ledger = Ledger.read(model.heard)
            yield Image(
                number=number, after=after, directories=directories, files=files, ledger=ledger
            )


def judge(record: Record, seed: int, count: int, wanted: range, scratch: Path) -> dict[str, Any]:
    """Opens images as the program does, boots some of them, and says what was lost in which."""
    found: dict[str, Any] = {"judged": 0, "booted": 0, "bad": []}
    for image in images(record, seed, count, wanted):
        root = scratch / Path(record.root).name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        disk.write(root, image.directories, image.files)
        lost = _opened(root, image.ledger)
        found["judged"] += 1
        if not lost and image.number % BOOT_EVERY == 0:
            lost = trio.run(_booted, root, image.ledger)
            found["booted"] += 1
        if lost:
            fact = {"image": image.number, "after": image.after, "lost": lost[:10]}
            found["bad"].append({**fact, "acknowledged": str(image.ledger)})
    return found


def _opened(root: Path, ledger: Ledger) -> list[str]:
    try:
        return trio.run(losses, root, ledger)
    except StorageError as error:
        return [f"{type(error).__name__}: {error}"]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return ["".join(traceback.format_exception(error))]


async def _booted(root: Path, ledger: Ledger) -> list[str]:
    """What the whole system makes of an image: everything acknowledged comes to its end."""
    system = running_system(root, workflows=life.WORKFLOWS, agents=life.AGENTS, poison=False)
    async with system as running:
        ended = await running.ended(*ledger.started)
    lost = [f"{r.id} is {r.status} after a boot" for r in ended if r.status != "completed"]
    ledger.ended.update({record.id: record.status for record in ended})
    return lost + await losses(root, ledger, settled=True)


def rebuild(record: Record, seed: int, count: int, number: int, place: Path) -> Ledger:
    """Lays one image down to be looked at; gives what had been acknowledged by then."""
    for image in images(record, seed, count, range(number, number + 1)):
        place.mkdir(parents=True)
        disk.write(place, image.directories, image.files)
        return image.ledger
    raise ValueError(f"there is no image {number} of {count}")


def main() -> None:
    command, place, *rest = sys.argv[1:]
    record = Record.load(Path(place))
    if command == "rebuild":
        seed, count, number = map(int, rest[:3])
        print(rebuild(record, seed, count, number, Path(rest[3])))
        return
    seed, count, parts = map(int, rest)
    record.events()  # read once, for all parts
    life.warm()

    def judged(part: int) -> Iterator[dict[str, Any]]:
        scratch = Path(place, f"images-{part}")
        try:
            yield judge(record, seed, count, range(part, count, parts), scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    for found in in_parts(parts, judged):
        print(json.dumps(found))


if __name__ == "__main__":
    main()
