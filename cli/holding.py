"""Taking the data directory's lock, which a command on issues holds for a moment only.

Who serves keeps it: then there is nothing to wait for.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

from storage.errors import StoreLocked
from storage.home import DataDir

LOOK_S: Final = 0.05


def acquired(data: DataDir, *, served: Callable[[], bool], patience_s: float) -> bool:
    """Take the lock, waiting for others to let go; False when somebody serves with it.

    Raises:
        StoreLocked: another process held it for longer than `patience_s` seconds.
    """
    late_s = time.monotonic() + patience_s
    while True:
        try:
            data.acquire()
        except StoreLocked:
            if served():
                return False
            if time.monotonic() > late_s:
                raise
            time.sleep(LOOK_S)
        else:
            return True


@contextlib.contextmanager
def held(data: DataDir, *, patience_s: float) -> Iterator[None]:
    """Hold the lock for the block.

    Raises:
        StoreLocked: somebody serves with it, or held it for longer.
    """

    def served() -> bool:
        holder = data.read_holder()
        return holder is not None and holder.url is not None

    if not acquired(data, served=served, patience_s=patience_s):
        data.acquire()  # which names who has it
    try:
        yield
    finally:
        data.release()
