import subprocess
from pathlib import Path

import pytest

from actors.agents.kit.worktrees import (
    Closed,
    Kept,
    Sandbox,
    apply_patch,
    changes,
    close_sandbox,
    commit,
    open_sandbox,
    read,
)
from actors.agents.site import Site
from actors.workflows.definition import ActivityFailure


@pytest.fixture
def site(repo: Path, tmp_path: Path) -> Site:
    return Site(repo=repo, workspace=tmp_path / "data" / "workspace")


def git(where: Path, *args: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *args],
        cwd=where,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def add(repo: Path, name: str, content: str) -> None:
    (repo / name).write_text(content, encoding="utf-8")
    git(repo, "add", name)
    git(repo, "commit", "-q", "-m", f"add {name}")


def patch_of(sandbox: Sandbox, name: str, content: str) -> bytes:
    """What would make the file hold that, as a patch; the sandbox is left as it was."""
    (sandbox.path / name).write_text(content, encoding="utf-8")
    git(sandbox.path, "add", name)
    patch = git(sandbox.path, "diff", "--cached", "--binary", "--full-index")
    git(sandbox.path, "reset", "-q", "--hard")
    return f"{patch}\n".encode()


async def test_a_sandbox_is_a_work_tree_on_a_branch_of_its_own(site: Site) -> None:
    add(site.repo, "a.txt", "one\n")
    sandbox = await open_sandbox(site, key="wf-1")
    assert sandbox.path == site.workspace / "worktrees" / "wf-1"
    assert sandbox.branch == "beadflow/wf-1"
    assert sandbox.base == git(site.repo, "rev-parse", "HEAD")
    assert (sandbox.path / "a.txt").read_text(encoding="utf-8") == "one\n"
    assert git(sandbox.path, "status", "--porcelain") == ""


async def test_the_same_key_finds_the_sandbox_as_it_was_left(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / "new.txt").write_text("work", encoding="utf-8")
    add(site.repo, "a.txt", "the user goes on")
    assert await open_sandbox(site, key="wf-1") == sandbox
    assert (sandbox.path / "new.txt").read_text(encoding="utf-8") == "work"


async def test_a_commit_is_seen_in_the_repository_and_not_in_the_users_work_tree(
    site: Site,
) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / "new.txt").write_text("work\n", encoding="utf-8")
    made = await commit(sandbox, "Add new")
    assert made == git(site.repo, "rev-parse", sandbox.branch)
    assert git(site.repo, "status", "--porcelain") == ""
    assert not (site.repo / "new.txt").exists()
    assert await commit(sandbox, "Add new") is None


async def test_changes_are_what_was_committed_since_the_base(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / "new.txt").write_text("one\ntwo\n", encoding="utf-8")
    await commit(sandbox, "Add new")
    (sandbox.path / "other.txt").write_text("x", encoding="utf-8")
    seen = await changes(sandbox)
    assert (seen.files, seen.insertions, seen.deletions) == (("new.txt",), 2, 0)
    assert (seen.commits, seen.is_dirty) == (1, True)
    assert b"+two" in seen.patch
    assert "new.txt" in seen.diffstat


async def test_a_patch_is_applied_once(site: Site) -> None:
    add(site.repo, "a.txt", "one\ntwo\n")
    sandbox = await open_sandbox(site, key="wf-1")
    patch = patch_of(sandbox, "a.txt", "one\n2\n")
    assert await apply_patch(sandbox, patch)
    assert not await apply_patch(sandbox, patch)
    assert (sandbox.path / "a.txt").read_text(encoding="utf-8") == "one\n2\n"


async def test_a_clean_sandbox_is_closed_and_its_branch_stays(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / "new.txt").write_text("work\n", encoding="utf-8")
    made = await commit(sandbox, "Add new")
    assert await close_sandbox(site, "wf-1") == Closed()
    assert not sandbox.path.exists()
    assert git(site.repo, "rev-parse", sandbox.branch) == made
    assert git(site.repo, "worktree", "list").count("\n") == 0


async def test_a_dirty_sandbox_is_kept_unless_it_is_forced(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / "new.txt").write_text("work\n", encoding="utf-8")
    assert isinstance(await close_sandbox(site, "wf-1"), Kept)
    assert sandbox.path.exists()
    assert await close_sandbox(site, "wf-1", force=True) == Closed()
    assert not sandbox.path.exists()


async def test_a_command_that_could_write_is_not_run_for_reading(site: Site) -> None:
    with pytest.raises(ValueError, match="only reads"):
        await read(site, "gc")


async def test_a_place_that_is_no_repository_is_said(tmp_path: Path) -> None:
    site = Site(repo=tmp_path, workspace=tmp_path / "workspace")
    with pytest.raises(ActivityFailure) as caught:
        await open_sandbox(site, key="wf-1")
    assert caught.value.code == "no_repository"
