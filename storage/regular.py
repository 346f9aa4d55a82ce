"""Opening files that anybody may have laid there: only a regular one, and without waiting.

A pipe would hold its reader until somebody writes, in a thread even deaf to Ctrl-C; a device
may never end. A link is followed, unless the caller says otherwise.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from storage.durable import PRIVATE_FILE


def open_regular(path: Path, flags: int) -> int:
    """Opens a file, by the flags of `os.open`, without waiting for another process.

    Raises:
        OSError: it cannot be opened, or is no regular file; the error names the path.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, PRIVATE_FILE)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


def reading(path: Path) -> BinaryIO:
    """Opens a file to read from it.

    Raises: as `open_regular`.
    """
    return os.fdopen(open_regular(path, os.O_RDONLY), "rb")


def read(path: Path) -> bytes:
    """Reads a whole file.

    Raises: as `open_regular`.
    """
    with reading(path) as file:
        return file.read()
