"""Running Git in a repository that nobody has vetted.

A repository can make Git run commands: hooks, fsmonitor, transports, the lazy fetch of a partial
clone. So each command gets an environment that holds nothing but what is written here: it names
our directories, ignores the system's and the user's configuration, and allows no transport at all;
and the command carries `-c` flags that outrank the repository's own configuration. Commands come
from a short list, arguments are a list and never a line for a shell, refs and file names come from
a small alphabet that cannot start with a dash. Every process has a group of its own, a deadline and
a bound on what it may print; at either the whole group is killed.

Only what needs the user's configuration is run with it: asking for their name, and the transports
(`storage.gitremote`), which never read the repository's.

GitPython starts the processes, and always copies our environment into theirs; `env` drops it again.
"""

import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, BinaryIO, Final, Self, cast

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without Git, its import would fail

import git
import git.cmd
import git.exc

from storage.errors import GitError, GitTimeout
from storage.gitdir import GitDir

_COMMANDS = frozenset(
    {"cat-file", "commit-tree", "config", "hash-object", "ls-tree", "merge-base", "mktree"}
    | {"pack-objects", "prune-packed", "rev-list", "rev-parse", "symbolic-ref", "update-index"}
    | {"update-ref"}
)
_TRANSPORTS = frozenset({"fetch", "push"})
_FLAGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.alternateRefsCommand": "",
    "core.commitGraph": "false",
    "protocol.allow": "never",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
_USERS_OWN: Final = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_USERS_TRANSPORT: Final = re.compile(
    r"GIT_(SSH|SSH_COMMAND|SSH_VARIANT|SSL_\w+|PROXY_SSL_\w+|HTTP_\w+)"
    r"|GIT_CONFIG_(COUNT|KEY_\d+|VALUE_\d+)"
)
OUTPUT_LIMIT_BYTES: Final = 1 << 30
"""Of one command. The published file is the largest thing that is asked for."""

REF = re.compile(r"refs(/[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*)+")
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_SILENT_NO = 1
_NOT_FOUND = 127
_COMPLAINT_BYTES = 64 * 1024
_DRAIN_S = 1.0
_NAMES = re.compile(r"(user|author|committer)\.(name|email)\n(.*)", re.DOTALL)


class Runner:
    """Runs the listed Git commands in one repository."""

    def __init__(
        self,
        where: GitDir,
        *,
        deadline_s: float,
        output_limit_bytes: int = OUTPUT_LIMIT_BYTES,
        interrupt: "Interrupt | None" = None,
    ) -> None:
        self._where = where
        self._deadline_s = deadline_s
        self._output_limit_bytes = output_limit_bytes
        self._interrupt = interrupt or Interrupt()
        self._git = git.cmd.Git(where.work_tree or where.git_dir)

    def run(
        self,
        command: str,
        *args: str,
        stdin: BinaryIO | None = None,
        silent_no: bool = False,
        as_us: bool = False,
    ) -> str:
        """Runs one listed command and gives its output; a silent status 1 may mean "no"."""
        output = self.read(command, *args, stdin=stdin, silent_no=silent_no, as_us=as_us)
        return output.decode("utf-8", "surrogateescape").removesuffix("\n")

    def read(
        self,
        command: str,
        *args: str,
        stdin: BinaryIO | None = None,
        silent_no: bool = False,
        as_us: bool = False,
    ) -> bytes:
        """Runs one listed command and gives its output as it is."""
        with self.stream(command, *args, stdin=stdin, silent_no=silent_no, as_us=as_us) as output:
            return output.read()

    @contextmanager
    def stream(
        self,
        command: str,
        *args: str,
        stdin: BinaryIO | None = None,
        silent_no: bool = False,
        as_us: bool = False,
    ) -> Iterator["Output"]:
        """Runs one listed command and gives its output while it comes.

        Raises:
            GitTimeout: it was killed at its deadline.
            GitError: it failed, or is none of those that are listed.
        """
        _refuse_unlisted(command, _COMMANDS)
        environment = _closed(self._where) | (self._identity if as_us else {})
        clean = [f"{name}={value}" for name, value in environment.items()]
        argv = ["env", "-i", *clean, "git", *self._flags(), command, *args]
        with self._process(command, argv, {}, stdin, silent_no=silent_no) as output:
            yield output

    def transport(self, command: str, *args: str, environment: Mapping[str, str]) -> None:
        """Runs fetch or push with the user's configuration and the directories that are given.

        Raises: as `stream`.
        """
        _refuse_unlisted(command, _TRANSPORTS)
        argv = ["env", *_without_gits_own(transport=True), "git", *args]
        said = ""
        try:
            with self._process(command, argv, environment, None) as output:
                said = output.read().decode("utf-8", "replace")
        except GitTimeout:
            raise
        except GitError as err:  # what became of each ref is on standard output
            raise GitError(command, f"{err.detail}\n{said}".strip()) from err

    def _flags(self) -> list[str]:
        where = self._where
        own = dict.fromkeys(map(str, (where.work_tree or where.git_dir, where.git_dir)))
        safe = [part for place in own for part in ("-c", f"safe.directory={place}")]
        return [*flags(_FLAGS), *safe]

    @contextmanager
    def _process(
        self,
        command: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        stdin: BinaryIO | None,
        *,
        silent_no: bool = False,
    ) -> Iterator["Output"]:
        try:
            started = self._git.execute(
                list(argv),
                istream=stdin,
                as_process=True,
                env=dict(environment),
                start_new_session=True,
            )
        except git.exc.GitCommandNotFound as err:
            raise GitError(command, "git is not installed, or not on the PATH") from err
        with (
            _Watched(cast("Any", started).proc, self._deadline_s) as watched,
            self._interrupt.ending(watched),
        ):
            output = Output(command, watched, self._output_limit_bytes)
            broken: BrokenPipeError | None = None
            try:
                yield output
            except _EarlyEndError as err:
                broken = err
            status = watched.wait()
        if watched.killed:
            raise GitTimeout(command, self._deadline_s)
        if watched.interrupted:
            raise GitError(command, "interrupted, since the program stops")
        if status == _NOT_FOUND:
            raise GitError(command, "git is not installed, or not on the PATH")
        if status and not (silent_no and status == _SILENT_NO):
            raise GitError(command, watched.complaint or f"exit status {status}")
        if broken is not None:
            raise GitError(command, "its output ended early") from broken

    @cached_property
    def _identity(self) -> dict[str, str]:
        """Names the author and the committer as the user's configuration does, else us.

        Asked once, and then said explicitly: the commands themselves do not read it.
        """
        environment = _directories(self._where) | {"GIT_OPTIONAL_LOCKS": "0"}
        argv = ["env", *_without_gits_own(transport=False), "git", *self._flags()]
        wanted = ("config", "--null", "--get-regexp", r"^(user|author|committer)\.(name|email)$")
        with self._process("config", [*argv, *wanted], environment, None, silent_no=True) as output:
            text = output.read().decode("utf-8", "replace")
        found: dict[tuple[str, str], str] = {}
        for entry in text.split("\0"):
            if (match := _NAMES.fullmatch(entry)) and match[3].strip():
                found[match[1], match[2]] = match[3]
        return _identity_of(found, "author") | _identity_of(found, "committer")


def _identity_of(found: Mapping[tuple[str, str], str], role: str) -> dict[str, str]:
    name = found.get((role, "name")) or found.get(("user", "name"))
    email = found.get((role, "email")) or found.get(("user", "email"))
    if not name or not email:
        name, email = "beadflow", "beadflow@localhost"
    return {f"GIT_{role.upper()}_NAME": name, f"GIT_{role.upper()}_EMAIL": email}


class Interrupt:
    """Ends, from another thread, the process that a runner waits for, and all that would follow.

    A thread cannot be stopped; without this, a stop would last as long as a network that is silent.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._running: set[_Watched] = set()

    def begin(self) -> None:
        """Lets processes run (again)."""
        with self._lock:
            self._ended = False

    def end(self) -> None:
        with self._lock:
            self._ended = True
            for watched in self._running:
                watched.interrupt()

    @contextmanager
    def ending(self, watched: "_Watched") -> Iterator[None]:
        with self._lock:
            self._running.add(watched)
            if self._ended:
                watched.interrupt()
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(watched)


class _EarlyEndError(BrokenPipeError):
    """The output ended before all that was promised had come."""


class Output:
    """What a process prints, up to a bound."""

    def __init__(self, command: str, watched: "_Watched", limit_bytes: int) -> None:
        self._command = command
        self._watched = watched
        self._stream = watched.stdout
        self._left_bytes = limit_bytes

    def read(self) -> bytes:
        """Reads all that is left."""
        return self._counted(self._stream.read(self._left_bytes + 1))

    def readline(self) -> bytes:
        """Reads one line; b"" at the end."""
        return self._counted(self._stream.readline(self._left_bytes + 1))

    def take(self, count: int) -> bytes:
        """Reads exactly so many bytes."""
        if count > self._left_bytes:
            self._refuse()
        data = self._counted(self._stream.read(count))
        if len(data) < count:
            raise _EarlyEndError
        return data

    def stop(self) -> None:
        """Ends the process now: what it would still say is not needed."""
        self._watched.stop()

    def _counted(self, data: bytes) -> bytes:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self._refuse()
        return data

    def _refuse(self) -> None:
        raise GitError(self._command, "it prints more than any file of issues could hold")


class _Watched:
    """One process and its group: read, then waited for, and killed at the deadline or on the way.

    Its complaints are read beside, so that neither pipe can fill while we wait at the other.
    """

    def __init__(self, process: Any, deadline_s: float) -> None:
        self.stdout: BinaryIO = process.stdout
        self.killed = False
        self.interrupted = False
        self._process = process
        self._stopped = False
        self._complaint = b""
        self._timer = threading.Timer(deadline_s, self._expire)
        self._timer.daemon = True
        self._drain = threading.Thread(target=self._read_complaint, daemon=True)

    def __enter__(self) -> Self:
        self._timer.start()
        self._drain.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        del rest
        self._timer.cancel()
        if kind is not None:
            self._kill()
        self._process.wait()
        self._drain.join(_DRAIN_S)
        with suppress(OSError, ValueError):
            self.stdout.close()

    @property
    def complaint(self) -> str:
        return self._complaint.decode("utf-8", "replace").strip()

    def wait(self) -> int:
        status = int(self._process.wait())
        self._drain.join(_DRAIN_S)
        return 0 if self._stopped else status

    def stop(self) -> None:
        self._stopped = True
        self._kill()

    def interrupt(self) -> None:
        self.interrupted = True
        self._kill()

    def _expire(self) -> None:
        self.killed = True
        self._kill()

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read_complaint(self) -> None:
        # A daemon that a credential helper left behind may hold the pipe open for ever.
        with suppress(OSError, ValueError), self._process.stderr:
            while data := self._process.stderr.read1(_COMPLAINT_BYTES):
                self._complaint = (self._complaint + data)[-_COMPLAINT_BYTES:]


def flags(values: Mapping[str, str]) -> list[str]:
    return [part for key, value in values.items() for part in ("-c", f"{key}={value}")]


def _refuse_unlisted(command: str, listed: frozenset[str]) -> None:
    if command not in listed:
        raise GitError(command, "it is not one of the commands this program runs")


def _without_gits_own(*, transport: bool) -> list[str]:
    """Drops what Git sets for its own hooks (we may be run by one), not what the user has set."""
    kept = {
        name
        for name in os.environ
        if name in _USERS_OWN or (transport and _USERS_TRANSPORT.fullmatch(name))
    }
    dropped = sorted(n for n in os.environ if n.startswith("GIT_") and n not in kept)
    return [part for name in dropped for part in ("-u", name)]


def _directories(where: GitDir) -> dict[str, str]:
    return {
        "GIT_DIR": str(where.git_dir),
        "GIT_COMMON_DIR": str(where.common_dir),
        "GIT_OBJECT_DIRECTORY": str(where.common_dir / "objects"),
        "GIT_INDEX_FILE": str(where.git_dir / "index"),
        "GIT_WORK_TREE": str(where.work_tree or where.git_dir),
    }


def _closed(where: GitDir) -> dict[str, str]:
    """Says everything Git would otherwise take from its caller, who may be one of its hooks."""
    return {
        **_directories(where),
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,  # a `~` in the repository's configuration leads nowhere
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_GRAFT_FILE": f"{os.devnull}/none",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_LITERAL_PATHSPECS": "1",
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
