"""Where a command takes its requests: to a server, or to this process where none is.

A request that changes something waits for another command of the same kind to let go of the data
directory; it is refused when that takes too long.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol, cast

from cli import discovery
from cli.client import Params
from cli.discovery import Where
from cli.exits import ExitCode
from cli.problem import Problem
from storage.home import DataDir

ISSUES: Final = "/api/v1/issues"
GATES: Final = "/api/v1/gates"
PATIENCE_S: Final = 15.0
_LISTS: Final = (
    *(f"{ISSUES}{path}" for path in ("", "/search", "/ready", "/blocked", "/cycles")),
    GATES,
)


class Desk(Protocol):
    """Answers requests, wherever the answer comes from. Refusals are raised as `Problem`."""

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]: ...

    def fetch(self, path: str) -> bytes: ...

    def send_lines(
        self, path: str, data: bytes, params: Params | None = None
    ) -> dict[str, Any]: ...

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Params | None = None,
        key: str | None = None,
    ) -> dict[str, Any]: ...


class Opening(Protocol):
    """Holds the data directory and answers from it; gives None when a server has it by then."""

    def __call__(
        self,
        repo: Path | None,
        data_dir: Path | None,
        *,
        served: Callable[[], bool],
        patience_s: float,
    ) -> AbstractContextManager[Desk | None]: ...


class _Local(Protocol):
    """What cli.local offers."""

    writing: Opening

    def reading(
        self, repo: Path | None, data_dir: Path | None
    ) -> AbstractContextManager[Desk | None]: ...


def _local() -> _Local:
    return cast("_Local", importlib.import_module("cli.local"))


class Nothing:
    """Answers where nothing was ever stored: lists are empty, and there is nothing to show."""

    def __init__(self, looked_in: Path) -> None:
        self.looked_in = looked_in

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]:
        del params
        if path in _LISTS:
            return {"data": [], "next_cursor": None, "total": 0}
        raise Problem(
            "There is no data yet",
            "no issue was ever made here",
            code="no_data",
            exit_code=ExitCode.NOT_FOUND,
            hint='make one: beadflow issue create "TITLE"',
        )

    def fetch(self, path: str) -> bytes:
        raise NotImplementedError(path)

    def send_lines(self, path: str, *_: Any) -> dict[str, Any]:
        raise NotImplementedError(path)

    def send(self, method: str, path: str, *_: Any, **__: Any) -> dict[str, Any]:
        raise NotImplementedError(method, path)


def nowhere(at: Desk) -> str:
    """Where somebody looked who found no data at all, as the end of a sentence; else nothing."""
    return f": there are no data in {at.looked_in}" if isinstance(at, Nothing) else ""


@contextlib.contextmanager
def reading(where: Where) -> Iterator[Desk]:
    """Whoever can answer a read: the server if there is one, else the stores."""
    found = discovery.server(where)
    if found is not None:
        with found:
            yield found
        return
    with _local().reading(where.repo, where.data_dir) as local:
        yield local or Nothing(DataDir.resolve(where.repo, where.data_dir).path)


def writing(where: Where) -> AbstractContextManager[Desk]:
    """Whoever can answer a write: the server if there is one, else this process."""
    return holding(where, lambda: _local().writing, "write the issue")


@contextlib.contextmanager
def holding(where: Where, imported: Callable[[], Opening], attempt: str) -> Iterator[Desk]:
    """The server if there is one, else this process, which holds the data directory meanwhile.

    Args:
        where: which server or data are meant.
        imported: brings what answers in this process, when nobody serves and not before.
        attempt: what cannot be done while another process holds the data and serves nobody.

    Raises:
        StoreLocked: another process holds the data directory for long, and serves nobody.
    """
    found = discovery.server(where)
    if found is None:

        def served() -> bool:
            return discovery.serves(where)

        opened = imported()(where.repo, where.data_dir, served=served, patience_s=PATIENCE_S)
        with opened as local:
            if local is not None:
                yield local
                return
        found = discovery.server(where)
    if found is None:
        raise discovery.nobody_serves(attempt, "try again")
    with found:
        yield found
