"""Repositories that would run a command, or reach out of themselves, if Git were run plainly."""

import subprocess
from pathlib import Path

import pytest

from storage.errors import GitError, UnsafePath
from storage.git import ISSUES_FILE, ISSUES_REF, Repository
from tests.storage.repositories import commit, git, make


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = make(tmp_path / "repo")
    commit(place, "a.txt")
    return place


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def exercise(place: Path) -> None:
    """Does everything that a repository can be asked for."""
    repo = Repository.discover(place)
    assert repo is not None
    with repo:
        repo.tracks(Path("a.txt"))
        repo.record(b"1\n", "First")
        repo.record(b"2\n", "Second")
        repo.maintain()
        assert repo.read() == b"2\n"
        repo.exclude("x")


def script(path: Path, canary: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ntouch {canary}\n")
    path.chmod(0o755)
    return path


HOOKS = ["reference-transaction", "post-commit", "pre-commit", "pre-auto-gc", "post-index-change"]


@pytest.mark.parametrize("hook", HOOKS)
def test_no_hook_runs(place: Path, canary: Path, hook: str) -> None:
    script(place / ".git" / "hooks" / hook, canary)
    exercise(place)
    assert not canary.exists()


def test_a_hooks_path_in_the_repository_is_not_used(place: Path, canary: Path) -> None:
    script(place / "hooks" / "reference-transaction", canary)
    git(place, "config", "core.hooksPath", str(place / "hooks"))
    exercise(place)
    assert not canary.exists()


def test_the_canary_would_sing(place: Path, canary: Path) -> None:
    """The same trick works on a Git that is run plainly, so the tests above prove something."""
    script(place / ".git" / "hooks" / "reference-transaction", canary)
    git(place, "update-ref", "refs/beadflow/plain", "HEAD")
    assert canary.exists()


@pytest.mark.parametrize(
    "key",
    [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.gitProxy",
        "core.askPass",
        "core.alternateRefsCommand",
        "gc.recentObjectsHook",
        "gpg.program",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.external",
        "credential.helper",
        "uploadpack.packObjectsHook",
        "alias.rev-parse",
        "alias.update-ref",
    ],
)
def test_no_command_in_the_configuration_runs(place: Path, canary: Path, key: str) -> None:
    command = script(place / "evil", canary)
    git(place, "config", key, f"!{command}" if key.startswith("alias") else str(command))
    git(place, "config", "commit.gpgSign", "true")
    (place / ".gitattributes").write_text("* filter=evil\n")
    exercise(place)
    assert not canary.exists()


@pytest.mark.parametrize("url", ["ext::{evil}", "ssh://x/y", "file://{origin}"])
def test_a_missing_object_is_not_fetched(
    place: Path, canary: Path, tmp_path: Path, url: str
) -> None:
    """A partial clone would fetch what it lacks, through whatever its configuration names."""
    origin = make(tmp_path / "origin")
    commit(origin, "b.txt")
    command = script(tmp_path / "evil", canary)
    exercise(place)
    git(place, "config", "core.repositoryFormatVersion", "1")
    git(place, "config", "extensions.partialClone", "evil")
    git(place, "config", "remote.evil.promisor", "true")
    git(place, "config", "remote.evil.url", url.format(evil=command, origin=origin))
    git(place, "config", "remote.evil.uploadpack", str(command))
    git(place, "config", "core.sshCommand", str(command))
    git(place, "config", "protocol.ext.allow", "always")
    for stored in (*place.glob(".git/objects/pack/*"), *place.glob(".git/objects/??/*")):
        stored.unlink()
    repo = Repository.discover(place)
    assert repo is not None
    with repo, pytest.raises(GitError):
        repo.read()
    with repo, pytest.raises(GitError):
        repo.record(b"3\n", "Third")
    assert not canary.exists()
    with pytest.raises(subprocess.CalledProcessError):
        git(place, "cat-file", "-p", ISSUES_REF)
    assert canary.exists(), "the trick works on a Git that is run plainly"


@pytest.mark.parametrize(
    "ref",
    [
        "-x",
        "--upload-pack=evil",
        "refs/-x",
        "refs/heads/../main",
        "refs/a..b",
        "refs/a.lock",
        "refs/a b",
        "refs/a\nb",
        "refs/@{1}",
        "refs",
        "refs/",
        "HEAD",
        "main",
        "refs/a^{tree}",
        "refs/a:b",
        "",
    ],
)
def test_a_ref_of_an_odd_form_never_reaches_git(place: Path, ref: str) -> None:
    repo = Repository.discover(place)
    assert repo is not None
    with repo:
        for attempt in (repo.read, repo.maintain, repo.commit_at):
            with pytest.raises(GitError, match="not a ref"):
                attempt(ref)
        with pytest.raises(GitError, match="not a ref"):
            repo.record(b"1\n", "First", ref=ref)


@pytest.mark.parametrize("name", ["-x", "../x", "a/b", "", ".git", "a\tb", "a\0b", "x.lock"])
def test_a_file_name_of_an_odd_form_is_refused(place: Path, name: str) -> None:
    repo = Repository.discover(place)
    assert repo is not None
    with repo:
        with pytest.raises(GitError, match="not a file name"):
            repo.record(b"1\n", "First", filename=name)
        with pytest.raises(GitError, match="not a file name"):
            repo.read(filename=name)


def test_a_symbolic_ref_does_not_move_a_branch(place: Path) -> None:
    git(place, "symbolic-ref", ISSUES_REF, "refs/heads/main")
    before = git(place, "rev-parse", "main")
    repo = Repository.discover(place)
    assert repo is not None
    with repo, pytest.raises(UnsafePath, match="symbolic ref"):
        repo.record(b"1\n", "First")
    assert git(place, "rev-parse", "main") == before


def test_an_object_that_replaces_another_is_not_believed(place: Path) -> None:
    repo = Repository.discover(place)
    assert repo is not None
    with repo:
        repo.record(b"true\n", "First")
        blob = git(place, "rev-parse", f"{ISSUES_REF}:{ISSUES_FILE}")
        (place / "false").write_text("false\n")
        git(place, "replace", blob, git(place, "hash-object", "-w", "false"))
        assert repo.read() == b"true\n"


def test_the_variables_of_a_surrounding_hook_are_not_followed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / ".git" / "objects"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.hookspath=/tmp'")
    monkeypatch.setenv("GIT_NAMESPACE", "elsewhere")
    exercise(place)
    assert git(place, "rev-list", "--count", ISSUES_REF) == "2"
    assert git(other, "for-each-ref") == ""


def test_a_command_that_is_not_listed_does_not_run(place: Path) -> None:
    repo = Repository.discover(place)
    assert repo is not None
    with repo, pytest.raises(GitError, match="not one of the commands"):
        repo._run("push", "origin")


def test_a_path_with_the_signs_of_a_variable_or_an_option_is_a_path(tmp_path: Path) -> None:
    place = make(tmp_path / "-x $HOME ü")
    commit(place, "a.txt")
    exercise(place)
