from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from actors.agents.documentation.config import DocumentationConfig
from actors.agents.documentation.messages import (
    GenerateRequest,
    Repair,
    ReviewRequest,
    UpdateRequest,
)
from actors.agents.documentation.review import review
from actors.agents.documentation.update import Edits, mend, update, write
from actors.agents.kit.outcome import Place
from actors.agents.kit.worktrees import open_sandbox
from actors.agents.protocol import Task
from actors.workflows.definition import ActivityFailure
from tests.actors.agents.documentation.conftest import Shelf, tree_in
from tests.support.planted import planted
from tests.support.repos import commit, git, repository

FILES = {
    "shop/__init__.py": '"""A shop."""\n',
    "README.md": "See [it](guide.md#begn).\r\nOr [it](guide.md).\r\n",
    "docs/guide.md": "# Begin\n",
}
TaskIn = Callable[[Path], Task]


def show(repo: Path, branch: str, path: str) -> str:
    return git(repo, "show", f"{branch}:{path}")


def repair(path: str, line: int, old: str, new: str) -> Repair:
    return Repair(rule="spelling", place=Place(path=path, line=line), old=old, new=new)


async def test_pages_repairs_and_changelog_are_one_commit_on_a_branch(
    task_in: TaskIn, tmp_path: Path, shelf: Shelf
) -> None:
    repo = repository(tmp_path / "repo", FILES)
    task = task_in(repo)
    found = await review(task, ReviewRequest(), DocumentationConfig())
    made = await update(
        task, UpdateRequest(repairs=found.repairs, changelog="### Added\n\n- `shop`.")
    )
    assert (made.branch, made.base) == ("beadflow/wf-1", git(repo, "rev-parse", "main"))
    assert made.commit == git(repo, "rev-parse", "beadflow/wf-1")
    assert git(repo, "rev-list", "--count", "main..beadflow/wf-1") == "1"
    assert made.files == ("CHANGELOG.md", "README.md", "docs/api/index.md", "docs/api/shop.md")
    assert "A shop." in show(repo, made.branch, "docs/api/shop.md")
    assert show(repo, made.branch, "CHANGELOG.md") == (
        "# Changelog\n\n## Unreleased\n\n### Added\n\n- `shop`."
    )
    assert shelf["documentation/changes.patch"].count(b"\ndiff --git") == 3


async def test_the_users_work_tree_and_branch_stay_as_they_were(
    task_in: TaskIn, tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", FILES)
    (repo / "README.md").write_text("being written")
    before = git(repo, "rev-parse", "HEAD"), git(repo, "status", "--porcelain")
    await update(task_in(repo), UpdateRequest())
    assert (git(repo, "rev-parse", "HEAD"), git(repo, "status", "--porcelain")) == before
    assert git(repo, "worktree", "list").count("\n") == 0


async def test_the_same_attempt_again_commits_nothing_more(task_in: TaskIn, tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", FILES)
    request = UpdateRequest(repairs=(repair("README.md", 2, "Or", "And"),), changelog="- One.")
    first = await update(task_in(repo), request)
    again = await update(replace(task_in(repo), attempt=2), request)
    assert (again.commit, again.files, again.diffstat) == (
        first.commit,
        first.files,
        first.diffstat,
    )
    assert git(repo, "rev-list", "--count", f"main..{first.branch}") == "1"


async def test_an_attempt_goes_on_from_what_a_crash_has_left(
    task_in: TaskIn, tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", FILES)
    task = task_in(repo)
    left = await open_sandbox(
        task.site, key=f"{task.idempotency_key}-documents", branch="beadflow/wf-1"
    )
    (left.path / "docs" / "api").mkdir()
    (left.path / "docs" / "api" / "shop.md").write_text("half")
    made = await update(task, UpdateRequest())
    assert made.commit is not None
    assert "A shop." in show(repo, made.branch, "docs/api/shop.md")


async def test_another_workflow_goes_on_with_the_same_branch(
    task_in: TaskIn, tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", FILES)
    git(repo, "branch", "feature")
    first = await update(
        task_in(repo), UpdateRequest(branch="feature", pages=None, changelog="- A.")
    )
    second = await update(replace(task_in(repo), op="9"), UpdateRequest(branch="feature"))
    assert second.base == first.commit
    assert git(repo, "rev-list", "--count", "main..feature") == "2"
    assert "- A." in show(repo, "feature", "CHANGELOG.md")


async def test_what_is_up_to_date_stays_as_it_is(task_in: TaskIn, tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", FILES)
    first = await update(task_in(repo), UpdateRequest())
    git(repo, "merge", "--quiet", "--ff-only", first.branch)
    second = await update(replace(task_in(repo), workflow_id="wf-2"), UpdateRequest())
    assert (second.commit, second.files, second.artifacts) == (None, (), ())
    assert second.summary == "The documentation is up to date."


async def test_pages_whose_module_is_gone_are_removed_and_those_by_hand_are_kept(
    task_in: TaskIn, tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", FILES | {"shop/old.py": '"""Old."""\n'})
    first = await update(task_in(repo), UpdateRequest())
    git(repo, "merge", "--quiet", "--ff-only", first.branch)
    (repo / "shop" / "old.py").unlink()
    commit(repo, {"docs/api/shop.md": "# By hand\n"})
    second = await update(replace(task_in(repo), workflow_id="wf-2"), UpdateRequest())
    assert second.files == ("docs/api/index.md", "docs/api/shop.old.md")
    assert [skipped.what for skipped in second.skipped] == ["docs/api/shop.md"]
    assert show(repo, second.branch, "docs/api/shop.md") == "# By hand"


async def test_line_ends_stay_and_only_the_line_that_is_named_changes(
    task_in: TaskIn, tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", {})
    (repo / "a.md").write_bytes(b"one\r\none sone one\r\none\r\n")
    commit(repo, {})
    made = await update(
        task_in(repo), UpdateRequest(pages=None, repairs=(repair("a.md", 2, "one", "two"),) * 2)
    )
    assert made.metrics["repairs"] == 2
    git(repo, "checkout", "--quiet", made.branch)
    assert (repo / "a.md").read_bytes() == b"one\r\ntwo sone two\r\none\r\n"


@pytest.mark.parametrize(
    "odd",
    [
        repair("a.md", 9, "one", "two"),
        repair("a.md", 1, "three", "two"),
        repair("b.md", 1, "one", "two"),
        repair("../a.md", 1, "one", "two"),
        repair(".git", 1, "gitdir", "two"),
        repair("a.md", 1, "one", "two\nthree"),
        Repair(rule="x", place=Place(path="a.md"), old="one", new="two"),
    ],
)
def test_a_repair_that_fits_nowhere_is_said(tmp_path: Path, odd: Repair) -> None:
    edits = Edits()
    mend(tree_in(tmp_path, {"a.md": "one\n"}), odd, edits)
    assert (edits.files, edits.repairs) == ({}, 0)
    assert edits.skipped[0].what.startswith("a repair of ")


@pytest.mark.parametrize("target", ["docs", "docs/api", "docs/api/shop.md"])
def test_files_are_never_written_through_a_link(tmp_path: Path, target: str) -> None:
    root, outside = tmp_path / "tree", tmp_path / "outside"
    outside.mkdir()
    (root / target).parent.mkdir(parents=True)
    (root / target).symlink_to(outside / "shop.md" if target.endswith(".md") else outside)
    with pytest.raises(ActivityFailure, match="symbolic link") as caught:
        write(root, {"docs/api/shop.md": "text"})
    assert caught.value.code == "bad_path"
    assert list(outside.iterdir()) == []


async def test_pages_that_would_go_through_a_link_are_left_out_and_nothing_stays(
    task_in: TaskIn, tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", {"shop/__init__.py": '"""A shop."""\n'})
    (tmp_path / "outside").mkdir()
    (repo / "docs").symlink_to(tmp_path / "outside")
    commit(repo, {})
    made = await update(task_in(repo), UpdateRequest())
    assert (made.commit, [skipped.what for skipped in made.skipped]) == (
        None,
        ["2 pages in docs/api"],
    )
    assert made.summary.startswith("Nothing was updated")
    assert list((tmp_path / "outside").iterdir()) == []
    assert git(repo, "branch", "--list", "beadflow/*") == ""
    assert git(repo, "worktree", "list").count("\n") == 0


async def test_what_no_link_leads_away_is_still_mended(task_in: TaskIn, tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", FILES)
    (repo / "docs" / "api").symlink_to("/nonexistent")
    (repo / "CHANGELOG.md").symlink_to("README.md")
    commit(repo, {})
    request = UpdateRequest(repairs=(repair("README.md", 2, "Or", "And"),), changelog="- One.")
    made = await update(task_in(repo), request)
    assert made.files == ("README.md",)
    skipped = [one.what for one in made.skipped]
    assert skipped == ["2 pages in docs/api", "an entry in CHANGELOG.md"]


@pytest.mark.parametrize("path", ["", "/etc", "../x", "a/../../b", ".git/hooks", "a\\b", "a\nb"])
def test_a_directory_outside_of_the_tree_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        UpdateRequest(pages=path)
    with pytest.raises(ValidationError):
        GenerateRequest(pages=path)


async def test_a_branch_with_an_odd_name_is_refused(task_in: TaskIn, tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", FILES)
    with pytest.raises(ActivityFailure) as caught:
        await update(task_in(repo), UpdateRequest(branch="--force"))
    assert caught.value.code == "bad_ref"


async def test_the_planted_change_is_mentioned_and_the_tests_that_passed_still_could(
    task_in: TaskIn, tmp_path: Path
) -> None:
    made = planted(tmp_path)
    answer = await update(task_in(made.repo), UpdateRequest())
    page = show(made.repo, answer.branch, "docs/api/orchard.prices.md")
    assert "wholesale" in page
    assert not [path for path in answer.files if not path.startswith("docs/")]
