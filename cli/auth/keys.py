"""`beadflow auth key …`: API keys, with a server or without one.

A new key is shown once. It goes to standard output, or into a file of its owner's alone, and
nowhere else.
"""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from cli import moments, problem, records, table, when
from cli.auth import desk
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.output import Output
from cli.paths import PATH
from cli.problem import Problem
from storage.errors import plain

KEYS: Final = "/api/v1/auth/keys"

Given = Annotated[Output, Parameter(parse=False)]
Role = Literal["admin", "operator", "viewer", "agent"]

_ID: Final = re.compile(r"[A-Za-z0-9]+", re.ASCII)
_ROLE_HELP: Final = "What they may do; may be given several times."
_SCOPE_HELP: Final = "Only this of what the roles may do, such as issue:read; several times."
_NAME_HELP: Final = "What it is for, to tell it from others."
_EXPIRES_HELP: Final = "When it ends: 30d, 1y, 2026-12-24; never without."
_TO_HELP: Final = "Write the key into this new file instead, readable by you alone."

_COLUMNS: Final = (
    table.Column("id"),
    table.Column("user"),
    table.Column("roles"),
    table.Column("state", toned=True),
    table.Column("used"),
    table.Column("ends"),
    table.Column("scopes", elastic=True),
    table.Column("name", elastic=True),
)


def create(
    *,
    user: Annotated[str, Parameter(help="Whose it is; what they do is told in this name.")],
    role: Annotated[tuple[Role, ...], Parameter(negative="", show_default=False, help=_ROLE_HELP)],
    scope: Annotated[
        tuple[str, ...], Parameter(negative="", show_default=False, help=_SCOPE_HELP)
    ] = (),
    name: Annotated[str | None, Parameter(help=_NAME_HELP)] = None,
    expires: Annotated[str | None, Parameter(help=_EXPIRES_HELP)] = None,
    to: Annotated[Path | None, PATH, Parameter(help=_TO_HELP)] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Make an API key. It is shown now, and never again."""
    body: dict[str, Any] = {"user_id": user, "roles": list(dict.fromkeys(role))}
    if scope:
        body["scopes"] = list(dict.fromkeys(scope))
    if name is not None:
        body["name"] = name
    if (ends := moments.given("--expires", expires, datetime.now(UTC))) is not None:
        body["expires_at"] = ends
    file = None if to is None else _opened(to)
    try:
        with desk.keys(where) as keeper:
            made = records.mapping(keeper.send("POST", KEYS, body), "an API key")
            secret = records.required(made, "secret", "an API key")
            if file is not None:
                os.write(file, f"{secret}\n".encode())
                os.fsync(file)
    except BaseException:
        if to is not None:
            to.unlink(missing_ok=True)
        raise
    finally:
        if file is not None:
            os.close(file)
    _show(out, made, to)
    return ExitCode.OK


def _opened(path: Path) -> int:
    """A new file, before there is a key that would have no place."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as err:
        raise problem.usage(
            "There is a file of that name", str(path), hint="name one that is not there"
        ) from err
    except OSError as err:
        raise problem.usage("The file cannot be made", f"{path}: {plain(err)}") from err


def _show(out: Output, made: Mapping[str, Any], to: Path | None) -> None:
    shown = dict(made)
    if to is not None:
        del shown["secret"]
        shown["file"] = str(to)
    if out.json:
        out.envelope("auth.key.create", shown)
        return
    secret = {"key": records.text(shown, "secret"), "file": records.text(shown, "file")}
    out.fields({**_fields(shown), **secret})
    if to is None:
        out.note("keep it well: it is not shown again (WORKFLOW_API_KEY or --key-file use it)")


def list_(
    *,
    user: Annotated[str | None, Parameter(help="Only those of this user.")] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """List the API keys, the newest first. None of them is shown."""
    params = {} if user is None else {"user_id": user}
    with desk.keys(where) as keeper:
        found = records.items(keeper.get(KEYS, params))
    if out.json:
        out.envelope("auth.key.list", found)
        return ExitCode.OK
    keys = [records.mapping(raw, "an API key") for raw in found]
    out.table(_COLUMNS, [_row(key) for key in keys])
    if not keys:
        out.note("no keys")
    return ExitCode.OK


def revoke(
    *key_id: Annotated[str, Parameter(name="ID", help="The key's id; `auth key list` shows them.")],
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """End API keys, and the tokens that they gave, at once. A key that has ended stays ended."""
    if not key_id:
        raise problem.usage("Which key is meant?", hint="`beadflow auth key list` shows them")
    for each in key_id:
        if not _ID.fullmatch(each):
            raise problem.usage("That is no id of a key", hint="`beadflow auth key list` has them")
    ended: list[Mapping[str, Any]] = []
    refused: list[Problem] = []
    with desk.keys(where) as keeper:
        for each in key_id:
            try:
                answer = keeper.send("DELETE", f"{KEYS}/{each}")
            except Problem as err:
                refused.append(err)
                out.complain(err)
            else:
                ended.append(records.mapping(answer, "an API key"))
    if out.json:
        out.envelope("auth.key.revoke", ended)
    else:
        out.table(_COLUMNS, [_row(key) for key in ended])
    return refused[0].exit_code if refused else ExitCode.OK


def _fields(key: Mapping[str, Any]) -> dict[str, str]:
    return {
        "id": records.text(key, "id"),
        "user": records.text(key, "user_id"),
        "roles": _words(key.get("roles")),
        "scopes": _words(key.get("scopes")),
        "name": records.text(key, "name"),
        "ends": when.moment(records.text(key, "expires_at")),
    }


def _row(key: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        records.text(key, "id"),
        records.text(key, "user_id"),
        _words(key.get("roles")),
        _state(key),
        when.moment(records.text(key, "last_used_at")) or "never",
        when.moment(records.text(key, "expires_at")) or "never",
        _words(key.get("scopes")),
        records.text(key, "name"),
    )


def _state(key: Mapping[str, Any]) -> str:
    if records.text(key, "revoked_at"):
        return "revoked"
    ends = when.parse(records.text(key, "expires_at"))
    return "ended" if ends is not None and ends <= datetime.now(UTC) else "active"


def _words(found: object) -> str:
    return " ".join(str(each) for each in found) if isinstance(found, list) else ""
