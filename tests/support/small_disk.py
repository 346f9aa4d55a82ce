"""A small file system of its own, for what a full disk does to commands."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KIB = 1024


@contextmanager
def small_disk(place: Path, kib: int) -> Iterator[Path]:
    """Mounts one of so many KiB; skips the test where nobody may."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=0700", "tmpfs", str(place)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no full disk: there is no mount here")
    if made.returncode != 0:
        pytest.skip(f"no full disk without the right to mount: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, *, leave_kib: int) -> Path:
    """Fills it up but for so many KiB; gives the file that does."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4 * KIB)):
                pass
        except OSError:
            pass
        file.truncate(max(file.tell() - leave_kib * KIB, 0))
    return ballast
