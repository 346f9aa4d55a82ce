"""Files that something else has damaged: noticed and named, or harmless; never a loop of crashes.

BEADFLOW_DAMAGES files (200) are drawn from BEADFLOW_SEED. SQLite keeps no checksum of the pages of
a database, so a bit that flips inside a text is another text: such cases are counted, not judged.
"""

import json
import os
import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from actors import stores
from storage.database import open_reader
from storage.home import DataDir
from supervision import StartError
from tests.faults.damage import PAGE_BYTES
from tests.power.record import scratch
from tests.support.world import running_system

pytestmark = pytest.mark.process

DAMAGES = int(os.environ.get("BEADFLOW_DAMAGES", "200"))
SEED = int(os.environ.get("BEADFLOW_SEED", str(random.randrange(2**32))))
MOST_RESTARTS = 16  # budgets multiply: 3 below 3, and the first starts
PARTS = 4  # at once: a life also waits


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    print(f"replay with BEADFLOW_SEED={SEED} BEADFLOW_DAMAGES={DAMAGES}")
    with scratch() as place:
        command = [sys.executable, "-m", "tests.faults.damage", str(place / "damage"), str(SEED)]
        lives = subprocess.run(
            [*command, str(DAMAGES), str(PARTS)], stdout=subprocess.PIPE, check=True
        )
    return [json.loads(line) for line in lives.stdout.splitlines()]


def test_every_life_with_a_damaged_file_serves_or_ends(found: list[dict[str, Any]]) -> None:
    assert len(found) == DAMAGES
    assert not [f"{life['damage']}: {life['said']}" for life in found if life["hung"]]
    print(f"at most {max(life['restarts'] for life in found)} restarts of one actor")
    assert not [life["damage"] for life in found if life["restarts"] > MOST_RESTARTS]


def test_a_life_that_ends_names_the_damaged_store_or_the_part_that_failed(
    found: list[dict[str, Any]],
) -> None:
    ended = [life for life in found if life["ended"]]
    assert ended
    unnamed = [life for life in ended if not _names(life)]
    assert not [f"{life['damage']}: {life['said']}" for life in unnamed]


async def test_a_part_that_cannot_read_its_database_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who reads that the tracker did not start must learn which file to restore."""
    monkeypatch.setattr(stores, "LOOKED_THROUGH_BYTES", 0)  # else it is found before any part runs
    async with running_system(tmp_path):
        pass
    data = DataDir.resolve(tmp_path)
    content = bytearray(data.beads_db.read_bytes())
    with closing(open_reader(data.beads_db)) as beads:
        sql = "SELECT rootpage FROM sqlite_schema WHERE tbl_name = 'issues'"
        pages = [row[0] for row in beads.execute(sql)]
    for page in pages:
        content[(page - 1) * PAGE_BYTES : page * PAGE_BYTES] = bytes(PAGE_BYTES)
    data.beads_db.write_bytes(content)
    with pytest.raises(StartError, match=r"beads\.db"):
        async with running_system(tmp_path):
            pass


def test_a_life_that_serves_shows_every_workflow_or_says_which_it_cannot_read(
    found: list[dict[str, Any]],
) -> None:
    served = [life for life in found if not life["ended"]]
    print(f"{len(served)} of {len(found)} served, {sum(bool(x['unread']) for x in served)} in part")
    print("other texts:", [life["damage"] for life in served if life["different"]])
    unseen = [life for life in served if life["unseen"] and "workflows" not in life["unread"]]
    assert not [f"{life['damage']}: {life['unseen']}, {life['said']}" for life in unseen]


def test_nothing_is_harmed_by_damage_to_what_is_made_anew(found: list[dict[str, Any]]) -> None:
    """The lock, the index of a log, and the published file: what differs there is an edit of it."""
    made = [x for x in found if x["damage"].split()[0].endswith(("-shm", "lock", ".jsonl"))]
    assert made
    assert not [f"{life['damage']}: {life['said']}" for life in made if life["ended"]]
    assert not [f"{life['damage']}: {life['unread']}" for life in made if life["unread"]]


def _names(life: dict[str, Any]) -> bool:
    said: str = life["said"]
    return life["database"] in said or "did not start" in said or '"gave_up"' in said
