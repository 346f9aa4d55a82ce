"""Writes files below a root so that they can be put back as they were. No link is followed."""

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from actors.workflows.definition import ActivityFailure


@dataclass(slots=True)
class Writing:
    """What is written by one step, and what was there before.

    Args:
        root: of the work tree; paths have been checked.
    """

    root: Path
    _before: dict[Path, bytes | None] = field(default_factory=dict)
    _made: list[Path] = field(default_factory=list)

    def write(self, files: Mapping[str, str]) -> None:
        """Write whole files. Blocks.

        Raises:
            ActivityFailure: "bad_path"; one cannot be written. Those before it are.
        """
        for path, text in files.items():
            try:
                self._write_one(path, text.encode())
            except (OSError, UnicodeEncodeError) as error:
                why = getattr(error, "strerror", None) or "it is no text"
                raise ActivityFailure(
                    "bad_path", f"{path!r} cannot be written: {why}", retryable=False
                ) from error

    def undo(self) -> None:
        """Have all files as they were before the first was written. Blocks."""
        for place, content in self._before.items():
            with contextlib.suppress(OSError):
                if content is None:
                    place.unlink()
                else:
                    _overwrite(place, content)
        for directory in reversed(self._made):
            with contextlib.suppress(OSError):  # somebody else's file is in it
                directory.rmdir()

    def _write_one(self, path: str, content: bytes) -> None:
        place = self.root
        for part in Path(path).parts[:-1]:
            place /= part
            if place.is_symlink():
                raise NotADirectoryError(0, "a symbolic link is on the way")
            if not place.is_dir():
                place.mkdir()
                self._made.append(place)
        place /= Path(path).name
        if place not in self._before:
            self._before[place] = _content(place)
        _overwrite(place, content)


def _content(place: Path) -> bytes | None:
    """What a file holds; None where there is none."""
    try:
        kind = place.lstat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(kind):
        raise OSError(0, "something else than a file is there")
    return place.read_bytes()


def _overwrite(place: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(place, flags, 0o644), "wb") as file:
        file.write(content)
