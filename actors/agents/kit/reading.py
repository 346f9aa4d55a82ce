"""How a file of a repository is read that nobody has vetted.

No symbolic link is followed, nothing but a regular file is opened, and sizes are capped. It imports
little, because programs of one search start with it.
"""

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MAX_FILE_BYTES: Final = 1 << 20


@dataclass(slots=True)
class Skips:
    """Counts the files that were not read, by reason."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str) -> None:
        self.counts[reason] += 1


def read_file(root: Path, path: str, skips: Skips, cap_bytes: int = MAX_FILE_BYTES) -> bytes | None:
    """The bytes of a regular file inside `root`, or None with the reason counted."""
    target = root / path
    try:
        if not _is_below(root, target.parent):
            skips.add("outside the repository")
            return None
        # Not blocked by a FIFO, and not led away by a link that has just taken the file's place.
        descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        skips.add("symbolic link" if target.is_symlink() else "unreadable")
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            skips.add("not a file")
            return None
        if status.st_size > cap_bytes:
            skips.add("too large")
            return None
        try:
            return file.read(cap_bytes)
        except OSError:
            skips.add("unreadable")
            return None


def is_plain(root: Path, path: str) -> bool:
    """Whether it is a regular file inside `root` and no link; for tools that open it themselves."""
    target = root / path
    try:
        is_file = stat.S_ISREG(target.lstat().st_mode)
    except (OSError, ValueError):
        return False
    return is_file and _is_below(root, target.parent)


def _is_below(root: Path, directory: Path) -> bool:
    return directory.resolve().is_relative_to(root.resolve())
