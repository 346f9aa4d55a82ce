"""Replacing the file: whole, durable, and never over somebody else's write."""

import os
from pathlib import Path

import pytest

from storage.issues import file


def test_a_file_that_is_missing_is_made(tmp_path: Path) -> None:
    path = tmp_path / ".beads" / "issues.jsonl"
    file.replace(path, b"one\n", expected_sha256=None)
    assert path.read_bytes() == b"one\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "issues.jsonl"
    path.write_bytes(b"theirs\n")
    for expected in (None, file.sha256_of(b"what we saw\n")):
        with pytest.raises(file.FileChangedError):
            file.replace(path, b"ours\n", expected_sha256=expected)
    assert path.read_bytes() == b"theirs\n"


def test_a_write_between_the_check_and_the_rename_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "issues.jsonl"
    path.write_bytes(b"old\n")
    fsync = os.fsync

    def meddle(descriptor: int) -> None:
        path.write_bytes(b"theirs\n")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", meddle)
    with pytest.raises(file.FileChangedError):
        file.replace(path, b"ours\n", expected_sha256=file.sha256_of(b"old\n"))
    assert path.read_bytes() == b"theirs\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "issues.jsonl")
    with pytest.raises(OSError, match="it is no regular file"):
        file.read(tmp_path / "issues.jsonl")
    with pytest.raises(OSError, match="it is no regular file"):
        file.keep(tmp_path / "issues.jsonl", [b"line"])


def test_the_mode_of_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "issues.jsonl"
    path.write_bytes(b"old\n")
    path.chmod(0o600)
    file.replace(path, b"new\n", expected_sha256=file.sha256_of(b"old\n"))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "issues.jsonl"
    real.write_bytes(b"old\n")
    link.symlink_to(real)
    file.replace(link, b"new\n", expected_sha256=file.sha256_of(b"old\n"))
    assert link.is_symlink()
    assert real.read_bytes() == b"new\n"


def test_what_a_crash_left_of_a_temporary_file_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "issues.jsonl"
    (left,) = (p for p in file.companions(path) if p.name.endswith("tmp"))
    left.write_bytes(b"half a fi")
    file.replace(path, b"whole\n", expected_sha256=None)
    assert path.read_bytes() == b"whole\n"
    assert not left.exists()


def test_a_disk_that_refuses_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "issues.jsonl"
    path.write_bytes(b"old\n")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        file.replace(path, b"new\n", expected_sha256=file.sha256_of(b"old\n"))
    assert path.read_bytes() == b"old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_unreadable_lines_are_kept_once_each_with_their_bytes(tmp_path: Path) -> None:
    side = tmp_path / "issues.quarantine.jsonl"
    assert file.keep(side, [b"\xff1", b"{2", b"\xff1"]) == 2
    assert file.keep(side, [b"{2", b"{3"]) == 1
    assert side.read_bytes() == b"\xff1\n{2\n{3\n"


def test_no_side_file_is_made_for_nothing(tmp_path: Path) -> None:
    assert file.keep(tmp_path / "side", []) == 0
    assert list(tmp_path.iterdir()) == []
