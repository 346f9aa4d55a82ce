"""What init arranged: written, read back, and what counts where nothing was."""

from pathlib import Path

import pytest

from storage.arrangement import NAME, Arrangement, Misarranged, mode_of
from storage.gitdir import find_git_dir
from tests.storage.repositories import commit, make


def test_what_was_arranged_is_read_back(tmp_path: Path) -> None:
    words = Arrangement(types=("review", "to-do"), statuses=("in_review",))
    for arranged in (Arrangement(), Arrangement(git_mode="branch", prefix="shop"), words):
        arranged.write(tmp_path)
        assert Arrangement.read(tmp_path) == arranged


def test_nothing_arranged_is_no_error(tmp_path: Path) -> None:
    assert Arrangement.read(tmp_path) == Arrangement()


@pytest.mark.parametrize(
    "text",
    [
        "git_mode = 1",
        'git_mode = "all"',
        "prefix = 3",
        'types = "x"',
        'statuses = ["No"]',
        "[",
        "\xff",
    ],
)
def test_a_file_that_was_not_written_by_it_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_bytes(text.encode("latin-1"))
    with pytest.raises(Misarranged, match=NAME):
        Arrangement.read(tmp_path)


def test_the_first_choice_counts_and_without_one_what_fits(tmp_path: Path) -> None:
    place = make(tmp_path / "repo")
    commit(place, "code.py")
    assert mode_of(find_git_dir(place), "", "off") == "off"
    assert mode_of(find_git_dir(place), "branch", "off") == "branch"
    assert mode_of(find_git_dir(place)) == "ref"
    commit(place, ".beads/issues.jsonl")
    assert mode_of(find_git_dir(place)) == "branch"
    assert mode_of(None, "ref") == "off"


def test_a_repository_that_cannot_be_read_stops_nothing(tmp_path: Path) -> None:
    place = make(tmp_path / "repo")
    (place / ".git" / "config").write_text("[broken")
    assert mode_of(find_git_dir(place)) == "ref"
