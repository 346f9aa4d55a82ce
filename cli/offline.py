"""What the commands on histories do: read them, from files or the database, and rerun them.

Imported by cli.histories when one of its commands runs, because it brings the engine along.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import trio

from actors.workflows import document
from actors.workflows.document import DocumentError, ForeignDocument, RecordedWorkflow
from actors.workflows.rerun import Verdict, rerun
from cli.exits import ExitCode
from cli.problem import Problem, usage
from cli.running import configure_logging, load_plugins
from cli.settings import Settings
from storage.database import open_reader
from storage.databases import Database, databases
from storage.errors import SchemaError
from storage.exchange import refuse_unfinished
from storage.home import DataDir
from storage.migrate import applied, refuse_misfit

LOG_LEVEL = "error"

_ID = re.compile(r"[A-Za-z0-9][\w.:~-]*", re.ASCII)


def export(workflow_id: str, *, repo: Path | None, data_dir: Path | None) -> str:
    """The document of one workflow.

    Raises:
        Problem: there is no such workflow, or no data.
        StorageError: the database cannot be read.
    """
    with _engine(repo, data_dir) as connection:
        return document.write(_recorded(connection, workflow_id))


def check(
    what: Sequence[str],
    *,
    every: bool,
    config: Path | None,
    repo: Path | None,
    data_dir: Path | None,
) -> list[tuple[str, Verdict]]:
    """Rerun histories against the code that the settings name; answers where each is from.

    Raises:
        Problem: something that was named is not there, or is no history; a plugin cannot be used.
        StorageError: the database cannot be read.
    """
    configure_logging(LOG_LEVEL)
    files, ids = _sorted_out(what)
    definitions = load_plugins(Settings.read(config).plugins).definitions

    async def judge() -> list[tuple[str, Verdict]]:
        found = [(str(path), await rerun(_read(path), definitions)) for path in files]
        if not ids and not every:
            return found
        with _engine(repo, data_dir) as connection:
            chosen = dict.fromkeys([*ids, *(document.live(connection) if every else ())])
            for workflow_id in chosen:
                verdict = await rerun(_recorded(connection, workflow_id), definitions)
                found.append(("database", verdict))
        return found

    return trio.run(judge)


def _sorted_out(what: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The files that are named, each once, and the ids."""
    files: list[Path] = []
    ids: list[str] = []
    for word in what:
        path = Path(word)
        if path.is_dir():
            inside = sorted(path.rglob("*.json"))
            if not inside:
                raise usage("There are no histories in this directory", word)
            files += inside
        elif path.is_file():
            files.append(path)
        elif word.endswith(".json"):
            raise _missing("There is no such file", word, "")
        elif _ID.fullmatch(word):
            ids.append(word)
        else:
            raise _missing("There is no such file, and this is no workflow id", word)
    return list(dict.fromkeys(files)), ids


def _read(path: Path) -> RecordedWorkflow:
    try:
        return document.read(_text(path))
    except DocumentError as error:
        raise Problem(
            "A history cannot be read",
            f"{path}: {error}",
            code=error.code,
            exit_code=ExitCode.USAGE,
            hint=error.hint,
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ForeignDocument(f"it is no text: {error}") from error


@contextmanager
def _engine(repo: Path | None, data_dir: Path | None) -> Iterator[sqlite3.Connection]:
    """The engine's database, to be read; also beside a server."""
    data = DataDir.resolve(repo, data_dir)
    refuse_unfinished(data.path)
    found = next(each for each in databases(data.path) if each.name == "tempolite")
    if not found.path.exists():
        raise Problem(
            "There is no data yet",
            f"no database in {data.path}",
            code="no_data",
            exit_code=ExitCode.NOT_FOUND,
            hint="--repo or --data-dir name another place",
        )
    with closing(open_reader(found.path)) as connection:
        _refuse_other_schemas(connection, found)
        yield connection


def _refuse_other_schemas(connection: sqlite3.Connection, database: Database) -> None:
    refuse_misfit(connection, database.schema)
    version = applied(connection)[-1].version
    if version < database.newest:
        raise SchemaError(
            f"{database.path.name} is at version {version}, this program reads {database.newest}:"
            " bring a copy of it up to date with `beadflow db migrate`"
        )


def _recorded(connection: sqlite3.Connection, workflow_id: str) -> RecordedWorkflow:
    found = document.recorded(connection, workflow_id)
    if found is None:
        raise _missing("There is no such workflow", workflow_id)
    return found


def _missing(
    title: str, what: str, hint: str = "`beadflow workflow list` shows the workflows"
) -> Problem:
    return Problem(
        title,
        what,
        code="not_found",
        exit_code=ExitCode.NOT_FOUND,
        hint=hint,
    )
