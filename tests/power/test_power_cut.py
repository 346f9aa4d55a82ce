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
from collections.abc import Iterator
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

LIVES: dict[str, list[dict[str, object]]] = {
    "two lives": [{"lives": 2, "starts": 16}],
    "frequent checkpoints": [{"lives": 2, "starts": 16, "pragmas": [OFTEN]}],
    "a killed life and its recovery": [{"starts": 12, "abandon": True}, {"starts": 8}],
}


@pytest.fixture
def place() -> Iterator[Path]:
    with record.scratch() as directory:
        yield directory


def judged(made: Record, count: int) -> dict[str, Any]:
    """Judges images of a record; many in as many processes as there are cores in CI."""
    parts = PARTS if count > FEW else 1
    command = trace.python("tests.power.images", "judge", made.place, str(SEED), str(count))
    judges = [
        subprocess.Popen([*command, str(part), str(parts)], stdout=subprocess.PIPE)
        for part in range(parts)
    ]
    found = [json.loads(judge.communicate()[0].splitlines()[-1]) for judge in judges]
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


@pytest.mark.parametrize("lives", LIVES.values(), ids=LIVES)
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    place: Path, tmp_path: Path, lives: list[dict[str, object]]
) -> None:
    hold(record.tree(place, *lives), IMAGES // 4, tmp_path / "record")


def test_a_power_cut_loses_nothing_that_a_server_has_answered(place: Path, tmp_path: Path) -> None:
    hold(record.server(place, 24), IMAGES // 4, tmp_path / "record")


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_databases_that_are_not_synced_are_caught(place: Path, synchronous: str) -> None:
    plan = {"starts": 8, "pragmas": [f"PRAGMA synchronous={synchronous}"]}
    found = judged(record.tree(place, plan), FEW)
    assert len(found["bad"]) > 10


def test_a_published_file_that_is_not_synced_is_caught(place: Path) -> None:
    plan = {"starts": 8, "unsynced_file": True}
    found = judged(record.tree(place, plan), FEW)
    assert any("issues.jsonl" in line for bad in found["bad"] for line in bad["lost"])


def test_a_power_cut_leaves_the_data_directory_that_was_made(place: Path, tmp_path: Path) -> None:
    """Its name is an entry of the directory above, which has to be synced too."""
    hold(record.tree(place, {"starts": 8}, there=()), FEW, tmp_path / "record")
