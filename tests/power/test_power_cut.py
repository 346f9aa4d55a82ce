"""What is left of the stores after a power cut.

kill -9 cannot tell: what was written and not synced survives it in the kernel. So a real run is
recorded with strace, and what a disk may hold after a cut at any moment is rebuilt from its writes
and syncs. BEADFLOW_IMAGES says how many images are judged in all; BEADFLOW_SEED replays them on
the record that a failure leaves behind.
"""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.power import record, trace
from tests.power.images import Record

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(bool(trace.why_not()), reason=f"no power cuts: {trace.why_not()}"),
]

IMAGES = int(os.environ.get("BEADFLOW_IMAGES", "2000"))
SEED = int(os.environ.get("BEADFLOW_SEED", str(random.randrange(2**32))))
PARTS = 2
FEW = 40
OFTEN = "PRAGMA wal_autocheckpoint=20"

Make = Callable[[Path], Record]
Recorded = Callable[[str], Record]


def lives(*plans: dict[str, object], there: tuple[str, ...] = record.DURABLE) -> Make:
    return lambda place: record.tree(place, *plans, there=there)


LIVES: dict[str, Make] = {
    "two lives": lives({"lives": 2, "starts": 16}),
    "frequent checkpoints": lives({"lives": 2, "starts": 16, "pragmas": [OFTEN]}),
    "a killed life and its recovery": lives({"starts": 12, "abandon": True}, {"starts": 8}),
}
RUNS: dict[str, Make] = {
    **LIVES,
    "a server": lambda place: record.server(place, 24),
    "OFF": lives({"starts": 8, "pragmas": ["PRAGMA synchronous=OFF"]}),
    "NORMAL": lives({"starts": 8, "pragmas": ["PRAGMA synchronous=NORMAL"]}),
    "no synced file": lives({"starts": 8, "unsynced_file": True}),
    "no directory": lives({"starts": 8}, there=()),
}


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    """All runs are recorded side by side, while images of the first ones are judged."""
    with record.scratch() as place:
        threads = ThreadPoolExecutor(PARTS)
        runs = {name: threads.submit(make, place / name) for name, make in RUNS.items()}
        try:
            yield lambda name: runs[name].result()
        finally:
            threads.shutdown(cancel_futures=True)


def judged(made: Record, count: int) -> dict[str, Any]:
    """Judges images of a record, in as many processes as there are cores in CI."""
    command = trace.python("tests.power.images", "judge", made.place, str(SEED), str(count))
    lines = subprocess.run([*command, str(PARTS)], stdout=subprocess.PIPE, check=True).stdout
    found = [json.loads(line) for line in lines.splitlines() if line.startswith(b"{")]
    return {key: sum((part[key] for part in found[1:]), found[0][key]) for key in found[0]}


def hold(made: Record, count: int, kept: Path) -> None:
    """Judges a record; one that shows a loss is kept, with the way to its images."""
    found = judged(made, count)
    print(f"{found['judged']} images, {found['booted']} booted, BEADFLOW_SEED={SEED}")
    if found["bad"]:
        shutil.copytree(made.place, kept)
    for bad in found["bad"][:3]:
        print(f"image {bad['image']} after event {bad['after']}: {bad['lost']}")
        print(bad["acknowledged"])
        again = f"rebuild {kept} {SEED} {count} {bad['image']} /tmp/image"
        print(f"look at it with python -m tests.power.images {again}")
    assert found["judged"] == count
    assert not found["bad"], f"{len(found['bad'])} of {count} images; the first ones are above"


@pytest.mark.parametrize("run", LIVES)
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    recorded: Recorded, tmp_path: Path, run: str
) -> None:
    hold(recorded(run), IMAGES // 4, tmp_path / "record")


def test_a_power_cut_loses_nothing_that_a_server_has_answered(
    recorded: Recorded, tmp_path: Path
) -> None:
    hold(recorded("a server"), IMAGES // 4, tmp_path / "record")


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_databases_that_are_not_synced_are_caught(recorded: Recorded, synchronous: str) -> None:
    found = judged(recorded(synchronous), FEW)
    assert len(found["bad"]) > 10


def test_a_published_file_that_is_not_synced_is_caught(recorded: Recorded) -> None:
    found = judged(recorded("no synced file"), FEW)
    assert any("issues.jsonl" in line for bad in found["bad"] for line in bad["lost"])


def test_a_power_cut_leaves_the_data_directory_that_was_made(
    recorded: Recorded, tmp_path: Path
) -> None:
    """Its name is an entry of the directory above, which has to be synced too."""
    hold(recorded("no directory"), FEW, tmp_path / "record")
