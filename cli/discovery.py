"""Finding who answers: a server that was named, the one that holds the data directory, or nobody.

The order is: `--url`, the environment's WORKFLOW_URL, the holder of the data directory's lock, on
its Unix socket. With
nobody there, reads are answered from the stores in this process (cli.embedded), and only a watched
start runs the engine here. cli.embedded is imported when it is needed and not before: it brings the
whole system along, and most commands only ever talk to a server.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

from cyclopts import Group, Parameter

from cli import credentials
from cli.client import UNIX, Client, Params, unix_url
from cli.exits import ExitCode
from cli.paths import PATH
from cli.problem import Problem
from storage.home import DataDir

_SERVER = Group("Server", sort_key=90)


@Parameter(name="*", group=_SERVER)
@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which server or which data a command means."""

    url: Annotated[str | None, Parameter(env_var="WORKFLOW_URL")] = None
    "Talk to this server, such as http://127.0.0.1:8080."

    key_file: Annotated[Path | None, PATH, Parameter(env_var="WORKFLOW_API_KEY_FILE")] = None
    "A file with the API key to show to the server that was named, else WORKFLOW_API_KEY is."

    repo: Annotated[Path | None, PATH] = None
    "The Git repository whose issues are meant; by default the one around the current directory."

    data_dir: Annotated[Path | None, PATH, Parameter(env_var="WORKFLOW_DATA_DIR")] = None
    "Where the system keeps its databases, and where its server is looked for."


ANYWHERE = Where()


class Source(Protocol):
    """Answers reads, over HTTP or from the stores."""

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]: ...


class Embedded(Protocol):
    """What cli.embedded offers to commands when nobody serves."""

    def start_and_watch(
        self,
        request: dict[str, Any],
        *,
        repo: Path,
        data_dir: Path | None,
        config: Path | None,
        watch: Callable[[str], int],
    ) -> int: ...

    def read(
        self, path: str, params: dict[str, Any], *, repo: Path, data_dir: Path | None
    ) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Stores:
    """Reads the stores directly, in this process and without the lock."""

    where: Where

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]:
        asked: Mapping[str, Any] = params or {}
        return embedded().read(
            path, dict(asked), repo=repository(self.where), data_dir=self.where.data_dir
        )


def embedded() -> Embedded:
    return cast("Embedded", importlib.import_module("cli.embedded"))


def repository(where: Where) -> Path:
    return where.repo or Path.cwd()


def server(where: Where) -> Client | None:
    """A client of the server that is meant, or None when nobody serves."""
    if where.url:
        return Client(where.url, credential=credentials.of(where.key_file))
    address = _holder_address(where)
    if address is None:
        return None
    # whoever can open the socket needs no key, and shows none: it might be meant for another
    named = None if address.startswith(UNIX) else credentials.of(where.key_file)
    return Client(address, credential=named)


def serves(where: Where) -> bool:
    """Whether whoever holds the data directory can be asked."""
    return _holder_address(where) is not None


@contextlib.contextmanager
def source(where: Where) -> Iterator[Source]:
    """Whoever can answer a read: the server if there is one, else the stores."""
    found = server(where)
    if found is None:
        yield Stores(where)
        return
    with found:
        yield found


@contextlib.contextmanager
def unsigned(where: Where, attempt: str) -> Iterator[Client]:
    """The server as somebody who shows no credential; one may be in what is sent, as a secret is.

    Raises:
        Problem: nobody serves, or others could read what is sent.
    """
    address = where.url or _holder_address(where)
    if address is None:
        raise nobody_serves(attempt, "start a server with `beadflow up`, or name one with --url")
    with Client(address, keeps_secrets=True) as client:
        yield client


@contextlib.contextmanager
def required(where: Where, attempt: str) -> Iterator[Client]:
    """The server, for what only a server can do; `attempt` names that."""
    found = server(where)
    if found is None:
        raise nobody_serves(attempt, "start a server with `beadflow up`")
    with found:
        yield found


def nobody_serves(attempt: str, hint: str) -> Problem:
    return Problem(
        f"Nobody is there to {attempt}",
        "no server was named, and none holds the data directory",
        code="nobody_serves",
        exit_code=ExitCode.UNREACHABLE,
        hint=hint,
        retryable=True,
    )


def _holder_address(where: Where) -> str | None:
    """A holder without a URL is starting, or runs one workflow for itself: it serves nobody.

    Its socket is preferred: whoever can connect there needs no key.
    """
    holder = DataDir.resolve(where.repo, where.data_dir).read_holder()
    if holder is None:
        return None
    if holder.socket is not None and Path(holder.socket).is_socket():
        return unix_url(holder.socket)
    return holder.url
