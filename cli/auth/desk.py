"""Who answers for API keys: the server, or this process where none is and the data are its own."""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol, cast

from cli import discovery
from cli.client import Params
from cli.discovery import Where

PATIENCE_S: Final = 15.0


class Desk(Protocol):
    """Answers requests, wherever the answer comes from. Refusals are raised as `Problem`."""

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]: ...

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]: ...


class _Local(Protocol):
    """What cli.auth.local offers."""

    def keeping(
        self,
        repo: Path | None,
        data_dir: Path | None,
        *,
        served: Callable[[], bool],
        patience_s: float,
    ) -> AbstractContextManager[Desk | None]: ...


@contextlib.contextmanager
def keys(where: Where) -> Iterator[Desk]:
    """Whoever can make, list and end keys.

    Raises:
        StoreLocked: another process holds the data directory for long, and serves nobody.
    """
    found = discovery.server(where)
    if found is None:
        local = cast("_Local", importlib.import_module("cli.auth.local"))

        def served() -> bool:
            return discovery.serves(where)

        opened = local.keeping(where.repo, where.data_dir, served=served, patience_s=PATIENCE_S)
        with opened as own:
            if own is not None:
                yield own
                return
        found = discovery.server(where)
    if found is None:
        raise discovery.nobody_serves("answer for the keys", "try again")
    with found:
        yield found
