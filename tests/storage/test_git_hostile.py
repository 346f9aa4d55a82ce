"""Repositories that would run a command, or reach out of themselves, if Git were run plainly."""

import subprocess
from pathlib import Path

import pytest

from storage.errors import GitError, RemoteFailed, UnsafePath
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


@pytest.fixture
def remote(place: Path, tmp_path: Path) -> Path:
    bare = make(tmp_path / "remote.git", bare=True)
    git(place, "remote", "add", "origin", str(bare))
    return bare


def meet(place: Path) -> None:
    """Fetches and pushes what a repository asks for."""
    repo = Repository.discover(place)
    assert repo is not None
    repo.record(b"1\n", "First")
    theirs = repo.fetch("origin")
    commit_id = repo.commit_at()
    assert commit_id is not None
    repo.push("origin", commit_id, expected=theirs)
    assert repo.fetch("origin") == commit_id


TRANSPORT_HOOKS = ["pre-push", "reference-transaction", "post-rewrite", "pre-auto-gc"]
FAR_HOOKS = ["pre-receive", "update", "post-receive", "post-update", "reference-transaction"]


@pytest.mark.parametrize("hook", TRANSPORT_HOOKS)
def test_no_hook_of_ours_runs_for_a_transport(
    place: Path, remote: Path, canary: Path, hook: str
) -> None:
    script(place / ".git" / "hooks" / hook, canary)
    meet(place)
    assert not canary.exists()
    assert git(remote, "rev-parse", ISSUES_REF) == git(place, "rev-parse", ISSUES_REF)


@pytest.mark.parametrize("hook", FAR_HOOKS)
def test_no_hook_of_a_remote_on_this_machine_runs(
    place: Path, remote: Path, canary: Path, hook: str
) -> None:
    script(remote / "hooks" / hook, canary)
    meet(place)
    assert not canary.exists()


def test_the_canary_would_sing_for_a_push(place: Path, remote: Path, canary: Path) -> None:
    script(place / ".git" / "hooks" / "pre-push", canary)
    git(place, "push", "--quiet", "origin", "main")
    assert canary.exists()


TRANSPORT_KEYS = [
    "core.sshCommand",
    "core.gitProxy",
    "core.askPass",
    "core.fsmonitor",
    "core.alternateRefsCommand",
    "credential.helper",
    "remote.origin.uploadpack",
    "remote.origin.receivepack",
    "remote.origin.vcs",
    "gpg.program",
    "gc.recentObjectsHook",
    "uploadpack.packObjectsHook",
    "filter.evil.clean",
]


@pytest.mark.parametrize("key", TRANSPORT_KEYS)
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_no_command_in_a_configuration_runs_for_a_transport(
    place: Path, remote: Path, canary: Path, key: str, side: str
) -> None:
    command = script(place / "evil", canary)
    for name, value in ((key, str(command)), ("push.gpgSign", "if-asked")):
        git(place if side == "ours" else remote, "config", name, value)
    (place / ".gitattributes").write_text("* filter=evil\n")
    meet(place)
    assert not canary.exists()


@pytest.mark.parametrize(
    "url",
    [
        "ext::{evil}",
        "ext::sh -c {evil}",
        "fd::17",
        "evil::x",
        "git://example.org/x",
        "http://example.org/x",
        "ftp://example.org/x",
        "--upload-pack={evil}",
        "-oProxyCommand={evil}",
        "transport-helper::x",
        "x\ny",
    ],
)
def test_a_url_that_may_be_a_command_is_not_used(place: Path, canary: Path, url: str) -> None:
    command = script(place / "evil", canary)
    git(place, "config", "protocol.ext.allow", "always")
    git(place, "config", "remote.origin.url", url.format(evil=command))
    with pytest.raises(RemoteFailed) as refused:
        meet(place)
    assert refused.value.reason == "protocol"
    assert not canary.exists()


@pytest.mark.parametrize("key", ["insteadOf", "pushInsteadOf"])
def test_a_repository_cannot_turn_a_url_into_a_command(
    place: Path, remote: Path, canary: Path, key: str
) -> None:
    command = script(place / "evil", canary)
    git(place, "config", "protocol.ext.allow", "always")
    git(place, "config", f"url.ext::{command} .{key}", str(remote))
    meet(place)
    assert not canary.exists()


def test_a_push_url_that_is_a_command_is_not_used(place: Path, remote: Path, canary: Path) -> None:
    command = script(place / "evil", canary)
    git(place, "config", "remote.origin.pushurl", f"ext::{command}")
    with pytest.raises(RemoteFailed):
        meet(place)
    assert not canary.exists()


@pytest.mark.parametrize("host", ["-oProxyCommand={evil}", "x -oProxyCommand={evil}"])
def test_a_host_is_no_option_of_ssh(place: Path, canary: Path, host: str) -> None:
    command = script(place / "evil", canary)
    for url in (f"ssh://{host}/x", f"{host}:x", f"ssh://user@{host}/x"):
        git(place, "config", "remote.origin.url", url.format(evil=command))
        with pytest.raises(RemoteFailed):
            meet(place)
    assert not canary.exists()


def test_the_users_own_ssh_command_is_used_for_a_transport(
    place: Path, tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(f"[core]\nsshCommand = {script(tmp_path / 'ssh', canary)}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    git(place, "config", "remote.origin.url", "ssh://nowhere.invalid/x")
    with pytest.raises(RemoteFailed):
        meet(place)
    assert canary.exists()


def test_a_link_in_the_place_of_the_transports_directory_is_refused(
    place: Path, remote: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (place / ".git" / "beadflow-transport").symlink_to(precious)
    with pytest.raises(UnsafePath):
        meet(place)
    assert (precious / "file").exists()


def test_submodules_of_the_issues_are_not_looked_into(
    place: Path, remote: Path, canary: Path, tmp_path: Path
) -> None:
    """The other side's tree may hold what it likes; only the one file is read."""
    repo = Repository.discover(place)
    assert repo is not None
    repo.record(b"1\n", "First")
    evil = f'[submodule "x"]\n\tpath = x\n\turl = ext::touch {canary}\n'
    repo.record(evil.encode(), "Modules", filename="gitmodules")
    file, modules = (
        git(place, "rev-parse", f"{ISSUES_REF}:{name}") for name in (ISSUES_FILE, "gitmodules")
    )
    tree = "".join(
        f"{entry}\t{name}\n"
        for entry, name in (
            (f"100644 blob {file}", ISSUES_FILE),
            (f"100644 blob {modules}", ".gitmodules"),
            (f"160000 commit {git(place, 'rev-parse', 'HEAD')}", "x"),
        )
    )
    made = subprocess.run(
        ["git", "mktree"], cwd=place, input=tree, text=True, check=True, stdout=subprocess.PIPE
    ).stdout.strip()
    commit_id = git(place, "commit-tree", made, "-m", "Evil")
    git(place, "push", "--quiet", "origin", f"{commit_id}:{ISSUES_REF}")
    git(place, "config", "submodule.recurse", "true")
    git(place, "config", "fetch.recurseSubmodules", "true")
    theirs = repo.fetch("origin")
    assert theirs == commit_id
    merged = repo.merge(b"2\n", theirs, "Merge")
    repo.push("origin", merged, expected=theirs)
    assert not canary.exists()
    assert not (place / "x").exists()


def test_a_file_of_the_issues_that_is_a_link_is_none(place: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    (place / "target").write_text(str(secret))
    blob = git(place, "hash-object", "-w", "target")
    made = subprocess.run(
        ["git", "mktree"],
        cwd=place,
        input=f"120000 blob {blob}\tissues.jsonl\n",
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout.strip()
    git(place, "update-ref", ISSUES_REF, git(place, "commit-tree", made, "-m", "Link"))
    repo = Repository.discover(place)
    assert repo is not None
    assert repo.read() is None
