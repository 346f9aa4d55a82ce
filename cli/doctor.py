"""`beadflow doctor`: is everything as it should be here, and if not, what can be done.

Looking takes no lock and changes nothing, beside a server as well as without one. Comparing the
stores with each other, and with what runs, is the server's (`--reconcile`): only it knows what
runs, and repairs are its writers' work.
"""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import access, discovery, inventory, table
from cli.client import Client
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.output import Output
from cli.paths import PATH
from cli.problem import Problem
from cli.settings import Settings
from storage.agreement import is_new, refuse_incomplete
from storage.arrangement import Arrangement, mode_of
from storage.copies import refuse_copy
from storage.database import open_reader
from storage.databases import databases
from storage.errors import StorageError, plain
from storage.exchange import is_unfinished, refuse_unfinished
from storage.home import DataDir
from storage.integrity import inspect
from storage.invariants import broken, stranded
from storage.issues import queries
from storage.issues.file import PUBLISHED, QUARANTINE_NAME, count_kept
from storage.snapshot import snapshot

PATIENCE_S: Final = 620.0
"""Longer than the server tries for."""

OK: Final = "ok"
NOTE: Final = "note"
WRONG: Final = "wrong"

_RECONCILE = "Have the server compare all stores, and repair what can be."
_DRY = "With --reconcile: only tell what would be done."
_CONFIG = "The settings file to check."
_COLUMNS = (
    table.Column("what"),
    table.Column("state"),
    table.Column("found", elastic=True),
)
_FOUND = (
    table.Column("code"),
    table.Column("workflow"),
    table.Column("issue"),
    table.Column("done"),
    table.Column("what", elastic=True),
    table.Column("how", elastic=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at. `state` is "ok", "note" (nothing to do at once) or "wrong"."""

    name: str
    state: str
    found: str


def doctor(
    *,
    reconcile: Annotated[bool, Parameter(negative="", show_default=False, help=_RECONCILE)] = False,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False, help=_DRY)] = False,
    config: Annotated[
        Path | None, PATH, Parameter(env_var="WORKFLOW_CONFIG_PATH", help=_CONFIG)
    ] = None,
    where: Where = ANYWHERE,
    out: Annotated[Output, Parameter(parse=False)],
) -> int:
    """Check the settings, the data and the server; with --reconcile, mend what disagrees.

    Without --reconcile nothing is changed. The exit code is 1 when something is wrong, or
    was found and could not be repaired.
    """
    if reconcile or dry_run:
        return _reconcile(where, out, repair=not dry_run)
    checks = list(_checks(where, config))
    if out.json:
        out.envelope("doctor", [asdict(check) for check in checks])
    else:
        out.table(_COLUMNS, [(c.name, c.state, c.found) for c in checks])
    wrong = sum(check.state == WRONG for check in checks)
    out.note(f"{wrong} wrong" if wrong else "nothing is wrong", "red" if wrong else "")
    return ExitCode.FAILED if wrong else ExitCode.OK


def _reconcile(where: Where, out: Output, *, repair: bool) -> int:
    with discovery.required(where, "compare what is stored with what runs") as client:
        client.be_patient(PATIENCE_S)
        told = client.send("POST", "/api/v1/reconcile", {"repair": repair})
    if out.json:
        out.envelope("doctor.reconcile", told)
    else:
        _print(out, told)
    return ExitCode.FAILED if told["reported"] and repair else ExitCode.OK


def _print(out: Output, told: dict[str, Any]) -> None:
    rows = [
        (
            one["code"],
            one["workflow_id"] or "",
            one["issue_id"] or "",
            one["done"],
            one["what"],
            one["how"],
        )
        for one in told["data"]
    ]
    if rows:
        out.table(_FOUND, rows)
    workflows = "1 workflow" if told["looked_at"] == 1 else f"{told['looked_at']} workflows"
    found = f"{told['repaired']} repaired, {told['reported']} reported"
    out.note(f"{workflows} looked at: {found if rows else 'all stores agree'}")


# --- without changing anything


def _checks(where: Where, config: Path | None) -> Iterator[Check]:
    settings = Settings()
    try:
        settings = Settings.read(config)
        name = "the defaults" if config is None else str(config)
        yield Check(name="settings", state=OK, found=name)
    except Problem as problem:
        yield Check(name="settings", state=WRONG, found=problem.detail)
    data = DataDir.resolve(where.repo, where.data_dir)
    yield from _data(data)
    yield from _server(where)
    if not is_new(data.path) and not is_unfinished(data.path):
        yield from _databases(data)
        yield from _issues(data, where, settings)


def _data(data: DataDir) -> Iterator[Check]:
    holder = data.read_holder()
    if is_new(data.path) and not is_unfinished(data.path):
        yield Check(name="data", state=NOTE, found=f"nothing is stored in {data.path} yet")
        return
    try:
        refuse_unfinished(data.path)
        refuse_incomplete(data.path)
        refuse_copy(data)
        yield Check(name="data", state=OK, found=str(data.path))
    except StorageError as error:
        yield Check(name="data", state=WRONG, found=str(error))
    yield Check(name="lock", state=OK, found=inventory.holder_words(holder) or "nobody")
    yield from _access(data)


def _access(data: DataDir) -> Iterator[Check]:
    """Who else may read the files, and who may ask a server of them."""
    try:
        yield from _said("files", list(access.open_to_others(data)), "nobody else can read them")
        keys = access.keys_of(data)
    except (OSError, StorageError) as error:
        yield Check(name="keys", state=WRONG, found=plain(error))
        return
    if not keys.made:
        found = f"there is none yet; the first is made by: {access.MAKE_A_KEY}"
        yield Check(name="keys", state=NOTE, found=found)
    elif not keys.opens:
        found = "none opens anything: only commands of this machine get in"
        yield Check(name="keys", state=NOTE, found=found)
    else:
        yield Check(name="keys", state=OK, found="whoever comes over TCP has to show one")


def _server(where: Where) -> Iterator[Check]:
    client = discovery.server(where)
    if client is None:
        yield Check(name="server", state=NOTE, found="nobody serves; `beadflow up` does")
        return
    with client:
        yield _answer(client)


def _answer(client: Client) -> Check:
    try:
        client.be_patient(10.0)
        client.get("/health/ready")
    except Problem as problem:
        said = f"{client.base_url}: {problem.detail or problem.title}"
        return Check(name="server", state=WRONG, found=said)
    return Check(name="server", state=OK, found=client.base_url)


def _databases(data: DataDir) -> Iterator[Check]:
    whole = True
    for database in databases(data.path):
        try:
            found = [f"{one.table} {one.place}: {one.what}" for one in inspect(database)]
        except StorageError as error:
            found = [str(error)]
        whole = whole and not found
        yield from _said(f"{database.name}.db", found, "every page can be read")
    if not whole:
        return
    try:
        with snapshot(data.path) as held:
            wrong = [f"{one.place}: {one.what}" for one in broken(held)]
            waits = [f"{one.place}: {one.what}" for one in stranded(held)]
    except StorageError as error:
        yield Check(name="agreement", state=WRONG, found=str(error))
        return
    yield from _said("agreement", wrong, "the databases agree")
    for found_ in waits:
        yield Check(name="agreement", state=NOTE, found=found_)


def _said(name: str, found: list[str], else_: str) -> Iterator[Check]:
    for one in found:
        yield Check(name=name, state=WRONG, found=one)
    if not found:
        yield Check(name=name, state=OK, found=else_)


def _issues(data: DataDir, where: Where, settings: Settings) -> Iterator[Check]:
    mode = mode_of(data.git, settings.git_mode, Arrangement.read(data.path).git_mode)
    yield Check(name="git", state=OK, found=f"issues are kept in mode {mode}")
    tree = data.git.work_tree if data.git else None
    file = (tree or (where.repo or Path.cwd()).resolve()) / PUBLISHED
    if many := count_kept(file):
        found = f"{many} lines that could not be read lie in {QUARANTINE_NAME}"
        yield Check(name="file", state=NOTE, found=found)
    try:
        yield _file(data, file)
    except (OSError, StorageError) as error:
        yield Check(name="file", state=WRONG, found=plain(error))


def _file(data: DataDir, file: Path) -> Check:
    with closing(open_reader(databases(data.path)[2].path)) as connection:
        known = queries.publication(connection).known
    if not file.exists():
        if not known:
            return Check(name="file", state=NOTE, found="it was not written yet")
        return Check(name="file", state=NOTE, found=f"{file} is gone, and is written again")
    if hashlib.sha256(file.read_bytes()).hexdigest() in known:
        return Check(name="file", state=OK, found=f"{file} is what was written last")
    found = f"{file} was changed since, and is taken in by the next command"
    return Check(name="file", state=NOTE, found=found)
