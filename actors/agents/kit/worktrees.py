"""Work trees in which agents change files, beside the user's own, which they never touch.

A sandbox is a linked work tree of the same repository under the server's directory, on a branch of
its own. It is known by a key: whoever opens it again under that key, after a crash or in a later
step, finds it as it was left. A record beside it says what it is; it is written before Git is
asked for anything, so that what a crash left half-made is known to hold nobody's work.

Nothing here removes work: a sandbox goes only when all that is in it is held by a ref outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from actors.agents.kit import patches
from actors.agents.kit.authors import author
from actors.agents.kit.linked import CHECKOUT_S, drop_unused, git, inside, make, remove, tip_of
from actors.agents.kit.records import (
    FENCES,
    Record,
    load,
    lock_of,
    name_of,
    place_of,
    record_of,
    save,
)
from actors.agents.kit.repository import (
    ask,
    check_branch,
    check_ref,
    complete,
    find_repository,
    read,
    resolve,
)
from actors.agents.site import Site
from actors.workflows.definition import ActivityFailure

__all__ = [
    "FENCES",
    "Changes",
    "Closed",
    "Kept",
    "Sandbox",
    "apply_patch",
    "ask",
    "changes",
    "check_branch",
    "check_free",
    "check_ref",
    "close_sandbox",
    "commit",
    "drop_branch",
    "is_dirty",
    "open_sandbox",
    "read",
    "resolve",
    "tip_of",
]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A work tree of an agent's own.

    Args:
        path: its root.
        branch: the branch it is on; "" when it is on none.
        base: id of the commit at which its work began.
    """

    path: Path
    branch: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a sandbox's commits change, from its base on.

    Args:
        files: paths, in Git's order.
        commits: how many there are since the base.
        is_dirty: whether there is also something that is not committed; `patch` is without it.
        is_whole: False where the patch is too large and left out.
    """

    diffstat: str
    patch: bytes
    files: tuple[str, ...]
    insertions: int
    deletions: int
    commits: int
    is_dirty: bool
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Closed:
    """The sandbox is gone (or never was); its branch stays."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The sandbox still stands, since something in it would have been lost."""

    why: str


async def open_sandbox(
    site: Site,
    *,
    key: str,
    ref: str = "HEAD",
    branch: str | None = None,
    detached: bool = False,
) -> Sandbox:
    """Open the work tree of a key: a new one the first time, after that the same one again.

    Args:
        site: whose repository it is of, and in whose workspace it stands.
        key: e.g. an idempotency key, or a workflow's id for one that several steps share.
        ref: where a new branch begins.
        branch: made at `ref` unless it exists; then work goes on at its tip. None is
            `beadflow/<key>`.
        detached: on no branch, for one that is only looked at or measured.

    Raises:
        ActivityFailure: "no_repository", "bad_ref", "unknown_ref", "branch_in_use" (another work
            tree is on it), "no_sandbox" (what stands there is none any more), "git_failed".
    """
    place = place_of(site, key)
    async with lock_of(place):
        record = load(place)
        if record is None:
            record = await _plan(site, key, ref, branch, detached=detached)
            await trio.to_thread.run_sync(save, place, record)
        if record.made and place.exists():
            await inside(place)
        else:
            await make(site, place, record)
            await trio.to_thread.run_sync(save, place, replace(record, made=True))
    return Sandbox(path=place, branch=record.branch, base=record.base)


async def commit(
    sandbox: Sandbox, message: str, *, paths: Sequence[str] | None = None
) -> str | None:
    """Commit what has changed in a sandbox, and give the commit's id; None if nothing has.

    The author is the user whom Git's configuration names, else beadflow. No hook runs, and nothing
    is signed.

    Args:
        sandbox: where.
        message: of the commit.
        paths: what to commit, relative to its root; None is everything that is not ignored.
    """
    if paths is not None:
        patches.check_paths(paths)
    where = await inside(sandbox.path)
    chosen = ["--", *paths] if paths is not None else []
    await git(where, "add", "--all", *chosen, deadline_s=CHECKOUT_S)
    tree = await git(where, "write-tree")
    head = await git(where, "rev-parse", "--verify", "HEAD^{commit}")
    if tree == await git(where, "rev-parse", "--verify", "HEAD^{tree}"):
        return None
    who = await author(where)
    made = await git(where, "commit-tree", "-p", head, "-m", message, tree, env=who)
    await git(where, "update-ref", "-m", "beadflow: commit", "HEAD", made, head, env=who)
    return made


async def changes(sandbox: Sandbox) -> Changes:
    """What was committed in a sandbox since its base.

    Raises:
        ActivityFailure: "no_sandbox"; what was run in it has put another repository in its place.
    """
    await inside(sandbox.path)
    spread = (sandbox.base, "HEAD", "--")
    diffstat = await ask(sandbox.path, "diff", "--stat=100", "--no-renames", *spread)
    patch = await read(
        sandbox.path,
        *("diff", "--binary", "--full-index", "--no-color", "--no-renames", *spread),
        cap_bytes=patches.LIMIT_BYTES,
    )
    is_whole = not (patch.ok and patch.truncated)
    counted = await ask(sandbox.path, "diff", "--numstat", "-z", "--no-renames", *spread)
    rows = [row.split("\t", 2) for row in counted.split("\0") if row]
    return Changes(
        diffstat=diffstat,
        patch=complete(patch).stdout if is_whole else b"",
        files=tuple(row[2] for row in rows),
        insertions=sum(int(row[0]) for row in rows if row[0].isdigit()),
        deletions=sum(int(row[1]) for row in rows if row[1].isdigit()),
        commits=int(await ask(sandbox.path, "rev-list", "--count", f"{sandbox.base}..HEAD", "--")),
        is_dirty=await is_dirty(sandbox),
        is_whole=is_whole,
    )


async def is_dirty(sandbox: Sandbox) -> bool:
    """Whether it holds something that is neither committed nor ignored."""
    return bool(await ask(sandbox.path, "status", "--porcelain", "--untracked-files=normal"))


async def apply_patch(sandbox: Sandbox, patch: bytes) -> bool:
    """Apply a patch to a sandbox's files and index, without committing it.

    A part that does not fit is merged, where the repository has what it was made from. One that
    does not fit at all leaves everything as it was.

    Returns:
        Whether it was applied; False when all of it was there already.

    Raises:
        ActivityFailure: "bad_patch" (it is none, names a path outside, in `.git` or through a
            symbolic link, or makes one), "patch_conflict".
    """
    return await patches.apply(await inside(sandbox.path), patch)


async def close_sandbox(
    site: Site,
    key: str,
    *,
    force: bool = False,
    only_unused: bool = False,
    drop_branch: bool = False,
) -> Closed | Kept:
    """Remove the work tree of a key, unless that would lose something. Its branch stays.

    Args:
        site: as it was opened with.
        key: as it was opened with.
        force: also with changes that are not committed, or commits that no ref holds.
        only_unused: keep it, too, when there are commits in it since its base.
        drop_branch: remove its branch, too, if that was made for it, has no commit of its own, and
            no other work tree is on it.
    """
    place = place_of(site, key)
    async with lock_of(place):
        record = load(place)
        if record is None or not place.exists():
            return Closed()
        if record.made and not force and (why := await _what_is_lost(place)):
            return Kept(why)
        if only_unused and record.made and await _tip(place) != record.base:
            return Kept("it has commits of its own")
        half = replace(record, made=False)  # first: half of one is nobody's work any more
        await trio.to_thread.run_sync(save, place, half)
        await remove(await find_repository(site), place)
        if drop_branch and record.own:
            await drop_unused(site, record)
        if not record.branch:  # the others stay: whoever goes on with one begins where it began
            record_of(place).unlink()
    return Closed()


async def check_free(site: Site, branch: str) -> None:
    """See before any work whether a sandbox could be opened on a branch.

    Raises:
        ActivityFailure: "bad_ref"; "branch_in_use": a work tree is on it.
    """
    named = f"refs/heads/{check_branch(branch)}"
    if await ask(site, "for-each-ref", "--format=%(worktreepath)", named):
        raise ActivityFailure(
            "branch_in_use", f"another work tree is on {branch!r}", retryable=False
        )


async def drop_branch(site: Site, branch: str, tip: str) -> None:
    """Remove a branch of an agent's own that leads nowhere else, unless it has moved on from a tip.

    For a branch of which the commit is held by another ref, and on which no work tree is.
    """
    where = await find_repository(site)
    await git(where, "update-ref", "-d", f"refs/heads/{check_branch(branch)}", tip)


async def _plan(site: Site, key: str, ref: str, branch: str | None, *, detached: bool) -> Record:
    """Where a sandbox is to begin: at the tip of its branch if there is one, else at `ref`."""
    if detached:
        return Record(key=key, branch="", base=await resolve(site, ref))
    name = check_branch(branch if branch is not None else f"beadflow/{name_of(key)}")
    tip = await tip_of(site, name)
    return Record(key=key, branch=name, base=tip or await resolve(site, ref), own=not tip)


async def _tip(place: Path) -> str:
    return await ask(place, "rev-parse", "--verify", "HEAD^{commit}")


async def _what_is_lost(place: Path) -> str:
    """What would be lost with a work tree; "" when nothing is."""
    try:
        await inside(place)
    except ActivityFailure as error:
        return error.message
    if await ask(place, "status", "--porcelain", "--untracked-files=normal"):
        return "it has changes that are not committed"
    refs = ("--branches", "--tags", "--remotes")
    alone = await ask(place, "rev-list", "--count", "HEAD", "--not", *refs, "--")
    return "" if alone == "0" else "it has commits that no branch or tag holds"
