import os
import subprocess
from pathlib import Path

import pytest
import trio

from actors.agents.kit.checkouts import checked_out
from actors.agents.kit.worktrees import FENCES
from actors.agents.site import Site
from tests.support.world import git_repository


@pytest.fixture
def site(tmp_path: Path) -> Site:
    repo = git_repository(tmp_path / "repo")
    (repo / "a.py").write_text("1\n")
    git(repo, "add", "a.py")
    git(repo, "commit", "-qm", "second")
    return Site(repo=repo, workspace=tmp_path / "workspace")


def git(repo: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=repo, check=True, capture_output=True)


def left(site: Site) -> list[Path]:
    found = site.workspace.glob("*/*")
    return [path for path in found if path.is_dir() and path.name not in FENCES]


async def test_the_files_of_the_commit_are_there_and_the_users_own_are_not(site: Site) -> None:
    (site.repo / "a.py").write_text("changed\n")
    async with checked_out(site, key="k") as place:
        assert (place.path / "a.py").read_text() == "1\n"
        assert place.scratch.is_dir()
    assert (site.repo / "a.py").read_text() == "changed\n"
    assert left(site) == []


async def test_another_commit_can_be_named(site: Site) -> None:
    async with checked_out(site, key="k", ref="HEAD~1") as place:
        assert not (place.path / "a.py").exists()


async def broken(site: Site) -> None:
    async with checked_out(site, key="k") as place:
        (place.path / "new.txt").write_text("x")
        raise RuntimeError("bug")


async def test_all_is_gone_after_a_failure_and_a_cancellation(site: Site) -> None:
    with pytest.raises(RuntimeError, match="bug"):
        await broken(site)
    with trio.CancelScope() as scope:
        async with checked_out(site, key="k"):
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert left(site) == []


async def test_what_a_crash_has_left_is_not_seen_by_the_next_attempt(site: Site) -> None:
    async with checked_out(site, key="k") as first:
        (first.path / "half-done.txt").write_text("x")
        (first.scratch / "half-done.txt").write_text("x")
        async with checked_out(site, key="k") as second:
            assert second.path == first.path
            assert sorted(path.name for path in second.path.iterdir()) == [".git", "a.py"]
            assert list(second.scratch.iterdir()) == []


async def test_the_code_is_found_where_it_runs_and_not_where_it_is_read(site: Site) -> None:
    async with checked_out(site, key="k") as place:
        (place.path / "src").mkdir()
        paths = place.running().env["PYTHONPATH"].split(os.pathsep)
        assert paths == [str(place.path), str(place.path / "src")]
        assert "PYTHONPATH" not in place.reading().env


async def test_programs_of_an_environment_that_git_has_are_not_used(site: Site) -> None:
    for name in (".venv", "venv"):
        (site.repo / name / "bin").mkdir(parents=True)
    evil = site.repo / "venv" / "bin" / "ruff"
    evil.write_text("#!/bin/sh\n")
    git(site.repo, "add", "--force", "venv")
    git(site.repo, "commit", "-qm", "evil")
    async with checked_out(site, key="k") as place:
        assert place.bins == (site.repo / ".venv" / "bin",)
