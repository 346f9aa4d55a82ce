"""A disk that fills up under the system, and is emptied again."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from actors.errors import StorageFull
from tests.support.ledger import Ledger, losses
from tests.support.noted import Clerk, noted
from tests.support.world import Running, running_system

pytestmark = pytest.mark.process

DISK_BYTES = 4 * 1024 * 1024
ROUNDS = int(os.environ.get("BEADFLOW_FULL_DISKS", "3"))
RESUMED_S = 5.0


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small file system of its own."""
    place = Path(tempfile.mkdtemp(prefix="beadflow-full-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(place)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no full disk: there is no mount here")
    if made.returncode != 0:
        place.rmdir()
        pytest.skip(f"no full disk without the right to mount: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


async def test_a_full_disk_refuses_what_it_cannot_keep_and_work_goes_on_once_there_is_room(
    disk: Path,
) -> None:
    site, ledger = disk / "site", Ledger()
    site.mkdir()
    async with running_system(site, workflows=[noted], agents=[Clerk]) as running:
        for number in range(ROUNDS):
            await _start(running, ledger, 2 * number)
            ballast = _fill(disk)
            await _start_until_refused(running, ledger)
            shown = [await running.get(workflow_id) for workflow_id in ledger.started]
            assert {record.id for record in shown} == set(ledger.started)
            ballast.unlink()
            with trio.fail_after(RESUMED_S):
                await _start_until_answered(running, ledger, 2 * number + 1)
        ended = await running.ended(*ledger.started)
        ledger.ended = {record.id: record.status for record in ended}
    assert set(ledger.ended.values()) == {"completed"}
    assert await losses(site, ledger, settled=True) == []


def _fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    return ballast


async def _start(running: Running, ledger: Ledger, number: int) -> None:
    title = f"number {number} of life 0"
    record = await running.start("noted", title, variables={"number": number})
    ledger.started[record.id] = {"issue": record.beads_issue_id, "title": title, "number": number}


async def _start_until_refused(running: Running, ledger: Ledger) -> None:
    """What is left of the write-ahead log's last pages may still take a few."""
    for number in range(1000, 2000):
        try:
            await _start(running, ledger, number)
        except StorageFull:
            return
    pytest.fail("a full disk refused nothing")


async def _start_until_answered(running: Running, ledger: Ledger, number: int) -> None:
    while True:
        try:
            return await _start(running, ledger, number)
        except StorageFull:
            await trio.sleep(0.05)
