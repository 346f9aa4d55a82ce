"""Running Git in a repository that nobody has vetted.

A repository can make Git run commands: hooks, fsmonitor, transports, the lazy fetch of a partial
clone. So each command gets an environment that names our directories, ignores the system's and the
user's configuration, and allows no transport at all, and it carries `-c` flags that outrank the
repository's own configuration. Commands come from a short list, arguments are a list and never a
line for a shell, refs and file names come from a small alphabet that cannot start with a dash, and
everything has a deadline.

GitPython starts the processes. It copies our environment into theirs, so the variables that Git
sets for its own hooks (we may be run by one) are given explicitly here, not left out. Used by
`storage.git` only.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO

import git
import git.cmd
import git.exc

from storage.errors import GitError, GitTimeout
from storage.gitdir import GitDir

_COMMANDS = frozenset(
    {"commit-tree", "config", "hash-object", "mktree", "pack-objects", "prune-packed"}
    | {"rev-parse", "symbolic-ref", "update-ref"}
)
_FLAGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.alternateRefsCommand": "",
    "protocol.allow": "never",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
REF = re.compile(r"refs(/[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*)+")
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_SILENT_NO = 1


class _Git(git.cmd.Git):
    """Starts each Git in a session of its own: Ctrl-C is meant for us, who still have to record."""

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        return super().execute(*args, **{"start_new_session": True, **kwargs})


class _Repo(git.Repo):
    GitCommandWrapperType = _Git


class Runner:
    """Runs the listed Git commands in one repository. Close it: it keeps a process for reading."""

    def __init__(self, where: GitDir, *, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        try:
            self.repo = _Repo(where.work_tree or where.git_dir, expand_vars=False)
        except (git.exc.InvalidGitRepositoryError, git.exc.NoSuchPathError) as err:
            raise GitError("open", str(err)) from err
        self.repo.git.update_environment(**_environment(where))
        # These hold for the process GitPython itself starts to read objects.
        self.repo.git.set_persistent_git_options(c=[f"{k}={v}" for k, v in _FLAGS.items()])

    def close(self) -> None:
        self.repo.close()

    def run(
        self,
        command: str,
        *args: str,
        stdin: BinaryIO | None = None,
        silent_no: bool = False,
        as_us: bool = False,
    ) -> str:
        """Runs one listed command and gives its output; a silent status 1 may mean "no"."""
        if command not in _COMMANDS:
            raise GitError(command, "it is not one of the commands this program runs")
        flags = [part for key, value in _FLAGS.items() for part in ("-c", f"{key}={value}")]
        try:
            status, output, complaint = self.repo.git.execute(
                ["git", *flags, command, *args],
                istream=stdin,
                with_extended_output=True,
                with_exceptions=False,
                kill_after_timeout=self._deadline_s,
                env=self._identity if as_us else {},
            )
        except git.exc.GitCommandNotFound as err:
            raise GitError(command, "git is not installed, or not on the PATH") from err
        if status < 0 and str(complaint).startswith("Timeout:"):
            raise GitTimeout(command, self._deadline_s)
        if status and not (silent_no and status == _SILENT_NO):
            raise GitError(command, str(complaint).strip() or f"exit status {status}")
        return "" if status else str(output)

    @cached_property
    def _identity(self) -> dict[str, str]:
        """Names us as author and committer, unless the repository itself names someone."""
        own = self.run("config", "--get-regexp", r"^user\.(name|email)$", silent_no=True)
        if "user.name " in own and "user.email " in own:
            return {}
        return {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", "beadflow"), ("EMAIL", "beadflow@localhost"))
        }


def _environment(where: GitDir) -> dict[str, str]:
    """Says everything Git would otherwise take from its caller: we may run inside a hook."""
    return {
        "GIT_DIR": str(where.git_dir),
        "GIT_COMMON_DIR": str(where.common_dir),
        "GIT_OBJECT_DIRECTORY": str(where.common_dir / "objects"),
        "GIT_INDEX_FILE": str(where.git_dir / "index"),
        "GIT_WORK_TREE": str(where.work_tree or where.git_dir),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
        "GIT_NAMESPACE": "",
        "GIT_CONFIG_COUNT": "0",
        "GIT_CONFIG_PARAMETERS": "",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def checked(allowed: re.Pattern[str], text: str, what: str) -> str:
    if not allowed.fullmatch(text) or text.endswith(".lock"):
        raise GitError("check", f"{text!r} is not a {what} this program uses")
    return text


@contextmanager
def as_file(content: bytes) -> Iterator[BinaryIO]:
    """Gives content as an open file: a pipe of our own could fill while nobody reads it."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


@contextmanager
def reading(operation: str) -> Iterator[None]:
    """Turns what GitPython raises on damaged or missing objects into our own."""
    try:
        yield
    except (git.exc.GitError, git.exc.ODBError, ValueError, OSError) as err:
        raise GitError(operation, str(err)) from err
