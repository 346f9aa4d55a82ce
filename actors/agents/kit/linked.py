"""How a linked work tree is made, known again and removed, and Git run in it."""

import contextlib
import re
import shutil
from pathlib import Path
from typing import Final

import trio

from actors.agents.kit.records import Record
from actors.agents.kit.repository import complete, find_repository, read, run_git
from actors.agents.site import Site
from actors.workflows.definition import ActivityFailure
from storage.gitdir import GitDir

CHECKOUT_S: Final = 300.0
_IN_USE: Final = re.compile(rb"already (checked out|used)")


async def tip_of(site: Site, branch: str) -> str:
    """The commit of a branch; "" when there is none."""
    found = await read(site, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
    return found.text.strip() if found.ok else ""


async def make(site: Site, place: Path, record: Record) -> None:
    """Have the work tree stand, whatever a crash has left of it."""
    where = await find_repository(site)
    await remove(where, place)
    if record.branch and not await tip_of(site, record.branch):
        await git(
            where, "update-ref", f"refs/heads/{record.branch}", record.base, "0" * len(record.base)
        )
    what = [record.branch] if record.branch else ["--detach", record.base]
    options = [] if record.branch else [what.pop(0)]
    added = await run_git(
        where, ["worktree", "add", "--no-checkout", "--quiet", *options, "--", str(place), *what]
    )
    if not added.ok and _IN_USE.search(added.stderr):
        raise ActivityFailure(
            "branch_in_use", f"another work tree is on {record.branch!r}", retryable=False
        )
    complete(added)
    made = await find_repository(place)
    await git(made, "reset", "--hard", "--quiet", deadline_s=CHECKOUT_S)


async def remove(where: GitDir, place: Path) -> None:
    """Remove a work tree and what Git knows of it. Links in it are removed, never followed."""

    def remove_all() -> None:
        shutil.rmtree(place, ignore_errors=True)
        for pointer in (where.common_dir / "worktrees").glob("*/gitdir"):
            if _target(pointer) == place / ".git":
                shutil.rmtree(pointer.parent, ignore_errors=True)

    await trio.to_thread.run_sync(remove_all)


async def drop_unused(site: Site, record: Record) -> None:
    """Remove a branch that is where it began and that no work tree is on."""
    if not await branch_place(site, record.branch):
        name, where = f"refs/heads/{record.branch}", await find_repository(site)
        # One that somebody has moved meanwhile is not at its base: Git refuses, and it stays.
        await run_git(where, ["update-ref", "-d", name, record.base])


async def branch_place(site: Site, branch: str) -> str:
    """The work tree that is on a branch; "" when none is."""
    name = f"refs/heads/{branch}"
    found = complete(await read(site, "for-each-ref", "--format=%(worktreepath)", name))
    return found.text.strip()


async def inside(place: Path) -> GitDir:
    """The directories of a sandbox: Git is led to no other repository, around it or in it.

    Raises:
        ActivityFailure: "no_sandbox"; its files stand, but are no work tree of the repository.
    """
    try:
        found = await find_repository(place)
    except ActivityFailure:
        found = None
    if found is None or not _is_of(found, place):
        raise ActivityFailure(
            "no_sandbox",
            f"{place.name} is no work tree of the repository any more: look at it and move it away",
            retryable=False,
        )
    return found


def _is_of(found: GitDir, place: Path) -> bool:
    return _target(found.git_dir / "gitdir") == place.resolve() / ".git"


def _target(pointer: Path) -> Path | None:
    """Where the work tree stands that Git keeps this file of."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        named = Path(pointer.read_text(encoding="utf-8").strip())
        return named.parent.resolve() / named.name
    return None


async def git(
    where: GitDir, *args: str, deadline_s: float = 60.0, env: dict[str, str] | None = None
) -> str:
    result = complete(await run_git(where, args, deadline_s=deadline_s, env=env or {}))
    return result.text.strip()
