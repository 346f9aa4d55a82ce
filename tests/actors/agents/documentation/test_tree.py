from collections.abc import Callable
from pathlib import Path

import pytest

from actors.agents.documentation.tree import MAX_BYTES, tree_of
from actors.agents.protocol import Task
from actors.workflows.definition import ActivityFailure
from tests.support.repos import commit, git, repository

TaskIn = Callable[[Path], Task]


async def files(task: Task, ref: str = "HEAD") -> dict[str, str]:
    async with tree_of(task, ref) as (tree, _):
        return {path: tree.text(path) for path in tree.paths}


async def test_a_tree_has_the_files_of_a_commit_and_not_of_the_work_tree(
    task_in: TaskIn, tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", {"a.txt": "one", "b/c.txt": "two"})
    first = git(repo, "rev-parse", "HEAD")
    commit(repo, {"a.txt": "three"})
    (repo / "a.txt").write_text("not committed")
    assert await files(task_in(repo)) == {"a.txt": "three", "b/c.txt": "two"}
    assert await files(task_in(repo), first) == {"a.txt": "one", "b/c.txt": "two"}


async def test_links_out_of_the_tree_are_not_there(task_in: TaskIn, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "__init__.py").write_text("token = 1\n")
    repo = repository(tmp_path / "repo", {"a.txt": "one"})
    (repo / "package").symlink_to(tmp_path / "secret")
    (repo / "README.md").symlink_to("/etc/passwd")
    commit(repo, {})
    async with tree_of(task_in(repo), "HEAD") as (tree, _):
        assert tree.paths == ("a.txt",)
        assert sorted(place.name for place in tree.path.iterdir()) == [".git", "a.txt"]
    assert (tmp_path / "secret" / "__init__.py").exists()


async def test_a_file_that_is_too_large_is_not_read(task_in: TaskIn, tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", {"a.md": "x" * (MAX_BYTES + 1)})
    assert await files(task_in(repo)) == {"a.md": ""}


@pytest.mark.parametrize(("ref", "code"), [("nothing", "unknown_ref"), ("--help", "bad_ref")])
async def test_what_names_no_commit_is_refused(
    task_in: TaskIn, tmp_path: Path, ref: str, code: str
) -> None:
    repo = repository(tmp_path / "repo", {"a.txt": "one"})
    with pytest.raises(ActivityFailure) as caught:
        await files(task_in(repo), ref)
    assert (caught.value.code, caught.value.retryable) == (code, False)
