"""`beadflow audit`: who did what, or was refused what."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from cli import discovery, problem, records, table, when
from cli.client import Client
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.output import Output
from cli.problem import Problem

AUDIT: Final = "/api/v1/audit"
PAGE: Final = 200
LIMIT: Final = 100
VERIFY_S: Final = 310.0

_COLUMNS: Final = (
    table.Column("seq", right=True),
    table.Column("at"),
    table.Column("actor"),
    table.Column("action"),
    table.Column("outcome", toned=True),
    table.Column("from"),
    table.Column("target", elastic=True),
    table.Column("detail", elastic=True),
)
_VERIFY_HELP: Final = "Compute the whole chain again; the exit code is 1 where it is broken."


def audit(
    *,
    user: Annotated[str | None, Parameter(help="Only what this user asked.")] = None,
    action: Annotated[str | None, Parameter(help="Only this, such as key.create.")] = None,
    outcome: Annotated[
        Literal["allowed", "refused", "done"] | None, Parameter(help="Only what ended so.")
    ] = None,
    after: Annotated[int, WHOLE, Parameter(help="Only lines after this number.")] = 0,
    limit: Annotated[
        int, WHOLE, Parameter(name=["--limit", "-n"], help="At most so many.")
    ] = LIMIT,
    verify: Annotated[bool, Parameter(negative="", show_default=False, help=_VERIFY_HELP)] = False,
    where: Where = ANYWHERE,
    out: Annotated[Output, Parameter(parse=False)],
) -> int:
    """Show the audit log, oldest first, or see whether somebody has changed it."""
    wanted = {"actor": user, "action": action, "outcome": outcome}
    narrowed = {name: value for name, value in wanted.items() if value is not None}
    if limit < 1:
        raise problem.usage("--limit is 1 or more", str(limit))
    with discovery.required(where, "show the audit log") as client:
        if verify:
            if narrowed or after or limit != LIMIT:
                raise problem.usage("--verify looks at all lines; leave the other options out")
            return _verified(client, out)
        found, more = _lines(client, {**narrowed, "after": after}, limit)
    if out.json:
        out.envelope("audit", found, next_after=more)
        return ExitCode.OK
    out.table(_COLUMNS, [_row(records.mapping(raw, "a line of the audit log")) for raw in found])
    if not found:
        out.note("no lines")
    if more is not None:
        out.note(f"there are more: --after {more}")
    return ExitCode.OK


def _lines(
    client: Client, params: dict[str, str | int], limit: int
) -> tuple[list[Any], int | None]:
    """So many lines, and the number after which there are more; None when there are not."""
    found: list[Any] = []
    while True:
        answer = client.get(AUDIT, {**params, "limit": min(PAGE, limit - len(found))})
        found += records.items(answer)
        more = records.whole(answer, "next_after")
        if more is None or len(found) >= limit:
            return found, more
        params = {**params, "after": more}


def _verified(client: Client, out: Output) -> int:
    client.be_patient(VERIFY_S)
    verdict = records.mapping(client.get(f"{AUDIT}/verify"), "a verdict on the audit log")
    broken = records.whole(verdict, "broken_at")
    if out.json:
        out.envelope("audit.verify", verdict)
    else:
        fields = {name: records.text(verdict, name) for name in ("records", "head")}
        out.fields({"chain": "whole" if broken is None else "broken", **fields})
    if broken is None:
        return ExitCode.OK
    out.complain(
        Problem(
            f"The audit log does not hold from line {broken} on",
            records.text(verdict, "why"),
            code="audit_broken",
            exit_code=ExitCode.FAILED,
            hint="somebody has changed the database: compare it with a backup",
        )
    )
    return ExitCode.FAILED


def _row(line: Mapping[str, Any]) -> tuple[str, ...]:
    detail = line.get("detail")
    return (
        str(records.whole(line, "seq")),
        when.moment(records.text(line, "at")),
        records.text(line, "actor"),
        records.text(line, "action"),
        records.text(line, "outcome"),
        records.text(line, "address"),
        records.text(line, "target"),
        json.dumps(detail, ensure_ascii=False) if detail else "",
    )
