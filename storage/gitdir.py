"""Where a repository keeps its files: found by looking, without running Git.

Every command needs the data directory, which lies in the repository's common directory; starting
Git (or importing GitPython, a tenth of a second) only to learn that path would be felt in each.
The rules are Git's own: the nearest `.git` directory or gitfile going up, or a bare repository;
linked work trees name the common directory in a file `commondir`.

Like Git we refuse a repository of another user, who could have put it above ours in `/tmp`, unless
the user's own configuration lists it under `safe.directory`.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from storage.errors import UnsafePath

_SAFE_DIRECTORIES_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GitDir:
    """The directories of one repository as seen from one work tree.

    `git_dir` has this work tree's HEAD and index, `common_dir` what all work trees share;
    `work_tree` is None in a bare repository.
    """

    git_dir: Path
    common_dir: Path
    work_tree: Path | None


def find_git_dir(start: Path) -> GitDir | None:
    """Finds the repository that `start` lies in, or None where there is no Git.

    Raises:
        UnsafePath: the repository belongs to another user and is not listed as safe.
    """
    start = start.resolve()
    for place in (start, *start.parents):
        if found := _repository_at(place):
            _refuse_strangers(found)
            return found
    return None


def _repository_at(place: Path) -> GitDir | None:
    entry = place / ".git"
    if entry.is_dir() and _is_git_dir(entry):
        return _git_dir(entry, work_tree=place)
    if entry.is_file() and (target := _read_pointer(entry, "gitdir: ")) and _is_git_dir(target):
        return _git_dir(target, work_tree=place)
    if _is_git_dir(place):
        return _git_dir(place, work_tree=place.parent if place.name == ".git" else None)
    return None


def _git_dir(git_dir: Path, *, work_tree: Path | None) -> GitDir:
    common = _read_pointer(git_dir / "commondir", "") or git_dir
    return GitDir(git_dir=git_dir.resolve(), common_dir=common.resolve(), work_tree=work_tree)


def _is_git_dir(place: Path) -> bool:
    if not (place / "HEAD").is_file():
        return False
    common = _read_pointer(place / "commondir", "") or place
    return (common / "objects").is_dir() and (common / "refs").is_dir()


def _read_pointer(file: Path, prefix: str) -> Path | None:
    """Reads a one-line file that names a directory, relative to its own."""
    try:
        line = file.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return file.parent / line.removeprefix(prefix) if line.startswith(prefix) else None


def _refuse_strangers(found: GitDir) -> None:
    owner = found.git_dir.stat().st_uid
    if owner in _own_ids():
        return
    listed = _safe_directories()
    place = str(found.work_tree or found.git_dir)
    if "*" not in listed and place not in listed:
        raise UnsafePath(
            place,
            f"the repository belongs to user {owner}; if you trust it, run:"
            f" git config --global --add safe.directory {place}",
        )


def _own_ids() -> set[int]:
    """Gives the user's id; under sudo also the id of who called it, as Git does."""
    uid = os.geteuid()
    sudo = os.environ.get("SUDO_UID", "")
    return {uid, int(sudo)} if uid == 0 and sudo.isdigit() else {uid}


def _safe_directories() -> set[str]:
    """Reads `safe.directory` as the user or the system has set it, never as a repository has."""
    try:
        output = subprocess.run(
            ["git", "config", "--null", "--get-all", "safe.directory"],
            cwd="/",
            env={**os.environ, "GIT_DIR": os.devnull},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SAFE_DIRECTORIES_DEADLINE_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return {entry.rstrip("/") for entry in output.split("\0") if entry}
