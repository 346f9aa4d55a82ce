"""What `beadflow init` arranged for one repository: how its issues are kept in Git, their prefix.

Written into the data directory, where all work trees find it, and read at every start. Without it
the issues go onto the user's branch where that holds their file already, else onto a ref of their
own.
"""

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from storage import durable, regular
from storage.errors import GitError, StorageError
from storage.git import Repository
from storage.gitdir import GitDir
from storage.issues.file import PUBLISHED

NAME: Final = "repository.toml"
MODES: Final = ("ref", "branch", "off")
_WORD: Final = re.compile(r"[a-z][a-z0-9_-]{0,49}")


class Misarranged(StorageError):  # noqa: N818 - as the other errors of this package
    """The file is there, and is not what was written."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path} cannot be used: {detail}; `beadflow init` writes it anew")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """All empty where nothing was arranged.

    Args:
        types: issue types that may be used besides the usual ones; so `statuses`.
    """

    git_mode: str = ""
    prefix: str = ""
    types: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()

    @classmethod
    def read(cls, data_dir: Path) -> Self:
        """Raises: Misarranged."""
        path = data_dir / NAME
        try:
            found = tomllib.loads(regular.read(path).decode())
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as err:
            raise Misarranged(path, str(err)) from err
        mode, prefix = found.get("git_mode", ""), found.get("prefix", "")
        if mode not in ("", *MODES) or not isinstance(prefix, str):
            raise Misarranged(path, "git_mode is ref, branch or off, and prefix a text")
        words = [found.get(name, []) for name in ("types", "statuses")]
        if not all(isinstance(each, list) and all(map(is_word, each)) for each in words):
            raise Misarranged(path, "types and statuses are lists of words in small letters")
        types, statuses = map(tuple, words)
        return cls(git_mode=mode, prefix=prefix, types=types, statuses=statuses)

    def write(self, data_dir: Path) -> None:
        """Raises: OSError."""
        text = f'# Written by `beadflow init`.\ngit_mode = "{self.git_mode}"\n'
        if self.prefix:
            text += f'prefix = "{self.prefix}"\n'
        for name, words in (("types", self.types), ("statuses", self.statuses)):
            if words:
                text += f"{name} = {json.dumps(words)}\n"
        durable.replace(data_dir / NAME, text.encode())


def is_word(text: object) -> bool:
    """Says whether this can be an issue type, or a status."""
    return isinstance(text, str) and _WORD.fullmatch(text) is not None


def mode_of(git: GitDir | None, *chosen: str) -> str:
    """Gives how the issues are kept in Git: the first that was chosen, else what fits.

    A repository that cannot be read stops nothing here: whoever uses it will say so.
    """
    if git is None:
        return "off"
    if found := next((mode for mode in chosen if mode), None):
        return found
    try:
        return "branch" if Repository(git).tracks(PUBLISHED) else "ref"
    except GitError:
        return "ref"
