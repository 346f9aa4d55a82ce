"""The archive is only ever added to, and what it was given is on the disk."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage import archive

AT = "2026-03-01T00:00:00.000000Z"


def lines(*numbers: int) -> Iterator[bytes]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        for number in numbers:
            row = connection.execute("SELECT ? AS n, 'ü' AS text, NULL AS none", (number,))
            yield archive.line("beads", "t", row.fetchone())


def numbers(path: Path) -> list[int]:
    return [found["row"]["n"] for found in archive.read(path)]


def test_each_row_is_a_line_of_its_month_with_all_columns(tmp_path: Path) -> None:
    path = archive.append(tmp_path, AT, lines(1, 2))
    assert path == tmp_path / "archive" / "2026-03.jsonl"
    assert next(archive.read(path)) == {
        "format": 1,
        "database": "beads",
        "table": "t",
        "row": {"n": 1, "text": "ü", "none": None},
    }
    archive.append(tmp_path, AT, lines(3))
    assert numbers(path) == [1, 2, 3]


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = archive.append(tmp_path, AT, lines(1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_line_that_a_crash_has_torn_costs_no_other(tmp_path: Path) -> None:
    path = archive.append(tmp_path, AT, lines(1, 2))
    path.write_bytes(path.read_bytes()[:-5])
    archive.append(tmp_path, AT, lines(3))
    assert numbers(path) == [1, 3]


def test_what_is_no_object_is_passed_over(tmp_path: Path) -> None:
    path = archive.append(tmp_path, AT, [b"[1]\n", *lines(1)])
    assert numbers(path) == [1]


def test_what_could_not_be_written_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive.append(tmp_path, AT, lines(1))
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            archive.append(tmp_path, AT, lines(2))
    assert path.read_bytes() == before


def test_many_lines_are_not_held_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_FLUSH_BYTES", 200)
    assert numbers(archive.append(tmp_path, AT, lines(*range(50)))) == list(range(50))


def test_a_moment_that_is_none_has_a_file_of_its_own(tmp_path: Path) -> None:
    assert archive.append(tmp_path, "../../x", lines(1)).name == "undated.jsonl"
