"""A commit's files in a work tree of an attempt's own, for what only looks at them or runs them.

Neither what is run there nor what it leaves behind gets into the user's work tree. Both the files
and the directory for what the attempt writes are gone when it ends; what a crash has left is
removed by the next attempt with the same key.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import trio

from actors.agents.guarded import Rlimits
from actors.agents.kit.repository import read, resolve
from actors.agents.kit.toolbox import Toolbox
from actors.agents.kit.worktrees import close_sandbox, open_sandbox
from actors.agents.site import Site

ENVIRONMENTS: Final = (".venv", "venv")
UNVETTED: Final = Rlimits(cpu_s=7200, file_bytes=4 << 30)
"""For code that anybody may have written: it runs under a guard, and ends with this process."""
_CLEANING_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where an attempt works.

    Args:
        path: root of the files.
        commit: id of the commit they are of.
        scratch: an empty directory for what is written.
        bins: where programs of the project's own environments are.
    """

    path: Path
    commit: str
    scratch: Path
    bins: tuple[Path, ...]

    def reading(self) -> Toolbox:
        """Tools that look at the files and do not load any of them."""
        return Toolbox(self.path, self.bins)

    def running(self, **env: str) -> Toolbox:
        """Tools that run the project's code, and find it here and nowhere else."""
        roots = (self.path, self.path / "src")
        variables = {
            "PYTHONPATH": os.pathsep.join(str(root) for root in roots if root.is_dir()),
            "PYTHONDONTWRITEBYTECODE": "1",  # and not a cache of its own, which is empty at first
            **env,
        }
        return Toolbox(self.path, self.bins, variables)

    def guarded(self, **env: str) -> Toolbox:
        """The same under a guard, within `UNVETTED`."""
        return replace(self.running(**env), limits=UNVETTED)


@asynccontextmanager
async def checked_out(site: Site, *, key: str, ref: str = "HEAD") -> AsyncIterator[Checkout]:
    """Have the files of a commit until the block ends.

    Args:
        site: whose repository it is.
        key: of the attempts of one step, e.g. its idempotency key.
        ref: names the commit.

    Raises:
        ActivityFailure: as `open_sandbox`.
    """
    commit = await resolve(site, ref)
    name = f"{key}@{commit}"
    scratch = site.workspace.absolute() / "scratch" / sha256(name.encode()).hexdigest()[:16]
    await _clear(site, name, scratch)
    try:
        sandbox = await open_sandbox(site, key=name, ref=commit, detached=True)
        scratch.mkdir(mode=0o700, parents=True)
        yield Checkout(sandbox.path, commit, scratch, await project_bins(site))
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(_CLEANING_S):
            await _clear(site, name, scratch)


async def project_bins(site: Site) -> tuple[Path, ...]:
    """Where the programs of a project's own virtual environments are.

    One whose files are in Git is none of the user's making, and is not used.
    """
    places = [site.repo.absolute() / name / "bin" for name in ENVIRONMENTS]
    found = []
    for bins in filter(Path.is_dir, places):
        listed = await read(site, "ls-files", "-z", "--", bins.parent.name)
        if listed.ok and not listed.stdout:
            found.append(bins)
    return tuple(found)


def allowed_variables(site: Site) -> dict[str, str]:
    """The variables that the operator gives to programs which others choose."""
    return {name: os.environ[name] for name in site.environment if name in os.environ}


async def _clear(site: Site, name: str, scratch: Path) -> None:
    await close_sandbox(site, name, force=True)
    await trio.to_thread.run_sync(lambda: shutil.rmtree(scratch, ignore_errors=True))
