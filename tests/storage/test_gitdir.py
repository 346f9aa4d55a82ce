import os
from pathlib import Path

import pytest

from storage import gitdir
from storage.errors import UnsafePath
from storage.gitdir import find_git_dir
from tests.storage.repositories import commit, git, make


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = make(tmp_path / "repo")
    commit(repo, "a.txt")
    return repo


def test_a_work_tree_is_found_from_below(repo: Path) -> None:
    (repo / "deep" / "er").mkdir(parents=True)
    found = find_git_dir(repo / "deep" / "er")
    assert found is not None
    assert (found.git_dir, found.common_dir) == (repo / ".git", repo / ".git")
    assert found.work_tree == repo


def test_a_linked_work_tree_shares_the_common_directory(repo: Path, tmp_path: Path) -> None:
    git(repo, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    found = find_git_dir(tmp_path / "linked")
    assert found is not None
    assert found.common_dir == repo / ".git"
    assert found.git_dir == repo / ".git" / "worktrees" / "linked"
    assert found.work_tree == tmp_path / "linked"


def test_a_submodule_has_its_own_common_directory(repo: Path, tmp_path: Path) -> None:
    outer = make(tmp_path / "outer")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(repo), "sub")
    found = find_git_dir(outer / "sub")
    assert found is not None
    assert found.common_dir == outer / ".git" / "modules" / "sub"


def test_a_bare_repository_has_no_work_tree(tmp_path: Path) -> None:
    bare = make(tmp_path / "bare.git", bare=True)
    found = find_git_dir(bare)
    assert found is not None
    assert (found.common_dir, found.work_tree) == (bare, None)


def test_inside_the_git_directory_the_work_tree_is_known(repo: Path) -> None:
    found = find_git_dir(repo / ".git" / "refs")
    assert found is not None
    assert found.work_tree == repo


def test_a_separate_git_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    git(tmp_path / "tree", "init", "--quiet", f"--separate-git-dir={tmp_path / 'store'}")
    found = find_git_dir(tmp_path / "tree")
    assert found is not None
    assert found.common_dir == tmp_path / "store"


def test_a_directory_that_is_only_called_git_is_none(tmp_path: Path) -> None:
    (tmp_path / "x" / ".git").mkdir(parents=True)
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / ".git").write_text("gitdir: /nowhere\n")
    assert find_git_dir(tmp_path / "x") is None
    assert find_git_dir(tmp_path / "y") is None


def test_a_repository_of_another_user_is_refused_until_it_is_listed_as_safe(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gitdir, "_own_ids", lambda: {os.geteuid() + 1})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    git(repo, "config", "safe.directory", "*")  # the repository's own word does not count
    with pytest.raises(UnsafePath, match=rf"safe\.directory {repo}"):
        find_git_dir(repo)
    (tmp_path / "config").write_text(f"[safe]\n\tdirectory = {repo}\n")
    assert find_git_dir(repo) is not None
