"""Patches from outside: what one may not touch, and how one is applied whole or not at all.

Git refuses paths out of the tree, into `.git` and through symbolic links by itself; here links and
submodules are refused altogether, so that no later step can be led out of the tree.
"""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from actors.agents.kit.repository import complete, run_git
from actors.agents.tools import ToolResult
from actors.workflows.definition import ActivityFailure
from storage.gitdir import GitDir

LIMIT_BYTES: Final = 32 << 20
_LINK: Final = re.compile(
    rb"^(?:(?:new file|deleted file|old|new) mode|index [0-9a-f.]+) (?:12|16)0000",
    re.MULTILINE,
)
_FROM: Final = re.compile(rb'^(?:rename|copy) (?:from|to) "?(.*?)"?\r?$', re.MULTILINE)
_GITS_OWN: Final = re.compile(r"\.git|git~[0-9]+", re.IGNORECASE)


async def apply(where: GitDir, patch: bytes) -> bool:
    """Apply a patch to files and index; False when all of it was there already.

    Raises:
        ActivityFailure: "bad_patch", "patch_conflict".
    """
    if len(patch) > LIMIT_BYTES:
        raise _bad(f"it is longer than {LIMIT_BYTES} bytes")
    with _as_file(where, patch) as file:
        targets = await _targets(where, patch, file)
        there = await run_git(where, ["apply", "--reverse", "--check", "--index", "--", file])
        if there.ok:
            return False
        await _apply(where, targets, file)
    return True


def check_paths(paths: Sequence[str]) -> tuple[str, ...]:
    """Relative paths inside a work tree.

    Raises:
        ActivityFailure: "bad_path"; one is absolute, leads out, or into Git's own directory.
    """
    for path in paths:
        parts = PurePosixPath(path).parts
        odd = not parts or path.startswith("/") or "\0" in path or "\\" in path or ".." in parts
        if odd or any(_GITS_OWN.fullmatch(part.rstrip(". ")) for part in parts):
            raise ActivityFailure(
                "bad_path", f"{path[:200]!r} is no path in the work tree", retryable=False
            )
    return tuple(paths)


async def _targets(where: GitDir, patch: bytes, file: str) -> tuple[str, ...]:
    """The paths that a patch is about, as Git reads it."""
    if _LINK.search(patch):
        raise _bad("it makes, changes or removes a symbolic link or a submodule")
    counted = await run_git(where, ["apply", "--numstat", "-z", "--", file])
    if not counted.ok or not counted.stdout:
        raise _bad(_said(counted, file) if not counted.ok else "it changes nothing")
    rows = counted.stdout.decode("utf-8", "surrogateescape").split("\0")
    named = {row.split("\t", 2)[2] for row in rows if row.count("\t") >= 2}  # noqa: PLR2004
    named |= {path.decode("utf-8", "surrogateescape") for path in _FROM.findall(patch)}
    try:
        return check_paths(sorted(named))
    except ActivityFailure as error:
        raise _bad(error.message) from error


async def _apply(where: GitDir, targets: Sequence[str], file: str) -> None:
    root = where.work_tree or where.git_dir
    absent = [path for path in targets if not (root / path).exists()]
    with _index_kept(where) as kept:
        done = await run_git(where, ["apply", "--3way", "--index", "--", file])
        if done.ok:
            return
        shutil.copyfile(kept, where.git_dir / "index")
    for path in absent:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (root / path).unlink()
    known = complete(await run_git(where, ["ls-files", "-z", "--", *targets])).stdout.split(b"\0")
    files = [path.decode("utf-8", "surrogateescape") for path in known if path]
    if files:
        complete(await run_git(where, ["checkout-index", "--force", "--", *files]))
    why = f"the patch does not fit: {_said(done, file)}"
    raise ActivityFailure("patch_conflict", why, retryable=False)


def _said(result: ToolResult, file: str) -> str:
    return result.why.replace(file, "the patch")


@contextlib.contextmanager
def _index_kept(where: GitDir) -> Iterator[Path]:
    kept = where.git_dir / "index.beadflow"
    shutil.copyfile(where.git_dir / "index", kept)
    try:
        yield kept
    finally:
        kept.unlink(missing_ok=True)


@contextlib.contextmanager
def _as_file(where: GitDir, patch: bytes) -> Iterator[str]:
    """The patch in a file outside the work tree."""
    with tempfile.NamedTemporaryFile(dir=where.git_dir, suffix=".patch") as file:
        file.write(patch)
        file.flush()
        yield file.name


def _bad(why: str) -> ActivityFailure:
    return ActivityFailure("bad_patch", f"the patch cannot be applied: {why}", retryable=False)
