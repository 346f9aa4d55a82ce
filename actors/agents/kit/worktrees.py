"""Work trees in which agents change files, beside the user's own, which they never touch.

A sandbox is a linked work tree of the same repository under the server's directory, on a branch of
its own. It is known by a key: whoever opens it again under that key, after a crash or in a later
step, finds it as it was left. A record beside it says what it is; it is written before Git is
asked for anything, so that what a crash left half-made is known to hold nobody's work.

Nothing here removes work: a sandbox goes only when all that is in it is held by a ref outside.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import trio

from actors.agents.kit import patches
from actors.agents.kit.repository import (
    ask,
    check_branch,
    check_ref,
    complete,
    find_repository,
    read,
    resolve,
    run_git,
)
from actors.agents.site import Site
from actors.agents.tools import run_tool
from actors.workflows.definition import ActivityFailure
from storage.gitdir import GitDir

__all__ = [
    "Changes",
    "Closed",
    "Kept",
    "Sandbox",
    "apply_patch",
    "ask",
    "changes",
    "check_branch",
    "check_ref",
    "close_sandbox",
    "commit",
    "is_dirty",
    "open_sandbox",
    "read",
    "resolve",
]

CHECKOUT_S: Final = 300.0
FENCES: Final = ("pytest.ini", "ruff.toml")
"""Empty files beside the work trees. The server's directory usually lies in the user's work tree:
tools that look for settings in all directories above would find those of another commit."""

_NAME_CHARACTERS: Final = 60
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_IDENTITY: Final = re.compile(r"(user|author|committer)\.(name|email)\n(.*)", re.DOTALL)
_locks: weakref.WeakValueDictionary[Path, trio.Lock] = weakref.WeakValueDictionary()


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
    """

    diffstat: str
    patch: bytes
    files: tuple[str, ...]
    insertions: int
    deletions: int
    commits: int
    is_dirty: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """The sandbox is gone (or never was); its branch stays."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The sandbox still stands, since something in it would have been lost."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What is known of a sandbox; `made` once its files stand."""

    key: str
    branch: str
    base: str
    made: bool = False


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
            tree is on it), "git_failed".
    """
    place = _place(site, key)
    async with _lock(place):
        record = _load(place)
        if record is None:
            record = await _plan(site, key, ref, branch, detached=detached)
            _save(place, record)
        if not record.made or not (place / ".git").is_file():
            await _make(site, place, record)
            _save(place, replace(record, made=True))
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
    where = await _inside(sandbox)
    if paths is not None:
        patches.check_paths(paths)
    chosen = ["--", *paths] if paths is not None else []
    await _git(where, "add", "--all", *chosen, deadline_s=CHECKOUT_S)
    tree = await _git(where, "write-tree")
    head = await _git(where, "rev-parse", "--verify", "HEAD^{commit}")
    if tree == await _git(where, "rev-parse", "--verify", "HEAD^{tree}"):
        return None
    who = await _identity(where)
    made = await _git(where, "commit-tree", "-p", head, "-m", message, tree, env=who)
    await _git(where, "update-ref", "-m", "beadflow: commit", "HEAD", made, head, env=who)
    return made


async def changes(sandbox: Sandbox) -> Changes:
    """What was committed in a sandbox since its base."""
    spread = (sandbox.base, "HEAD", "--")
    diffstat = await ask(sandbox.path, "diff", "--stat=100", "--no-renames", *spread)
    patch = complete(
        await read(
            sandbox.path,
            *("diff", "--binary", "--full-index", "--no-color", "--no-renames", *spread),
            cap_bytes=patches.LIMIT_BYTES,
        )
    )
    counted = await ask(sandbox.path, "diff", "--numstat", "-z", "--no-renames", *spread)
    rows = [row.split("\t", 2) for row in counted.split("\0") if row]
    return Changes(
        diffstat=diffstat,
        patch=patch.stdout,
        files=tuple(row[2] for row in rows),
        insertions=sum(int(row[0]) for row in rows if row[0].isdigit()),
        deletions=sum(int(row[1]) for row in rows if row[1].isdigit()),
        commits=int(await ask(sandbox.path, "rev-list", "--count", f"{sandbox.base}..HEAD", "--")),
        is_dirty=await is_dirty(sandbox),
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
    return await patches.apply(await _inside(sandbox), patch)


async def close_sandbox(site: Site, key: str, *, force: bool = False) -> Closed | Kept:
    """Remove the work tree of a key, unless that would lose something. Its branch stays.

    Args:
        site: as it was opened with.
        key: as it was opened with.
        force: also with changes that are not committed, or commits that no ref holds.
    """
    place = _place(site, key)
    async with _lock(place):
        record = _load(place)
        if record is None or not place.exists():
            return Closed()
        if record.made and not force and (why := await _what_is_lost(place)):
            return Kept(why)
        await _unmake(await find_repository(site), place)
        if record.branch:  # whoever goes on with it begins where it began
            _save(place, replace(record, made=False))
        else:
            _record_of(place).unlink()
    return Closed()


def _place(site: Site, key: str) -> Path:
    return site.workspace.absolute() / "worktrees" / _name(key)


def _name(key: str) -> str:
    """A directory's and a branch's name: the key itself where it can be one."""
    if key and len(key) <= _NAME_CHARACTERS and not _NO_NAME.search(key) and key[0] != "-":
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return "-".join(part for part in (_NO_NAME.sub("-", key).strip("-_")[:40], digest) if part)


def _lock(place: Path) -> trio.Lock:
    """One at a time opens or closes a sandbox."""
    return _locks.setdefault(place, trio.Lock())


def _load(place: Path) -> _Record | None:
    try:
        return _Record(**json.loads(_record_of(place).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _save(place: Path, record: _Record) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in FENCES:
        (place.parent / name).touch()
    file = _record_of(place)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(record)), encoding="utf-8")
    fresh.replace(file)


def _record_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")


async def _plan(site: Site, key: str, ref: str, branch: str | None, *, detached: bool) -> _Record:
    """Where a sandbox is to begin: at the tip of its branch if there is one, else at `ref`."""
    if detached:
        return _Record(key=key, branch="", base=await resolve(site, ref))
    name = check_branch(branch if branch is not None else f"beadflow/{_name(key)}")
    tip = await _tip(site, name)
    return _Record(key=key, branch=name, base=tip or await resolve(site, ref))


async def _tip(site: Site, branch: str) -> str:
    """The commit of a branch; "" when there is none."""
    found = await read(site, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
    return found.text.strip() if found.ok else ""


async def _make(site: Site, place: Path, record: _Record) -> None:
    """Have the work tree stand, whatever a crash has left of it."""
    where = await find_repository(site)
    await _unmake(where, place)
    if record.branch and not await _tip(site, record.branch):
        await _git(where, "update-ref", f"refs/heads/{record.branch}", record.base, "0" * 40)
    what = [record.branch] if record.branch else ["--detach", record.base]
    options = [] if record.branch else [what.pop(0)]
    added = await run_git(
        where, ["worktree", "add", "--no-checkout", "--quiet", *options, "--", str(place), *what]
    )
    if not added.ok and b"already" in added.stderr:
        raise ActivityFailure(
            "branch_in_use", f"another work tree is on {record.branch!r}", retryable=False
        )
    complete(added)
    made = await find_repository(place)
    await _git(made, "reset", "--hard", "--quiet", deadline_s=CHECKOUT_S)


async def _unmake(where: GitDir, place: Path) -> None:
    """Remove a work tree and what Git knows of it. Links in it are removed, never followed."""

    def remove() -> None:
        shutil.rmtree(place, ignore_errors=True)
        for pointer in (where.common_dir / "worktrees").glob("*/gitdir"):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                if Path(pointer.read_text(encoding="utf-8").strip()) == place / ".git":
                    shutil.rmtree(pointer.parent)

    await trio.to_thread.run_sync(remove)


async def _what_is_lost(place: Path) -> str:
    """What would be lost with a work tree; "" when nothing is."""
    if await ask(place, "status", "--porcelain", "--untracked-files=normal"):
        return "it has changes that are not committed"
    refs = ("--branches", "--tags", "--remotes")
    alone = await ask(place, "rev-list", "--count", "HEAD", "--not", *refs, "--")
    return "" if alone == "0" else "it has commits that no branch or tag holds"


async def _inside(sandbox: Sandbox) -> GitDir:
    """The sandbox's own directories: Git is never led to a repository around it."""
    found = await find_repository(sandbox.path)
    if found.work_tree is None or found.work_tree.resolve() != sandbox.path.resolve():
        raise ActivityFailure("no_sandbox", f"{sandbox.path.name} is no work tree any more")
    return found


async def _git(
    where: GitDir, *args: str, deadline_s: float = 60.0, env: dict[str, str] | None = None
) -> str:
    result = complete(await run_git(where, args, deadline_s=deadline_s, env=env or {}))
    return result.text.strip()


async def _identity(where: GitDir) -> dict[str, str]:
    """Names author and committer as the user's configuration does, else us.

    The only command that reads the user's configuration: it asks for names and runs nothing.
    """
    wanted = r"^(user|author|committer)\.(name|email)$"
    own = {name: os.environ[name] for name in ("XDG_CONFIG_HOME",) if name in os.environ}
    own |= {n: os.environ[n] for n in os.environ if n.startswith("GIT_CONFIG_")}
    asked = await run_tool(
        ["git", "config", "--null", "--get-regexp", wanted],
        cwd=where.work_tree or where.git_dir,
        deadline_s=10.0,
        env={**own, "GIT_DIR": str(where.git_dir)},
    )
    found = {
        (match[1], match[2]): match[3]
        for entry in asked.stdout.decode("utf-8", "replace").split("\0")
        if (match := _IDENTITY.fullmatch(entry)) and match[3].strip()
    }
    return _person(found, "author") | _person(found, "committer")


def _person(found: dict[tuple[str, str], str], role: str) -> dict[str, str]:
    name = found.get((role, "name")) or found.get(("user", "name"))
    email = found.get((role, "email")) or found.get(("user", "email"))
    if not name or not email:
        name, email = "beadflow", "beadflow@localhost"
    return {f"GIT_{role.upper()}_NAME": name, f"GIT_{role.upper()}_EMAIL": email}
