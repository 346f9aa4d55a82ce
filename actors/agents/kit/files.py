"""The files of a repository that count; how one of them is read is in `reading.py`.

In a Git repository those that Git tracks (where nothing is tracked yet, those it does not ignore);
elsewhere a bounded walk. The repository is not trusted: Git runs as `repository.py` has it, no
symbolic link is followed, nothing but a regular file is opened, and numbers and sizes are capped.
"""

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import trio

from actors.agents.kit.reading import MAX_FILE_BYTES, Skips, is_plain, read_file
from actors.agents.kit.repository import read
from actors.agents.tools import ToolResult, ToolStatus
from actors.workflows.definition import ActivityFailure

__all__ = [
    "MAX_FILE_BYTES",
    "Listing",
    "Skips",
    "git",
    "is_plain",
    "list_files",
    "read_file",
    "read_toml",
]

MAX_FILES: Final = 20_000
_LIST_DEADLINE_S: Final = 15.0
_LIST_CAP_BYTES: Final = 8 << 20
_MAX_DIRECTORIES: Final = 20_000
_UNWALKED: Final = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        "node_modules",
        "__pycache__",
        "target",
        "site-packages",
    }
    | {".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", "dist", "build"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files to look at, as sorted POSIX paths below `root`."""

    root: Path
    paths: tuple[str, ...]
    by: Literal["git ls-files", "directory walk"]
    why_walked: str | None = None
    left_out: int = 0  # beyond the cap


def read_toml(root: Path, path: str) -> dict[str, Any]:
    """A TOML file of the repository; empty where it cannot be read as one."""
    data = read_file(root, path, Skips())
    try:
        return tomllib.loads((data or b"").decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}


async def git(root: Path, *arguments: str, deadline_s: float, cap_bytes: int) -> ToolResult:
    """Runs one reading Git command in the repository; where there is none, a result that failed."""
    try:
        return await read(root, *arguments, deadline_s=deadline_s, cap_bytes=cap_bytes)
    except ActivityFailure as failure:
        said = failure.message.encode("utf-8", "replace")
        return ToolResult(tool="git", status=ToolStatus.FAILED, stderr=said)


async def list_files(root: Path, *, max_files: int = MAX_FILES) -> Listing:
    """Lists the repository's files; walks the directory when Git cannot say."""
    listed = await _ls_files(root, "--cached")
    if listed.ok and not listed.stdout:
        listed = await _ls_files(root, "--others", "--exclude-standard")
    if not listed.ok:
        paths, more = await trio.to_thread.run_sync(_walk, root, max_files)
        return Listing(
            root=root, paths=paths, by="directory walk", why_walked=listed.why, left_out=more
        )
    names = listed.stdout.split(b"\0")[:-1]  # what follows the last NUL may have been cut
    paths = tuple(sorted(os.fsdecode(name) for name in names))
    return Listing(
        root=root,
        paths=paths[:max_files],
        by="git ls-files",
        left_out=max(0, len(paths) - max_files),
    )


async def _ls_files(root: Path, *options: str) -> ToolResult:
    return await git(
        root,
        "ls-files",
        "-z",
        *options,
        "--",
        deadline_s=_LIST_DEADLINE_S,
        cap_bytes=_LIST_CAP_BYTES,
    )


def _walk(root: Path, max_files: int) -> tuple[tuple[str, ...], int]:
    """Walks breadth first, so that a cap cuts off what lies deepest."""
    found: list[str] = []
    waiting = [root]
    for directory in waiting:
        trio.from_thread.check_cancelled()
        for entry in _entries(directory):
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _UNWALKED and len(waiting) < _MAX_DIRECTORIES:
                    waiting.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                found.append(Path(entry.path).relative_to(root).as_posix())
    kept = sorted(found[:max_files])
    return tuple(kept), len(found) - len(kept)


def _entries(directory: Path) -> Sequence[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []
