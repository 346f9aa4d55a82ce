"""Fixtures every suite shares."""

from pathlib import Path

import pytest

from tests.support.world import git_repository


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A real Git repository with one commit."""
    return git_repository(tmp_path / "repo")
