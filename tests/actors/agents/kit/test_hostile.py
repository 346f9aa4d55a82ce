"""A repository may be anybody's: opening, reading and changing it runs nothing that it names."""

import shutil
from pathlib import Path

import pytest

from actors.agents.kit.worktrees import (
    Sandbox,
    apply_patch,
    changes,
    check_branch,
    check_ref,
    close_sandbox,
    commit,
    open_sandbox,
    read,
    resolve,
)
from actors.agents.site import Site
from actors.workflows.definition import ActivityFailure
from tests.support import hostile
from tests.support.hostile import Hostile

REFS = (
    *("", "-", "--", "-h", "--upload-pack=touch x", "--output=x", "-o", "--exec=sh", "-c", "--all"),
    *("-x/main", "main/-x", "a b", "a\nb", "a\tb", "a\0b", "a\x7fb", "a..b", "main..HEAD", "^main"),
    *("a^{/x}", "main@{1}", "@{-1}", "@", "HEAD:plain.txt", ":plain.txt", ":/first", "a?b", "a*b"),
    *("a[b", "a\\b", "/main", "main/", "a//b", ".main", "a/.b", "main.lock", "a.lock/b", "main."),
    *("..", "../main", "~1", "main~1x", "main^{commit}", "HEAD^!", "HEAD^@", "HEAD^-", "x" * 300),
    *("ma\u202ein", "a\u2028b", "a\x1b[31m", "ext::sh -c id", "$(id) x", "refs/heads/a b"),
)
READS = (
    ("status", "--porcelain"),
    ("diff", "HEAD~1", "HEAD", "--"),
    ("diff", "HEAD", "--"),
    ("log", "-p", "--format=%H %G?", "--"),
    ("show", "HEAD", "--"),
    ("blame", "--", "a.d"),
    ("ls-files", "-z"),
    ("rev-parse", "HEAD"),
    ("diff-tree", "-p", "-r", "HEAD"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    return hostile.hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def world(made: Hostile, tmp_path: Path) -> Hostile:
    """A copy, since the tests change it; the canaries stay where the programs look for them."""
    made.silence()
    copy = tmp_path / "repo"
    shutil.copytree(made.repo, copy, symlinks=True)
    return Hostile(repo=copy, canaries=made.canaries, secret=made.secret)


def site_of(world: Hostile) -> Site:
    return Site(repo=world.repo, workspace=world.repo.parent / "workspace")


def patch(path: str, *, mode: str = "100644", line: str = "x") -> bytes:
    return (
        f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n"
        f"@@ -0,0 +1 @@\n+{line}\n"
    ).encode()


def test_the_tricks_work_on_plain_git(world: Hostile) -> None:
    """Else it would say nothing that they do not work on ours."""
    tree = world.repo.parent / "tree"
    hostile.git(world.repo, "worktree", "add", "-q", "-b", "other", str(tree))
    hostile.git(world.repo, "diff", "HEAD~1", "HEAD")
    hostile.git(world.repo, "show", "--no-ext-diff", "--textconv", "HEAD", "--", "a.d")
    hostile.git(world.repo, "blame", "a.d")
    sung = world.sung()
    assert {"hook", "fsmonitor", "smudge", "odd-filter", "external-diff", "textconv"} <= sung


async def test_no_read_sets_a_canary_off(world: Hostile) -> None:
    (world.repo / "a.f").write_text("changed\n", encoding="utf-8")
    for args in READS:
        result = await read(site_of(world), *args)
        assert result.ok, result.why
    assert world.sung() == set()


async def test_no_step_of_a_sandbox_sets_a_canary_off(world: Hostile) -> None:
    site = site_of(world)
    sandbox = await open_sandbox(site, key="wf-1")
    assert (sandbox.path / "a.f").read_text(encoding="utf-8") == "one\ntwo\nthree\n"
    (sandbox.path / "a.f").write_text("changed\n", encoding="utf-8")
    (sandbox.path / "new.o").write_text("new \n", encoding="utf-8")
    await commit(sandbox, "Change")
    seen = await changes(sandbox)
    assert seen.files == ("a.f", "new.o")
    await apply_patch(sandbox, patch("b.f", line="trailing "))
    await close_sandbox(site, "wf-1", force=True)
    assert world.sung() == set()


async def test_a_setting_of_one_work_tree_alone_is_overridden_too(world: Hostile) -> None:
    hostile.git(world.repo, "config", "extensions.worktreeConfig", "true")
    song = hostile.git(world.repo, "config", "core.fsmonitor").strip()
    hostile.git(world.repo, "config", "--worktree", "filter.w.smudge", song)
    (world.repo / ".git" / "info" / "attributes").write_text("*.txt filter=w\n", encoding="utf-8")
    await open_sandbox(site_of(world), key="wf-1")
    await read(site_of(world), "status", "--porcelain")
    assert world.sung() == set()


async def test_a_repository_does_not_lead_to_a_work_tree_elsewhere(world: Hostile) -> None:
    hostile.git(world.repo, "config", "core.worktree", str(world.secret.parent))
    listed = await read(site_of(world), "status", "--porcelain", "--untracked-files=all")
    assert b"secret.txt" not in listed.stdout
    sandbox = await open_sandbox(site_of(world), key="wf-1")
    assert (sandbox.path / "plain.txt").exists()
    assert [path.name for path in world.secret.parent.iterdir()] == ["secret.txt"]


async def test_a_merge_is_made_without_the_repositorys_driver(world: Hostile) -> None:
    sandbox = await open_sandbox(site_of(world), key="wf-1", ref="HEAD")
    older = await read(sandbox.path, "diff", "--full-index", "HEAD~1", "HEAD", "--", "a.m")
    (sandbox.path / "a.m").write_text("zero\none\ntwo\nthree\nfour\n", encoding="utf-8")
    await commit(sandbox, "Move on")
    assert await apply_patch(sandbox, older.stdout)
    merged = (sandbox.path / "a.m").read_text(encoding="utf-8")
    assert merged == "zero\none\nzwei\nthree\nfour\n"
    assert world.sung() == set()


@pytest.mark.parametrize(
    "odd",
    [
        patch("../outside.txt"),
        patch("/tmp/outside.txt"),  # noqa: S108 - never made
        patch(".git/hooks/post-checkout", mode="100755"),
        patch("a/.GIT/config"),
        patch("git~1/config"),
        patch("out/inside.txt"),
        patch("link", mode="120000", line="/etc"),
        patch("module", mode="160000", line="Subproject commit " + "0" * 40),
        b"diff --git a/plain.txt b/../x\nrename from plain.txt\nrename to ../x\n",
        b"diff --git a/secret b/secret\nold mode 120000\nnew mode 100644\n",
        patch("fresh", mode="120000", line="..") + patch("fresh/out.txt"),
        b"no patch at all\n",
        b"",
    ],
)
async def test_a_patch_that_leads_out_is_refused(world: Hostile, odd: bytes) -> None:
    sandbox = await open_sandbox(site_of(world), key="wf-1")
    with pytest.raises(ActivityFailure) as caught:
        await apply_patch(sandbox, odd)
    assert caught.value.code in {"bad_patch", "patch_conflict"}
    assert (await read(sandbox.path, "status", "--porcelain")).stdout == b""
    assert [path.name for path in world.secret.parent.iterdir()] == ["secret.txt"]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", ".git/config", "a/.Git/x"])
async def test_a_path_that_leads_out_is_not_committed(world: Hostile, path: str) -> None:
    sandbox = Sandbox(path=world.repo, branch="main", base="HEAD")
    with pytest.raises(ActivityFailure, match="no path in the work tree"):
        await commit(sandbox, "Out", paths=[path])


@pytest.mark.parametrize("ref", REFS)
async def test_an_odd_ref_is_refused(ref: str) -> None:
    with pytest.raises(ActivityFailure) as caught:
        check_ref(ref)
    assert caught.value.code == "bad_ref"
    with pytest.raises(ActivityFailure):
        check_branch(ref)


def test_there_are_fifty_odd_refs() -> None:
    assert len(set(REFS)) >= 50


@pytest.mark.parametrize("ref", ["main", "HEAD", "HEAD~1", "main^", "refs/heads/main", "feat/ä"])
def test_a_usual_ref_is_taken(ref: str) -> None:
    assert check_ref(ref) == ref


async def test_a_commit_that_is_not_there_is_said(world: Hostile) -> None:
    with pytest.raises(ActivityFailure) as caught:
        await resolve(site_of(world), "no/such/branch")
    assert caught.value.code == "unknown_ref"
