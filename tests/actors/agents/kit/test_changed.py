import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from actors.agents.kit.changed import Changed, added_lines, changed_lines, tracked_files
from actors.agents.kit.outcome import Place
from actors.agents.site import Site
from actors.workflows.definition import ActivityFailure
from tests.support.planted import Planted, planted


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture
def site(there: Planted, tmp_path: Path) -> Site:
    return Site(repo=there.repo, workspace=tmp_path)


async def test_the_lines_that_head_added_are_known(there: Planted, site: Site) -> None:
    changed = await changed_lines(site, there.base, "HEAD")
    assert (changed.base, changed.head) == (there.base, there.head)
    assert set(changed.lines) == {
        "orchard/counts.py",
        "orchard/prices.py",
        "tests/test_wholesale.py",
    }
    new, old = there.new_lint, there.old_lint
    assert changed.has(Place(path=new.path, line=new.line))
    assert not changed.has(Place(path=old.path, line=old.line))


async def test_of_a_file_with_another_name_only_the_changed_lines_are_new(
    there: Planted, site: Site, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    git(there, "clone", "--quiet", "--no-hardlinks", str(there.repo), str(copy))
    moved = replace(there, repo=copy)
    git(moved, "mv", "orchard/prices.py", "orchard/costs.py")
    costs = copy / "orchard" / "costs.py"
    costs.write_text(costs.read_text().replace("max(0, apples)", "max(1, apples)"))
    git(moved, "-c", "user.name=a", "-c", "user.email=b", "commit", "--quiet", "-am", "third")
    changed = await changed_lines(replace(site, repo=copy), "HEAD~1", "HEAD")
    line = there.undocumented_at.line + 1
    assert changed.lines == {"orchard/costs.py": (range(line, line + 1),)}


async def test_a_commit_that_is_not_there_is_refused(site: Site) -> None:
    with pytest.raises(ActivityFailure) as caught:
        await changed_lines(site, "nowhere", "HEAD")
    assert caught.value.code == "unknown_ref"


async def test_commits_without_a_common_one_are_refused(there: Planted, site: Site) -> None:
    tree = git(there, "rev-parse", "HEAD^{tree}")
    alone = git(there, "-c", "user.name=a", "-c", "user.email=b", "commit-tree", "-m", "x", tree)
    with pytest.raises(ActivityFailure) as caught:
        await changed_lines(site, alone, "HEAD")
    assert caught.value.code == "no_common_commit"


async def test_all_plain_files_of_a_commit_are_listed(there: Planted, site: Site) -> None:
    assert "orchard/prices.py" in await tracked_files(site, there.base)
    assert "tests/test_wholesale.py" not in await tracked_files(site, there.base)


def git(there: Planted, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=there.repo, check=True, capture_output=True)
    return done.stdout.decode().strip()


def added(diff: str) -> dict[str, tuple[range, ...]]:
    return dict(added_lines(diff.encode()))


def test_what_looks_like_a_header_inside_a_hunk_is_text() -> None:
    diff = (
        "diff --git a/a b/a\n--- a/a\n+++ b/a\n"
        "@@ -1 +1,2 @@\n--- a/b\n+++ b/b\n+@@ -1 +1 @@\n"
        "@@ -9,2 +10,0 @@\n-x\n-y\n"
    )
    assert added(diff) == {"a": (range(1, 3),)}


def test_odd_names_are_read_as_git_writes_them() -> None:
    diff = 'diff --git x y\n--- /dev/null\n+++ "b/a \\"b\\"\\t\\303\\244.py"\n@@ -0,0 +1 @@\n+x\n'
    assert added(diff) == {'a "b"\tä.py': (range(1, 2),)}


def test_a_file_that_is_gone_has_no_lines() -> None:
    diff = "diff --git a/a b/a\n--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    assert added(diff) == {}


def test_what_ends_in_a_changed_line_is_about_it() -> None:
    changed = Changed("", "", b"", {"a": (range(5, 7),), "b": ()})
    assert changed.has(Place(path="a", line=1, end_line=5))
    assert changed.has(Place(path="a"))
    assert not changed.has(Place(path="a", line=1, end_line=4))
    assert not changed.has(Place(path="a", line=7))
    assert not changed.has(Place(path="c", line=5))
    assert not changed.has(None)
