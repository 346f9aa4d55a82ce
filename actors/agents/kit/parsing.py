"""Parses Python of others without passing on what the compiler has to say about it."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MAX_SOURCE_BYTES: Final = 256 << 10
"""Of one file: parsing holds the interpreter for the whole of it, half a second per MiB."""

_PARSING: Final = threading.Lock()


@contextmanager
def parsing() -> Iterator[None]:
    """Around whatever parses Python: invalid escapes of a project are not our news.

    The warnings filter is one for all threads: two parses that restored it in turn would mix it up.
    Parsing holds the interpreter anyway, so that the lock costs nothing.
    """
    with _PARSING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
