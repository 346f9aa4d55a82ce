"""`beadflow db` on a disk without room: it is told as that, and nothing half is left."""

import shutil
from pathlib import Path

import pytest

from storage.databases import databases
from tests.cli.run import Run
from tests.support.golden import golden_file
from tests.support.small_disk import fill, small_disk

SIZES = range(8, 640, 45)
"""KiB; in each another step is the one that finds no room."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return life(tmp_path / "data")


def life(directory: Path) -> Path:
    directory.mkdir(mode=0o700)
    for database in databases(directory):
        shutil.copy(golden_file(database.name, 1), database.path)
    return directory


def is_told(beadflow: Run, *argv: str) -> bool:
    """Runs a command; whether it found no room, and then said so."""
    ran = beadflow(*argv, "-o", "json")
    if ran.code == 0:
        return False
    assert (ran.code, ran.json["error"]["code"]) == (1, "storage_full"), ran.err
    assert "its disk is full (free some space and try again)" in ran.err
    return True


def test_a_backup_without_room_is_told_and_leaves_nothing(
    data: Path, beadflow: Run, tmp_path: Path
) -> None:
    told = []
    for kib in SIZES:
        with small_disk(tmp_path / f"disk-{kib}", kib) as disk:
            told.append(is_told(beadflow, "db", "backup", f"{disk}/b", "--data-dir", str(data)))
            assert [path.name for path in disk.iterdir()] == ([] if told[-1] else ["b"])
    assert told[0]
    assert not told[-1]


def test_a_restore_without_room_is_told_and_gives_back_what_it_took(
    data: Path, beadflow: Run, tmp_path: Path
) -> None:
    backup = str(tmp_path / "backup")
    assert beadflow("db", "backup", backup, "--data-dir", str(data)).code == 0
    told = []
    for kib in SIZES:
        with small_disk(tmp_path / f"disk-{kib}", kib) as disk:
            there = disk / "data"
            restore = ("db", "restore", backup, "--force", "--data-dir", str(there))
            told.append(is_told(beadflow, *restore))
            assert not (there / "restoring").exists()
            assert (there / "beads.db").exists() != told[-1]
    assert told[0]
    assert not told[-1]


@pytest.mark.parametrize(
    "command",
    [
        ("workflow", "list"),
        ("db", "check"),
        ("db", "migrate"),
        ("db", "rollback", "--to", "1"),
        ("db", "vacuum"),
        ("db", "archive", "--days", "1"),
    ],
    ids=" ".join,
)
def test_a_command_on_a_full_disk_says_so_and_works_once_there_is_room(
    beadflow: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    with small_disk(tmp_path / "disk", 4096) as disk:
        there = str(life(disk / "data"))
        assert beadflow("db", "migrate", "--data-dir", there).code == 0
        for leave in (0, 16, 40, 72):
            for log in (disk / "data").glob("*.db-*"):
                log.unlink()
            ballast = fill(disk, leave_kib=leave)
            told = is_told(beadflow, *command, "--data-dir", there)
            assert told or leave, "without a byte nothing can be done"
            ballast.unlink()
        assert beadflow(*command, "--data-dir", there).code == 0
        assert beadflow("db", "check", "--data-dir", there).code == 0
