"""Fetching and pushing one ref, with the user's configuration and without the repository's.

Credential helpers, proxies and ssh are the user's to choose, in their own configuration. A
repository's may name programs as well (`core.sshCommand`, `url.*.insteadOf = ext::…`, `credential`,
hooks), and a repository may come from anybody. So transports run in a Git directory of our own
making, which borrows nothing but the repository's objects: there is no configuration in it, no
hook, no attribute, and no ref but those that tell the other side what is here already. The one
thing taken from the repository is the remote's URL, and only in the forms that cannot be a command.

A remote that is a path on this machine would run with *its* repository's configuration, by us: its
hooks are off, too. Over ssh and https they are the server's business.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from storage.errors import GitError, GitTimeout, PushRejected, RemoteFailed, UnsafePath
from storage.gitdir import GitDir
from storage.gitrunner import COMMIT_ID, REF, Runner, checked, flags

PROTOCOLS: Final = ("file", "https", "ssh")
REMOTE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
DIRECTORY: Final = "beadflow-transport"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HELPER = re.compile(r"[A-Za-z0-9]+::")
_SCP = re.compile(r"[^/:]+:")
_SCHEMES = {"file": "file", "https": "https", "ssh": "ssh", "git+ssh": "ssh", "ssh+git": "ssh"}
_FETCHED: Final = "refs/beadflow/fetched"

_FLAGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.alternateRefsCommand": "true",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "push.recurseSubmodules": "no",
    "push.followTags": "false",
    "push.gpgSign": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
_FAR_SIDE = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.alternateRefsCommand": "true",
    "receive.autogc": "false",
    "receive.denyCurrentBranch": "refuse",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS),
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",  # nobody is there to be asked
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
}

_LOST_RACE = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to update ref"
    r"|incorrect old value|reference already exists"
)
_NO_SUCH_REF = re.compile(r"couldn't find remote ref|no such ref", re.IGNORECASE)
_DENIED = re.compile(
    r"Authentication failed|Permission denied|could not read (Username|Password)"
    r"|terminal prompts disabled|Host key verification failed|\b40[13]\b|access denied"
    r"|unable to get password",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"transport '.*' not allowed", re.IGNORECASE)


class Remotes:
    """Transports to one URL or another, through a directory that is made for each of them.

    One process at a time: it holds the lock on the repository's issues.
    """

    def __init__(self, where: GitDir, runner: Runner) -> None:
        self._where = where
        self._runner = runner
        self._place = where.common_dir / DIRECTORY

    def fetch(self, url: str, ref: str, *, have: Mapping[str, str]) -> str | None:
        """Brings the commit of a ref on the other side, and all it is made of.

        `have` are refs and commits that are here already.

        Returns: the commit, or None where the other side has no such ref.

        Raises:
            RemoteFailed: it cannot be reached, does not let us in, or is none that is used.
        """
        address, here = address_of(url, self._base)
        options = [
            *("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
            *("--no-recurse-submodules", "--no-prune", "--no-show-forced-updates"),
        ]
        far_side = [f"--upload-pack={_far_side('upload-pack')}"] if here else []
        refspec = f"+{checked(REF, ref, 'ref')}:{_FETCHED}"
        with self._directory(have) as place:
            try:
                self._run("fetch", place, *options, *far_side, "--", address, refspec)
            except RemoteFailed as err:
                if _NO_SUCH_REF.search(err.detail):
                    return None
                raise
            found = (place / _FETCHED).read_text("ascii").strip()
        return checked(COMMIT_ID, found, "SHA-1 commit id")

    def push(self, url: str, ref: str, commit: str, *, expected: str | None) -> None:
        """Moves a ref on the other side to a commit of ours, if it is where we saw it.

        `expected` is the commit it was at; None where it was not there.

        Raises:
            PushRejected: it is no longer there: somebody else pushed.
            RemoteFailed: as for `fetch`, or the other side does not take it.
        """
        address, here = address_of(url, self._base)
        checked(REF, ref, "ref")
        checked(COMMIT_ID, commit, "SHA-1 commit id")
        options = ("--porcelain", "--no-verify", "--no-recurse-submodules", "--no-signed")
        lease = f"--force-with-lease={ref}:{expected or ''}"
        far_side = [f"--receive-pack={_far_side('receive-pack')}"] if here else []
        have = {ref: commit}
        with self._directory(have) as place:
            refspec = f"{commit}:{ref}"
            self._run("push", place, *options, lease, *far_side, "--", address, refspec)

    @property
    def _base(self) -> Path:
        return self._where.work_tree or self._where.common_dir

    def _run(self, command: str, place: Path, *args: str) -> None:
        environment = {
            **_ENVIRONMENT,
            "GIT_DIR": str(place),
            "GIT_OBJECT_DIRECTORY": str(self._where.common_dir / "objects"),
        }
        options = [*flags(_FLAGS), "-c", f"safe.directory={place}", command]
        try:
            self._runner.transport(command, *options, *args, environment=environment)
        except GitTimeout:
            raise
        except GitError as err:
            raise _failure(command, err.detail) from err

    @contextmanager
    def _directory(self, have: Mapping[str, str]) -> Iterator[Path]:
        """Makes the Git directory of one transport. What a killed one left is made anew."""
        place = self._place
        if place.is_symlink():
            raise UnsafePath(place, "it is a symbolic link")
        shutil.rmtree(place, ignore_errors=True)
        try:
            (place / "refs").mkdir(parents=True, mode=0o700)
            (place / "HEAD").write_text("ref: refs/heads/none\n", "ascii")
            (place / "config").write_text(
                "[core]\n\trepositoryformatversion = 0\n\tbare = true\n", "ascii"
            )
            lines = sorted(f"{checked(REF, ref, 'ref')}\0{commit}" for ref, commit in have.items())
            packed = "".join("{1} {0}\n".format(*line.split("\0")) for line in lines)
            (place / "packed-refs").write_text(f"# pack-refs with: sorted \n{packed}", "ascii")
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def address_of(url: str, base: Path) -> tuple[str, bool]:
    """Gives what Git is told for a URL, and whether that is a place on this machine.

    Raises:
        RemoteFailed: it is no URL that is used: it names a program, or a transport without care.
    """
    if not url or url.startswith("-") or not url.isprintable() or _HELPER.match(url):
        raise RemoteFailed("url", f"{url!r} is no URL that is used", reason="protocol")
    if found := _SCHEME.match(url):
        protocol = _SCHEMES.get(found[1].lower())
        if protocol is None:
            used = ", ".join(PROTOCOLS)
            raise RemoteFailed(
                "url", f"{found[1]}:// is not used, only {used} are", reason="protocol"
            )
        return url, protocol == "file"
    if _SCP.match(url):
        return url, False
    return str(base / url), True


def _far_side(program: str) -> str:
    # This one line is for a shell, and holds nothing that anybody chose.
    options = " ".join(flags(_FAR_SIDE))
    return f"env GIT_ALLOW_PROTOCOL=none GIT_NO_LAZY_FETCH=1 git {options} {program}"


def _failure(command: str, detail: str) -> GitError:
    if command == "push" and _LOST_RACE.search(detail):
        return PushRejected(detail)
    if _FORBIDDEN.search(detail):
        reason = "protocol"
    elif _DENIED.search(detail):
        reason = "denied"
    elif "[remote rejected]" in detail:
        reason = "rejected"
    else:
        reason = "unreachable"
    return RemoteFailed(command, detail, reason=reason)
