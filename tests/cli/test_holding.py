"""Taking the data directory's lock beside others."""

from pathlib import Path

import pytest

from cli import holding
from storage.errors import StoreLocked
from storage.home import DataDir


@pytest.fixture
def other(tmp_path: Path) -> DataDir:
    return DataDir.resolve(tmp_path)


def test_who_lets_go_is_waited_for(tmp_path: Path, other: DataDir) -> None:
    other.acquire()

    def served() -> bool:
        other.release()
        return False

    mine = DataDir.resolve(tmp_path)
    assert holding.acquired(mine, served=served, patience_s=5.0)
    assert mine.held
    mine.release()


def test_who_serves_is_not_waited_for(
    tmp_path: Path, other: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    with other:
        other.announce("http://127.0.0.1:1")
        monkeypatch.setattr(holding.time, "sleep", slept.append)
        with pytest.raises(StoreLocked), holding.held(DataDir.resolve(tmp_path), patience_s=5.0):
            pass
    assert holding.LOOK_S not in slept


def test_the_lock_is_held_for_the_block_only(tmp_path: Path) -> None:
    mine = DataDir.resolve(tmp_path)
    with holding.held(mine, patience_s=0.0):
        assert mine.held
    assert not mine.held


def test_who_does_not_let_go_in_time_is_named(tmp_path: Path, other: DataDir) -> None:
    with other, pytest.raises(StoreLocked):
        holding.acquired(DataDir.resolve(tmp_path), served=lambda: False, patience_s=0.0)
