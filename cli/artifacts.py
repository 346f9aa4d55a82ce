"""`beadflow workflow artifacts` and `workflow artifact …`: the files of a workflow."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final
from urllib.parse import quote

from cyclopts import App, Parameter

from cli import discovery, one, problem, records, table, when
from cli.client import Client
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.one import Id
from cli.output import Output
from cli.paths import PATH, named
from cli.problem import Problem
from cli.results import pages
from storage import artifact_names, regular
from storage import artifacts as contents
from storage.home import DataDir

Given = Annotated[Output, Parameter(parse=False)]
Name = Annotated[str, Parameter(name="NAME", help="The artifact's name.")]

PATIENCE_S: Final = 600.0
"""For the answer to a file that was sent: the server writes it to its disk first."""

_TO_HELP = "Where to write it, `-` for standard output; by default the last part of its name, here."
_FORCE_HELP = "Replace the file that is there."
_LATEST_HELP = "Only the newest version of each."
_NAME_HELP = "What it is to be called; by default what the file is called."
_KIND_HELP = "Its media type; by default the name says it."
_COLUMNS = (
    table.Column("name"),
    table.Column("version", right=True),
    table.Column("bytes", right=True),
    table.Column("type"),
    table.Column("step"),
    table.Column("created"),
    table.Column("sha256"),
)

app = App(
    name="artifact",
    help="Read and store the files of a workflow.",
    help_epilogue="Example:\n\n  beadflow workflow artifact get wf-7k2m report.md --to -",
)


def register(group: App) -> None:
    """Put the commands of this module into the group `beadflow workflow`."""
    group.command(artifacts, help_epilogue="Example:\n\n  beadflow workflow artifacts wf-7k2m")
    group.command(app)


def artifacts(
    workflow_id: Id,
    /,
    *,
    step: Annotated[str | None, Parameter(help="Only those of this step.")] = None,
    latest: Annotated[bool, Parameter(negative="", show_default=False, help=_LATEST_HELP)] = False,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """List the files of a workflow."""
    asked = {"step": step, "latest": "true" if latest else None}
    params = {name: value for name, value in asked.items() if value is not None}
    with discovery.source(where) as source:
        found = list(pages(source, f"{one.path(workflow_id)}/artifacts", params))
    if out.json:
        out.envelope("workflow.artifacts", found)
        return ExitCode.OK
    out.table(_COLUMNS, [_row(raw) for raw in found])
    if not found:
        out.note("no artifacts")
    return ExitCode.OK


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "  beadflow workflow artifact get wf-7k2m out/report.md\n\n"
        "  beadflow workflow artifact get wf-7k2m log.txt --version 1 --to - | less"
    )
)
def get(
    workflow_id: Id,
    name: Name,
    /,
    *,
    to: Annotated[Path | None, PATH, Parameter(allow_leading_hyphen=True, help=_TO_HELP)] = None,
    version: Annotated[int | None, WHOLE, Parameter(help="By default the newest.")] = None,
    force: Annotated[bool, Parameter(negative="", show_default=False, help=_FORCE_HELP)] = False,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Read a file of a workflow.

    It is verified against its hash before it has its name.
    """
    place = f"{one.path(workflow_id)}/artifacts"
    last = _name(name).rpartition("/")[2]
    target = named(Path(last) if to is None else to)
    with _written(target, is_stdout=str(to) == "-", force=force) as write:
        client = discovery.server(where)
        if client is None:
            _read_here(where, place, name, version, write)
        else:
            with client:
                params = {} if version is None else {"version": version}
                _verified(client, f"{place}/{quote(name)}", params, write)
    if str(to) != "-":
        if out.json:
            out.envelope("workflow.artifact.get", {"file": str(target)})
        else:
            out.fields({"file": str(target)})
    return ExitCode.OK


@app.command(
    help_epilogue="Example:\n\n  beadflow workflow artifact put wf-7k2m build.log --name out/1.log"
)
def put(
    workflow_id: Id,
    file: Annotated[Path, PATH, Parameter(name="FILE", help="The file.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help=_NAME_HELP)] = None,
    kind: Annotated[str | None, Parameter(name="--type", help=_KIND_HELP)] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Store a file with a workflow.

    It is on the server's disk when the command ends. The same file twice is one version.
    """
    source = named(file)
    called = _name(source.name if name is None else name)
    target = f"{one.path(workflow_id)}/artifacts/{quote(called)}"
    with discovery.required(where, "store the file") as client, regular.reading(source) as opened:
        client.be_patient(PATIENCE_S)
        made = client.upload(target, opened, kind)
    if out.json:
        out.envelope("workflow.artifact.put", made)
        return ExitCode.OK
    shown = ("name", "version", "size", "media_type", "sha256")
    out.fields({field: records.text(made, field) for field in shown})
    return ExitCode.OK


def _name(given: str) -> str:
    """A client would make another address of some names before anybody could refuse them."""
    why = artifact_names.objection(given)
    if why is not None:
        raise problem.usage("That is no name of an artifact", f"the name of an artifact {why}")
    return given


def _verified(
    client: Client, path: str, params: dict[str, int], write: Callable[[bytes], object]
) -> None:
    """Read a file from the server, and refuse one that is not what its tag says."""
    digest = hashlib.sha256()

    def take(piece: bytes) -> None:
        digest.update(piece)
        write(piece)

    tag = client.download(path, params, take)
    if tag != f'"{digest.hexdigest()}"':
        raise _damaged("what came is not what the server said")


def _read_here(
    where: Where,
    place: str,
    name: str,
    version: int | None,
    write: Callable[[bytes], object],
) -> None:
    """Read a file from the data directory, when nobody serves."""
    found = [
        fields
        for fields in pages(discovery.Stores(where), place, {})
        if records.text(fields, "name") == name and version in (None, fields["version"])
    ]
    if not found:
        raise Problem(
            "There is no such artifact",
            name if version is None else f"{name} version {version}",
            code="not_found",
            exit_code=ExitCode.NOT_FOUND,
            hint="`beadflow workflow artifacts ID` lists them",
        )
    root = DataDir.resolve(where.repo, where.data_dir).artifacts
    with contents.opened(root, found[-1]["sha256"], found[-1]["size"]) as content:
        offset = 0
        while piece := content.read(offset, contents.CHUNK_BYTES):
            write(piece)
            offset += len(piece)


@contextmanager
def _written(target: Path, *, is_stdout: bool, force: bool) -> Iterator[Callable[[bytes], object]]:
    """Where the file goes: one beside its place first, so that it is there whole or not at all."""
    if is_stdout:
        yield _stdout().write
        _stdout().flush()
        return
    if os.path.lexists(target) and not force:
        raise Problem(
            "The file is there already",
            str(target),
            code="file_exists",
            exit_code=ExitCode.CONFLICT,
            hint="--to names another place, --force replaces it",
        )
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    except OSError as error:
        error.filename = str(target)  # not the one beside it, which nobody has named
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file.write
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _stdout() -> BinaryIO:
    return sys.stdout.buffer


def _damaged(detail: str) -> Problem:
    return Problem(
        "The file was damaged on its way",
        detail,
        code="artifact_damaged",
        exit_code=ExitCode.FAILED,
        hint="try again",
        retryable=True,
    )


def _row(raw: Any) -> tuple[str, ...]:
    fields = records.mapping(raw, "an artifact")
    kind, created = records.text(fields, "media_type"), records.text(fields, "created_at")
    return (
        records.text(fields, "name"),
        records.text(fields, "version"),
        records.text(fields, "size"),
        kind,
        records.text(fields, "step"),
        when.moment(created),
        records.text(fields, "sha256")[:12],
    )
