"""Whether the files a process has open are still the ones that others find by their names.

A file that was deleted, or replaced by another, goes on taking the writes of whoever has it open,
and all of it is gone when that one ends. SQLite does not notice. So the files are remembered as
they were found at the start, and looked for again: by the writers before they write, and by whoever
asks whether the system is ready. The names of open files are never reused, so device and inode say
which file it is.

It only looks. A directory that was moved away and comes back brings the same files, and all is
well again.
"""

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from storage.errors import FileLost

logger = logging.getLogger(__name__)


class Presence:
    """Files as they are found now; those that are not there are not missed later. For any thread.

    Args:
        paths: the files. They stay open for as long as this is asked.
    """

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        found = ((path, _identity(path)) for path in paths)
        self._files = {path: identity for path, identity in found if identity is not None}
        self._lost: FileLost | None = None
        self._looking = threading.Lock()

    def look(self) -> FileLost | None:
        """Gives the first file that is lost; says so in the log once, and once when it is back."""
        with self._looking:
            before, self._lost = self._lost, self._find_lost()
            if self._lost is not None and before is None:
                logger.error("nothing is written any more: %s", self._lost)
            elif self._lost is None and before is not None:
                logger.warning("%s is back, and written again", before.path)
            return self._lost

    def _find_lost(self) -> FileLost | None:
        for path, identity in self._files.items():
            try:
                found = _identity(path)
            except OSError:
                continue  # it cannot be seen now, which does not say that it is gone
            if found is None:
                return FileLost(path, "there is no such file any more")
            if found != identity:
                return FileLost(path, "another file has its name")
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
