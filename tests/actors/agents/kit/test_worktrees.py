import shutil
import subprocess
from pathlib import Path

import pytest
import trio

from actors.agents.kit.worktrees import (
    FENCES,
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


async def test_a_patch_below_what_is_a_file_does_not_fit(site: Site) -> None:
    add(site.repo, "a", "one\n")
    sandbox = await open_sandbox(site, key="wf-1")
    head = b"diff --git a/a/b b/a/b\nnew file mode 100644\n--- /dev/null\n+++ b/a/b\n"
    patch = head + b"@@ -0,0 +1 @@\n+x\n"
    with pytest.raises(ActivityFailure) as caught:
        await apply_patch(sandbox, patch)
    assert caught.value.code == "patch_conflict"
    assert (sandbox.path / "a").read_text(encoding="utf-8") == "one\n"


async def test_the_changes_of_another_repository_are_not_taken_for_a_sandboxs(site: Site) -> None:
    add(site.repo, "a.txt", "one\n")
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / ".git").unlink()
    git(sandbox.path, "init", "-q")
    with pytest.raises(ActivityFailure) as caught:
        await changes(sandbox)
    assert caught.value.code == "no_sandbox"


async def test_a_patch_that_does_not_fit_leaves_everything_as_it_was(site: Site) -> None:
    add(site.repo, "a.txt", "one\ntwo\nthree\n")
    sandbox = await open_sandbox(site, key="wf-1")
    patch = patch_of(sandbox, "a.txt", "one\nzwei\nthree\n") + patch_of(sandbox, "b.txt", "new\n")
    (sandbox.path / "a.txt").write_text("one\ndeux\nthree\n", encoding="utf-8")
    await commit(sandbox, "Say it in French")
    with pytest.raises(ActivityFailure) as caught:
        await apply_patch(sandbox, patch)
    assert caught.value.code == "patch_conflict"
    assert (sandbox.path / "a.txt").read_text(encoding="utf-8") == "one\ndeux\nthree\n"
    assert not (sandbox.path / "b.txt").exists()
    assert git(sandbox.path, "status", "--porcelain") == ""


async def test_a_sandbox_that_a_crash_left_half_made_is_made_again(site: Site) -> None:
    add(site.repo, "a.txt", "one\n")
    sandbox = await open_sandbox(site, key="wf-1")
    record = sandbox.path.with_name("wf-1.json")
    text = record.read_text(encoding="utf-8")
    record.write_text(text.replace('"made": true', '"made": false'), encoding="utf-8")
    (sandbox.path / "a.txt").unlink()
    add(site.repo, "b.txt", "the user goes on")
    assert await open_sandbox(site, key="wf-1") == sandbox
    assert (sandbox.path / "a.txt").exists()
    assert git(site.repo, "worktree", "list").count("\n") == 1


async def test_a_sandbox_that_was_deleted_by_hand_stands_again_at_its_branch(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / "new.txt").write_text("work\n", encoding="utf-8")
    await commit(sandbox, "Add new")
    shutil.rmtree(sandbox.path)
    assert await open_sandbox(site, key="wf-1") == sandbox
    assert (sandbox.path / "new.txt").exists()


async def test_work_goes_on_at_the_tip_of_a_branch_that_exists(site: Site) -> None:
    first = await open_sandbox(site, key="wf-1", branch="feature/a")
    (first.path / "new.txt").write_text("work\n", encoding="utf-8")
    made = await commit(first, "Add new")
    await close_sandbox(site, "wf-1")
    second = await open_sandbox(site, key="wf-2", branch="feature/a")
    assert (second.base, second.branch) == (made, "feature/a")


async def test_a_branch_that_another_work_tree_is_on_is_refused(site: Site) -> None:
    with pytest.raises(ActivityFailure) as caught:
        await open_sandbox(site, key="wf-1", branch="main")
    assert caught.value.code == "branch_in_use"


async def test_a_detached_sandbox_with_commits_of_its_own_is_kept(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1", detached=True)
    assert sandbox.branch == ""
    (sandbox.path / "new.txt").write_text("work\n", encoding="utf-8")
    await commit(sandbox, "Add new")
    kept = await close_sandbox(site, "wf-1")
    assert kept == Kept("it has commits that no branch or tag holds")


async def test_only_the_paths_that_are_named_are_committed(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    for name in ("a.txt", "b.txt"):
        (sandbox.path / name).write_text("x\n", encoding="utf-8")
    await commit(sandbox, "Add a", paths=["a.txt"])
    seen = await changes(sandbox)
    assert (seen.files, seen.is_dirty) == (("a.txt",), True)


async def test_the_author_is_the_user_whom_git_names(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / "new.txt").write_text("work\n", encoding="utf-8")
    await commit(sandbox, "Add new")
    assert git(sandbox.path, "log", "-1", "--format=%an <%ae>") == "Test <test@example.invalid>"


async def test_without_a_name_the_author_is_beadflow(site: Site) -> None:
    git(site.repo, "config", "--unset", "user.email")
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / "new.txt").write_text("work\n", encoding="utf-8")
    await commit(sandbox, "Add new")
    assert git(sandbox.path, "log", "-1", "--format=%an <%ae>") == "beadflow <beadflow@localhost>"


@pytest.mark.parametrize(
    ("key", "name"),
    [("wf-1", "wf-1"), ("wf-1/0", "wf-1-0-"), ("../..", ""), ("ä", ""), ("-x", "x-"), ("", "")],
)
async def test_any_key_is_a_directory_and_a_branch(site: Site, key: str, name: str) -> None:
    sandbox = await open_sandbox(site, key=key)
    assert sandbox.path.parent == site.workspace / "worktrees"
    assert sandbox.path.name.startswith(name)
    assert sandbox.branch == f"beadflow/{sandbox.path.name}"


async def test_two_who_open_a_sandbox_at_once_get_the_same(site: Site) -> None:
    found = []

    async def open_it() -> None:
        found.append(await open_sandbox(site, key="wf-1"))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(open_it)
    assert found[0] == found[1] == found[2]


async def test_nothing_is_left_of_a_detached_sandbox_that_was_closed(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1", detached=True)
    await close_sandbox(site, "wf-1")
    assert {path.name for path in sandbox.path.parent.iterdir()} == set(FENCES)


async def test_a_closed_sandbox_that_is_opened_again_begins_where_it_began(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / "new.txt").write_text("work\n", encoding="utf-8")
    await commit(sandbox, "Add new")
    await close_sandbox(site, "wf-1")
    assert await open_sandbox(site, key="wf-1") == sandbox
    assert (await changes(sandbox)).files == ("new.txt",)


async def test_a_branch_that_was_made_in_vain_can_go_with_its_sandbox(site: Site) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    assert await close_sandbox(site, "wf-1", drop_branch=True) == Closed()
    assert git(site.repo, "branch", "--list", "beadflow/*") == ""
    assert await open_sandbox(site, key="wf-1") == sandbox


@pytest.mark.parametrize("use", ["a commit", "older", "another work tree"])
async def test_a_branch_that_somebody_may_need_stays(site: Site, use: str, tmp_path: Path) -> None:
    if use == "older":
        git(site.repo, "branch", "mine")
    sandbox = await open_sandbox(site, key="wf-1", branch="mine")
    if use == "a commit":
        (sandbox.path / "new.txt").write_text("work\n", encoding="utf-8")
        await commit(sandbox, "Add new")
    if use == "another work tree":
        git(site.repo, "worktree", "add", "--force", str(tmp_path / "other"), "mine")
    assert await close_sandbox(site, "wf-1", drop_branch=True) == Closed()
    assert git(site.repo, "branch", "--list", "mine").lstrip("+ ") == "mine"


@pytest.mark.parametrize("how", ["no .git", "another repository"])
async def test_files_that_are_no_work_tree_any_more_are_left_alone(site: Site, how: str) -> None:
    sandbox = await open_sandbox(site, key="wf-1")
    (sandbox.path / "new.txt").write_text("work\n", encoding="utf-8")
    (sandbox.path / ".git").unlink()
    if how == "another repository":
        git(sandbox.path, "init", "-q")
    for attempt in (open_sandbox(site, key="wf-1"), commit(sandbox, "Add new")):
        with pytest.raises(ActivityFailure) as caught:
            await attempt
        assert caught.value.code == "no_sandbox"
    assert isinstance(await close_sandbox(site, "wf-1"), Kept)
    assert (sandbox.path / "new.txt").exists()


async def test_a_sandbox_that_is_half_removed_is_made_again(site: Site) -> None:
    """As a crash leaves it while it is closed."""
    sandbox = await open_sandbox(site, key="wf-1")
    record = sandbox.path.with_name("wf-1.json")
    text = record.read_text(encoding="utf-8")
    record.write_text(text.replace('"made": true', '"made": false'), encoding="utf-8")
    (sandbox.path / ".git").unlink()
    assert await open_sandbox(site, key="wf-1") == sandbox
    assert git(sandbox.path, "status", "--porcelain") == ""


async def test_a_directory_behind_a_link_is_the_same_directory(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    site = Site(repo=repo, workspace=tmp_path / "link" / "workspace")
    sandbox = await open_sandbox(site, key="wf-1")
    shutil.rmtree(sandbox.path)
    assert await open_sandbox(site, key="wf-1") == sandbox
    assert await close_sandbox(site, "wf-1") == Closed()
    assert git(repo, "worktree", "list").count("\n") == 0
