"""What nearly every test begins with, made once by each process that runs tests and copied.

A new repository with one commit is four processes of Git's, and three new databases are thirty
migrations; both were a third of what a short test took. Lives that are killed while they boot and
power cuts have processes of their own, where databases are made as users have them made.
"""

import atexit
import shutil
import subprocess
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from storage.database import open_writer
from storage.databases import databases
from storage.home import DataDir
from storage.migrate import migrate

in_use = False
"""Whether new databases are copies; set where pytest begins."""


def copy_repository(path: Path) -> None:
    """Lay down a new repository with one commit, in a directory that has none."""
    shutil.copytree(_repository(), path, dirs_exist_ok=True)


def copy_databases(data: DataDir) -> None:
    """Lay down new databases where there are none at all, in a process that pytest began."""
    if not in_use or any(data.path.glob("*.db*")):
        return
    for source in _databases().iterdir():
        shutil.copy(source, data.path / source.name)


@cache
def _repository() -> Path:
    path = _made_here("repository")
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "config", "user.name", "Test"],
        ["git", "config", "user.email", "test@example.invalid"],
        ["git", "commit", "--quiet", "--allow-empty", "--message", "first"],
    ):
        subprocess.run(command, cwd=path, check=True, capture_output=True)
    for sample in (path / ".git" / "hooks").glob("*.sample"):
        sample.unlink()
    return path


@cache
def _databases() -> Path:
    path = _made_here("databases")
    for database in databases(path):
        with closing(open_writer(database.path)) as connection:
            migrate(connection, database.schema)
    return path


def _made_here(name: str) -> Path:
    path = Path(tempfile.mkdtemp(prefix=f"beadflow-{name}-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
