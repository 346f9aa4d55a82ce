"""`beadflow db …`: look after the databases of a data directory, as files.

These commands need no server. Looking (`status`, `check`) and copying (`backup`) take no lock and
also work beside one; whatever changes the files takes the lock of the data directory, and is
refused with the name of its holder while somebody has it. The work is done in `storage`; here are
the commands and what they print.
"""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from cli import inventory, table, when
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.output import Output
from cli.paths import PATH, named
from cli.problem import Problem, usage
from cli.settings import DAYS, Settings
from storage.agreement import is_new, refuse_incomplete
from storage.archive import DIRECTORY as ARCHIVE
from storage.artifacts import DIRECTORY as ARTIFACTS
from storage.artifacts import Artifacts, kept
from storage.aside import put_aside_before
from storage.backup import DIRECTORY as BACKUPS
from storage.backup import take
from storage.copies import refuse_copy
from storage.database import open_reader, open_writer
from storage.databases import Database, databases
from storage.errors import RepositoryCopied, StorageError
from storage.exchange import is_unfinished, refuse_unfinished
from storage.home import DataDir
from storage.integrity import Finding, inspect
from storage.invariants import broken, stranded
from storage.issues.file import PUBLISHED, QUARANTINE_NAME, count_kept
from storage.manifest import Manifest
from storage.migrate import Applied, migrate, undoable
from storage.migrate import rollback as undo
from storage.restore import restore, verify
from storage.room import naming_full
from storage.snapshot import snapshot
from storage.sweeping import lacking, sweep, unnamed
from storage.vacuum import vacuum

_REPO_HELP = "The Git repository whose data is meant; by default the one around you."
_DATA_HELP = "The data directory; by default beadflow/ in the repository's Git directory."

_DAYS_HELP = "Keep what ended in the last so many days; by default the settings' retention_days."
_CONFIG = "The settings file."
_FORCE_HELP = "Restore it even if it is of another repository or installation."
_STRANDED = (
    "the databases are whole; nobody will close these issues: do it in .beads/issues.jsonl, or set"
    " them back to open"
)
_MENDED = "the next start of the server mends; beside one, `beadflow doctor --reconcile` does"
_RESTORED = "`beadflow db restore` puts a backup in their place"
_TO_HELP = "The version that none shall be above, 1 or more."

Name = Literal["coordination", "tempolite", "beads"]
Repo = Annotated[Path | None, PATH, Parameter(help=_REPO_HELP)]
Data = Annotated[Path | None, PATH, Parameter(env_var="WORKFLOW_DATA_DIR", help=_DATA_HELP)]
Given = Annotated[Output, Parameter(parse=False)]

_STEP_COLUMNS = (
    table.Column("database"),
    table.Column("version", right=True),
    table.Column("name"),
)
_FINDING_COLUMNS = (
    table.Column("database"),
    table.Column("table"),
    table.Column("place"),
    table.Column("what"),
)
_FILE_COLUMNS = (
    table.Column("file"),
    table.Column("version", right=True),
    table.Column("bytes", right=True),
    table.Column("sha256"),
)
_SIZE_COLUMNS = (
    table.Column("database"),
    table.Column("bytes before", right=True),
    table.Column("bytes after", right=True),
)

app = App(
    name="db",
    help="Look after the databases: their versions, backups, integrity and size.",
    help_epilogue="Example:\n\n  beadflow db backup /mnt/backups/project-monday",
)


@app.command(name="status", help_epilogue="Example:\n\n  beadflow db status -o json")
def status_(*, repo: Repo = None, data_dir: Data = None, out: Given) -> int:
    """Show the databases: version, size, and who holds them.

    Works beside a server. It does not look through their pages: `db check` does. The exit
    code is 1 when this program could not open one, when a restore is unfinished, or when
    the data is a copy that is refused beside its original.
    """
    data = _existing(repo, data_dir)
    there = databases(data.path)
    found = [inventory.described(database) for database in there]
    aside = [inventory.aside_fields(path) for path in put_aside_before(there[-1])]
    if out.json:
        holder = data.read_holder()
        shown = {
            "data": str(data.path),
            "holder": inventory.holder_fields(holder),
            "restore_unfinished": is_unfinished(data.path),
            "databases": found,
            "put_aside": aside,
            "lines_set_aside": count_kept(_published(data, repo)),
        }
        out.envelope("db.status", shown)
    else:
        out.table(inventory.COLUMNS, [inventory.row(database) for database in found])
        out.text("")
        out.fields({"data": str(data.path), "held by": inventory.holder_words(data.read_holder())})
    for one in aside:
        out.note(inventory.aside_words(one), "yellow")
    _note_kept(data, repo, out)
    problems = _problems(data, found)
    for problem in problems:
        out.note(problem, "red")
    unfit = any(database["state"] in inventory.UNFIT for database in found)
    return ExitCode.FAILED if unfit or problems else ExitCode.OK


@app.command(help_epilogue="Example:\n\n  beadflow db check && echo whole")
def check(*, repo: Repo = None, data_dir: Data = None, out: Given) -> int:
    """Check the databases: every page, what their rows owe each other, and artifacts.

    Works beside a server, and reads all there is. What is wrong is listed with its
    place, and the exit code is then 1; nothing is mended.
    """
    data = _existing(repo, data_dir)
    refuse_unfinished(data.path)
    broken_, stranded_ = _findings(data.path)
    found = [*broken_, *stranded_]
    if out.json:
        out.envelope("db.check", [_finding_fields(finding) for finding in found])
    else:
        out.table(_FINDING_COLUMNS, [(f.database, f.table, f.place, f.what) for f in found])
    _note_kept(data, repo, out)
    _note_unnamed(data, out)
    if not found:
        out.note("nothing is wrong")
        _note_copy(data, out)
        return ExitCode.OK
    out.note(f"{len(found)} found; {_advice(data.path, broken_) if broken_ else _STRANDED}", "red")
    return ExitCode.FAILED


@app.command(name="migrate", help_epilogue="Example:\n\n  beadflow db migrate")
def migrate_(*, repo: Repo = None, data_dir: Data = None, out: Given) -> int:
    """Bring the databases to this program's newest schema.

    A server does so by itself when it starts. Each step is one transaction.
    """
    done: list[tuple[Database, Applied]] = []
    with _held(_existing(repo, data_dir), out) as data:
        refuse_incomplete(data.path)
        refuse_copy(data)
        for database in databases(data.path):
            with closing(open_writer(database.path)) as connection:
                done += [(database, step) for step in migrate(connection, database.schema)]
    _print_steps(out, "db.migrate", done, "every database is at the newest version")
    return ExitCode.OK


@app.command(help_epilogue="Example:\n\n  beadflow db rollback --to 1")
def rollback(
    *,
    to: Annotated[int, WHOLE, Parameter(help=_TO_HELP)],
    database: Annotated[Name | None, Parameter(help="Only this database.")] = None,
    repo: Repo = None,
    data_dir: Data = None,
    out: Given,
) -> int:
    """Take the databases back to an older schema, after a backup.

    For going back to an older program: this one would migrate them again. What only
    the newer schema can hold is lost, and stays in the backup.
    """
    if to < 1:
        raise usage(
            "A database has version 1 at least",
            f"--to {to}",
            hint="to begin anew, move the data directory away",
        )
    _refuse_unknown(to, database)
    done: list[tuple[Database, Applied]] = []
    kept = ""
    with _held(_existing(repo, data_dir), out) as data:
        refuse_incomplete(data.path)
        refuse_copy(data)
        chosen = [d for d in databases(data.path) if database in (None, d.name)]
        if sum(_count_undoable(found, to) for found in chosen):
            kept = str(_backup_before_rollback(data, repo))
        for found in chosen:
            with closing(open_writer(found.path)) as connection:
                done += [(found, step) for step in undo(connection, found.schema, to=to)]
    _print_steps(out, "db.rollback", done, f"no database is above version {to}", backup=kept)
    return ExitCode.OK


@app.command(help_epilogue="Example:\n\n  beadflow db backup /mnt/backups/monday")
def backup(
    directory: Annotated[
        Path, PATH, Parameter(name="DIR", help="The backup's directory, a new one.")
    ],
    /,
    *,
    repo: Repo = None,
    data_dir: Data = None,
    out: Given,
) -> int:
    """Back up the databases and the issues' file, also beside a server that writes.

    All three are of one moment. Each copy is checked, and a manifest lists the
    hashes; the directory appears when everything in it is on the disk.
    """
    data = _existing(repo, data_dir)
    refuse_unfinished(data.path)
    refuse_incomplete(data.path)
    target = named(directory)
    taken = take(data.path, _published(data, repo), target, program=_program())
    if out.json:
        out.envelope("db.backup", {"backup": str(target), **asdict(taken)})
    else:
        out.table(_FILE_COLUMNS, _file_rows(taken))
        out.text("")
        out.fields({"backup": str(target), "taken": when.moment(taken.taken_at)})
    for sha256 in taken.lacking:
        out.note(f"the artifact content {sha256} is missing or damaged, and not in it", "yellow")
    return ExitCode.OK


@app.command(name="restore", help_epilogue="Example:\n\n  beadflow db restore /mnt/backups/monday")
def restore_(
    directory: Annotated[
        Path, PATH, Parameter(name="DIR", help="A directory that `db backup` made.")
    ],
    /,
    *,
    force: Annotated[bool, Parameter(negative="", help=_FORCE_HELP)] = False,
    repo: Repo = None,
    data_dir: Data = None,
    out: Given,
) -> int:
    """Put a backup in the place of the databases.

    It is verified first, and brought to this program's schema; until then nothing is
    touched. The databases that were there are kept, in a directory that is named.
    """
    data = DataDir.resolve(repo, data_dir)
    source = named(directory)
    taken = verify(source)
    with _held(data, out):
        done = restore(data, source, taken, _published(data, repo), force=force)
    facts = {
        "backup": str(source),
        "taken_at": done.taken.taken_at,
        "data": str(data.path),
        "replaced": str(done.aside) if done.aside else None,
        "migrated": [f"{name} {step.version}" for name, step in done.steps],
        "issues_file": "put back" if done.published else "left as it is",
    }
    if out.json:
        out.envelope("db.restore", facts)
    else:
        out.fields(
            {
                "restored": str(source),
                "taken": when.moment(done.taken.taken_at),
                "data": str(data.path),
                "replaced": str(done.aside or ""),
                "migrated": ", ".join(f"{name} {step.version}" for name, step in done.steps),
                "issues file": str(facts["issues_file"]),
            }
        )
    return ExitCode.OK


@app.command(name="vacuum", help_epilogue="Example:\n\n  beadflow db vacuum")
def vacuum_(*, repo: Repo = None, data_dir: Data = None, out: Given) -> int:
    """Give the room that deleted rows have left back to the disk.

    Contents of artifacts that no row names are removed.
    Takes as much free space, for a while, as twice the largest database.
    """
    with _held(_existing(repo, data_dir), out) as data:
        refuse_incomplete(data.path)
        refuse_copy(data)
        sizes = {d.name: vacuum(d) for d in databases(data.path)}
        swept = sweep(data.path, Artifacts(data.artifacts), before=math.inf)
    if out.json:
        shown = [{"database": n, "before": b, "after": a} for n, (b, a) in sizes.items()]
        out.envelope("db.vacuum", shown, artifacts=asdict(swept))
    else:
        if swept.files:
            out.note(f"removed {swept.files} files of artifacts that no row names: {swept.bytes} B")
        out.table(_SIZE_COLUMNS, [(n, str(b), str(a)) for n, (b, a) in sizes.items()])
    return ExitCode.OK


@app.command(name="archive", help_epilogue="Example:\n\n  beadflow db archive --days 90")
def archive_(
    *,
    days: Annotated[int | None, WHOLE, Parameter(help=_DAYS_HELP)] = None,
    config: Annotated[
        Path | None, PATH, Parameter(env_var="WORKFLOW_CONFIG_PATH", help=_CONFIG)
    ] = None,
    repo: Repo = None,
    data_dir: Data = None,
    out: Given,
) -> int:
    """Move workflows that ended long ago out of the databases, into files of JSON lines.

    A server does so by itself when its settings say retention_days. `db vacuum`
    then gives their room back.
    """
    if days is not None and days not in DAYS[1:]:
        raise usage(f"--days is a whole number, 1 to {DAYS[-1]}", f"not {days}")
    days = days or Settings.read(config).retention_days
    if not days:
        raise usage("Nothing says how long to keep workflows", hint="say --days, 1 or more")
    aging = import_module("cli.aging")  # brings the engine along, which only this command needs
    with _held(_existing(repo, data_dir), out) as data:
        refuse_copy(data)
        retired = aging.retire(data.path, days)
    facts = {**asdict(retired), "archive": str(data.path / ARCHIVE)}
    if out.json:
        out.envelope("db.archive", facts)
    else:
        out.fields({name: str(value) for name, value in facts.items()})
    return ExitCode.OK


def _existing(repo: Path | None, data_dir: Path | None) -> DataDir:
    """The data directory that is meant.

    Raises:
        Problem: there is no data in it.
    """
    data = DataDir.resolve(repo, data_dir)
    if is_new(data.path) and not is_unfinished(data.path):
        raise Problem(
            "There is no data yet",
            f"no database in {data.path}",
            code="no_data",
            exit_code=ExitCode.NOT_FOUND,
            hint="--repo or --data-dir name another place",
        )
    return data


@contextmanager
def _held(data: DataDir, out: Output) -> Iterator[DataDir]:
    """The data directory with its lock; says when taking that has finished an earlier restore."""
    unfinished = is_unfinished(data.path)
    with naming_full(data.path), data:
        if unfinished:
            out.note(f"a restore into {data.path} that was cut off was finished first", "yellow")
        yield data


def _problems(data: DataDir, found: list[dict[str, Any]]) -> list[str]:
    """What is wrong and what to do, each once: an unfinished restore explains what is missing."""
    told = [database["problem"] for database in found if database["problem"]]
    try:
        refuse_unfinished(data.path)
        refuse_incomplete(data.path)
        refuse_copy(data)
    except StorageError as err:
        told.append(str(err))
    return list(dict.fromkeys(told))


def _note_copy(data: DataDir, out: Output) -> None:
    """That a copy is whole does not say that it may be used."""
    try:
        refuse_copy(data)
    except RepositoryCopied as err:
        out.note(str(err), "yellow")


def _note_kept(data: DataDir, repo: Path | None, out: Output) -> None:
    """That lines of the issues' file wait for somebody to look at them."""
    published = _published(data, repo)
    if many := count_kept(published):
        lines = "1 line" if many == 1 else f"{many} lines"
        side_file = published.with_name(QUARANTINE_NAME)
        out.note(
            f"{lines} of {PUBLISHED} could not be read and lie in {side_file}; put what is worth"
            " keeping back into the file, and remove the rest",
            "yellow",
        )


def _note_unnamed(data: DataDir, out: Output) -> None:
    """A crash leaves files that no row names; nobody misses them."""
    try:
        found = unnamed(data.path, data.artifacts)
    except (StorageError, sqlite3.Error):
        return  # the database says why, as a finding
    if found.files:
        out.note(
            f"{found.files} files of artifacts are named by no row ({found.bytes} B): a server"
            " removes them after a day, `beadflow db vacuum` at once",
            "yellow",
        )


def _findings(directory: Path) -> tuple[list[Finding], list[Finding]]:
    """What is wrong with each file; with whole files, what their rows contradict, and who waits."""
    found = [finding for database in databases(directory) for finding in inspect(database)]
    if found:  # among them every file that is missing, empty or without tables
        return found, []
    root = directory / ARTIFACTS
    with kept(root), snapshot(directory) as held:
        return [*broken(held), *lacking(held["coordination"], root)], stranded(held)


def _advice(directory: Path, found: list[Finding]) -> str:
    """What to do about findings; not all that is wrong has to come from a backup."""
    try:
        refuse_incomplete(directory)
    except StorageError as err:
        return str(err)
    if all(finding.is_mended for finding in found):
        return _MENDED
    if mended := sum(finding.is_mended for finding in found):
        return f"{mended} of them {_MENDED}; for the others {_RESTORED}"
    return _RESTORED


def _finding_fields(finding: Finding) -> dict[str, str]:
    return {
        "database": finding.database,
        "table": finding.table,
        "place": finding.place,
        "what": finding.what,
    }


def _count_undoable(database: Database, to: int) -> int:
    """How many steps a rollback takes back; it refuses here, before anything is done."""
    with closing(open_reader(database.path)) as connection:
        return len(undoable(connection, database.schema, to=to))


def _refuse_unknown(version: int, name: str | None) -> None:
    newest = max(found.newest for found in databases(Path()) if name in (None, found.name))
    if version > newest:
        raise usage(f"There is no version {version}", f"the newest version is {newest}")


def _backup_before_rollback(data: DataDir, repo: Path | None) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = data.path / BACKUPS / f"before-rollback-{stamp}"
    take(data.path, _published(data, repo), target, program=_program())
    return target


def _published(data: DataDir, repo: Path | None) -> Path:
    """The issues' file of the work tree that is meant."""
    tree = data.git.work_tree if data.git else None
    return (tree or (repo or Path.cwd()).resolve()) / PUBLISHED


def _program() -> str:
    return metadata.version("beadflow")


def _file_rows(taken: Manifest) -> list[tuple[str, str, str, str]]:
    shown = [
        (name, str(file.schema_version or ""), str(file.bytes), file.sha256)
        for name, file in sorted(taken.files.items())
        if "/" not in name
    ]
    if contents := [file.bytes for name, file in taken.files.items() if "/" in name]:
        shown.append((f"{len(contents)} artifacts", "", str(sum(contents)), ""))
    return shown


def _print_steps(
    out: Output,
    shape: str,
    done: list[tuple[Database, Applied]],
    nothing: str,
    backup: str | None = None,
) -> None:
    if out.json:
        steps = [
            {"database": database.name, "version": step.version, "name": step.name}
            for database, step in done
        ]
        out.envelope(shape, steps if backup is None else {"steps": steps, "backup": backup or None})
        return
    out.table(_STEP_COLUMNS, [(d.name, str(step.version), step.name) for d, step in done])
    if backup:
        out.note(f"what was there before is in {backup}")
    if not done:
        out.note(nothing)
