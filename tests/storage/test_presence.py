import logging
from pathlib import Path

import pytest

from storage.presence import Presence


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "things.db"
    path.parent.mkdir()
    path.write_text("things")
    return path


def test_a_file_that_is_where_it_was_is_not_lost(kept: Path) -> None:
    presence = Presence([kept])
    kept.write_text("other things")
    assert presence.look() is None


def test_a_deleted_file_is_lost(kept: Path) -> None:
    presence = Presence([kept])
    kept.unlink()
    assert str(kept) in str(presence.look())


def test_a_file_that_took_the_name_of_another_is_not_that_one(kept: Path) -> None:
    presence = Presence([kept])
    with kept.open():
        kept.unlink()
        kept.write_text("things")
        assert "another file has its name" in str(presence.look())


def test_a_directory_that_was_moved_away_took_its_files_along_and_may_bring_them_back(
    kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    presence = Presence([kept])
    away = kept.parent.rename(kept.parent.with_name("away"))
    assert presence.look() is not None
    assert presence.look() is not None
    assert [r.levelno for r in caplog.records] == [logging.ERROR], "it is said once"
    away.rename(kept.parent)
    assert presence.look() is None
    assert [r.levelno for r in caplog.records] == [logging.ERROR, logging.WARNING]


def test_a_file_that_was_not_there_is_not_missed(kept: Path) -> None:
    assert Presence([kept.with_name("never.db")]).look() is None


def test_a_file_that_cannot_be_looked_at_is_not_called_lost(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence = Presence([kept])

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("storage.presence.Path.stat", refused)
    lost = presence.look()
    monkeypatch.undo()
    assert lost is None
