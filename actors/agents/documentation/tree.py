"""The files of a commit, as this agent looks at them: regular files only, of a bounded size.

They lie in a directory of the attempt's own, so that what was found names a commit, and so that
code that is tried changes nothing of the user's. Links in it are removed at once: none leads out.
It is a repository of its own, not a work tree of the user's: griffe asks Git about what it reads,
and so may code that is run, and would be led to the user's branches and to programs that the
configuration of their repository names.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from actors.agents.kit.checkouts import Checkout, checked_out
from actors.agents.kit.repository import complete, read
from actors.agents.protocol import Task
from actors.agents.tools import run_tool

MAX_BYTES: Final = 2 << 20
_INIT_S: Final = 30.0
_REGULAR: Final = frozenset({b"100644", b"100755"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A commit's files.

    Args:
        path: where they lie.
        commit: its id.
        paths: of the files, sorted, below `path`.
        others: paths of links and submodules, of which nothing is there.
    """

    path: Path
    commit: str
    paths: tuple[str, ...]
    others: tuple[str, ...] = ()

    def text(self, path: str) -> str:
        """What is in a file; "" when it is too large or gone."""
        file = self.path / path
        try:
            if file.stat().st_size > MAX_BYTES:
                return ""
            return file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def exact(self, path: str) -> str | None:
        """The same, fit to be written back: its line ends as they are; None when it is no text."""
        file = self.path / path
        try:
            return None if file.stat().st_size > MAX_BYTES else file.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            return None


@asynccontextmanager
async def tree_of(task: Task, ref: str) -> AsyncIterator[tuple[Tree, Checkout]]:
    """Have the files of a commit until the block ends.

    Raises:
        ActivityFailure: there is no such commit, or no repository; as `checked_out`.
    """
    async with checked_out(task.site, key=task.idempotency_key, ref=ref) as checkout:
        listed = complete(await read(checkout.path, "ls-files", "-z", "--stage"))
        tree = await trio.to_thread.run_sync(_tree, checkout, listed.stdout)
        await _cut_off(checkout.path)
        yield tree, checkout


async def _cut_off(root: Path) -> None:
    """Make it a repository of its own, in which nothing is configured."""
    await trio.Path(root / ".git").unlink()
    clean = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    argv = ["git", "init", "--quiet", "--template=", "--initial-branch=main"]
    complete(await run_tool(argv, cwd=root, deadline_s=_INIT_S, env=clean))


def _tree(checkout: Checkout, listing: bytes) -> Tree:
    paths, others = [], []
    for entry in listing.split(b"\0")[:-1]:
        facts, _, name = entry.partition(b"\t")
        path = name.decode("utf-8", "surrogateescape")
        if facts.split()[0] not in _REGULAR:
            _unlink(checkout.path / path)
            others.append(path)
        elif path.isprintable():
            paths.append(path)
    return Tree(
        path=checkout.path,
        commit=checkout.commit,
        paths=tuple(sorted(paths)),
        others=tuple(sorted(others)),
    )


def _unlink(place: Path) -> None:
    if place.is_symlink():
        place.unlink()
