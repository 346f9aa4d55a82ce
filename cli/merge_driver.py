"""`beadflow merge-driver BASE OURS THEIRS PATH`: Git's way to merge the published file.

Git writes the three versions into files, and takes what is in OURS afterwards for the result. So
OURS is replaced in one step when all is well; else it is left as it is and the exit code tells Git
that the file is in conflict.

It takes no lock, asks no server and opens no database: Git runs it in the middle of a merge, which
a server may have begun itself. Git starts it once for every merge, so it imports little; `main.py`
calls it without the command tree.
"""

import sys
from pathlib import Path

from actors.issues.merging.files import MergedFile, NotIssuesError, merge_files
from cli.exits import ExitCode
from storage import regular
from storage.issues import file

NAME = "beadflow"
DRIVER = "beadflow merge-driver %O %A %B %P"
"""What `merge.beadflow.driver` is in Git's configuration."""
ATTRIBUTE = f".beads/issues.jsonl merge={NAME}"
"""The line of Git's attributes that has it merge the published file."""
USAGE = "usage: beadflow merge-driver BASE OURS THEIRS PATH"
SIDES = 4


class CannotKeepError(Exception):
    """A line that no reader would understand cannot be put where it would not be lost."""


def run(arguments: list[str]) -> int:
    """Runs the command; what goes wrong goes to standard error."""
    if len(arguments) != SIDES:
        print(USAGE, file=sys.stderr)
        return ExitCode.USAGE
    return merge_driver(*arguments)


def merge_driver(base: str, ours: str, theirs: str, path: str, /) -> int:
    """Merge the issues of two branches, as Git asks for it.

    Set up by `beadflow init`. Takes no lock. OURS becomes the result; lines that are no
    issues go to issues.quarantine.jsonl beside PATH. When one of the three cannot be
    read, OURS is left as it is and the exit code is 1.

    Parameters
    ----------
    base
        What both branches began with (%O).
    ours
        The file of the branch that is merged into (%A).
    theirs
        The file of the branch that is merged (%B).
    path
        Where the file lies in the repository (%P).
    """
    try:
        merged = merge_files(*(regular.read(Path(side)) for side in (base, ours, theirs)))
        _keep_aside(merged, Path(path))
        _replace(Path(ours), merged.data)
    except (OSError, NotIssuesError, CannotKeepError) as err:
        print(f"error: {path} is not merged: {err}", file=sys.stderr)
        return ExitCode.FAILED
    for note in notes(merged):
        print(f"beadflow: {path}: {note}", file=sys.stderr)
    return ExitCode.OK


def notes(merged: MergedFile) -> list[str]:
    """What a person should know about a merge, a line each; empty when all was well."""
    told = [f"{one.old} of {one.side} is now {one.new}" for one in merged.renamed]
    for name, lines in merged.unreadable.items():
        where = ", ".join(f"{line.line} ({line.reason})" for line in lines)
        told.append(f"no issues in {name}, kept in {file.QUARANTINE_NAME}: line {where}")
    if merged.duplicates:
        told.append(f"{merged.duplicates} repeated rows were merged")
    if merged.conflict_markers:
        told.append(f"{merged.conflict_markers} conflict markers were resolved")
    return told


def _keep_aside(merged: MergedFile, path: Path) -> None:
    """Keep unreadable lines beside the file, and nowhere else."""
    if not merged.kept_aside:
        return
    here = Path.cwd().resolve()
    directory = (here / path).parent
    # A repository may hold links that lead out of it; nothing is written through them.
    if directory.resolve() != directory or not directory.is_relative_to(here):
        raise CannotKeepError(f"{directory} is a link, or lies outside of the work tree")
    side = directory / file.QUARANTINE_NAME
    if side.is_symlink() or not directory.is_dir():
        raise CannotKeepError(f"lines that are no issues cannot be kept in {side}")
    file.keep(side, merged.kept_aside)


def _replace(ours: Path, data: bytes) -> None:
    temporary = ours.with_name(f"{ours.name}.beadflow-tmp")
    try:
        temporary.write_bytes(data)
        temporary.chmod(ours.stat().st_mode & 0o777)
        temporary.replace(ours)
    finally:
        temporary.unlink(missing_ok=True)
