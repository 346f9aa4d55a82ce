"""Who answers for API keys: the server, or this process where none is and the data are its own."""

import importlib
from contextlib import AbstractContextManager
from typing import cast

from cli import desk
from cli.desk import Desk, Opening
from cli.discovery import Where


def keys(where: Where) -> AbstractContextManager[Desk]:
    """Whoever can make, list and end keys.

    Raises:
        StoreLocked: another process holds the data directory for long, and serves nobody.
    """
    return desk.holding(where, _keeping, "answer for the keys")


def _keeping() -> Opening:
    return cast("Opening", importlib.import_module("cli.auth.local").keeping)
