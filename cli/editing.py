"""`beadflow issue update …`: what changes issues that are there.

A command for several issues does each by itself: what one is refused with is told, the others are
done, and the exit code is that of the first that was refused.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import asked, desk, moments, problem, table, tracked
from cli.asked import Given, Id, Ids, Priority, Silent
from cli.author import ANYBODY, By
from cli.desk import Desk
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.making import json_object, text_of
from cli.numbers import WHOLE
from cli.output import Output, error_object
from cli.paths import PATH
from cli.problem import Problem

Reason = Annotated[str, Parameter(name=["--reason", "-r"], show_default=False, help="Why.")]
Token = Annotated[
    int | None, WHOLE, Parameter(help="The claim's: refused when it is not held any more.")
]
Force = Annotated[
    bool,
    Parameter(negative="", show_default=False, help="Do it although something speaks against it."),
]
Do = Callable[[Desk, str], list[Any]]

_HOPELESS: Final = frozenset({ExitCode.UNREACHABLE, ExitCode.CANCELLED, ExitCode.AUTH})
"""What would happen to the next request just as well."""

_CLEARS = "an empty text clears it"


def update(
    *ids: Ids,
    title: Annotated[str | None, Parameter(help="Another title.")] = None,
    kind: Annotated[str | None, Parameter(name=["--type", "-t"], help="Another type.")] = None,
    status: Annotated[str | None, Parameter(name=["--status", "-s"], help="Another state.")] = None,
    priority: Priority = None,
    description: Annotated[
        str | None, Parameter(name=["--description", "-d"], help=f"What it is about; {_CLEARS}.")
    ] = None,
    design: Annotated[str | None, Parameter(help=f"How it is to be done; {_CLEARS}.")] = None,
    acceptance: Annotated[str | None, Parameter(help=f"When it is done; {_CLEARS}.")] = None,
    notes: Annotated[str | None, Parameter(help=f"Other notes; {_CLEARS}.")] = None,
    append_notes: Annotated[str | None, Parameter(help="A paragraph more of notes.")] = None,
    assignee: Annotated[
        str | None, Parameter(name=["--assignee", "-a"], help="Whose it is; '' makes it nobody's.")
    ] = None,
    add_label: Annotated[
        tuple[str, ...], Parameter(negative="", show_default=False, help="Put these on.")
    ] = (),
    remove_label: Annotated[
        tuple[str, ...], Parameter(negative="", show_default=False, help="Take these off.")
    ] = (),
    set_labels: Annotated[
        str | None, Parameter(help="Replace all, with commas between them; '' takes all off.")
    ] = None,
    external_ref: Annotated[str | None, Parameter(help=f"Its name elsewhere; {_CLEARS}.")] = None,
    spec_id: Annotated[str | None, Parameter(help=f"Its specification; {_CLEARS}.")] = None,
    estimate: Annotated[
        int | None, WHOLE, Parameter(name=["--estimate", "-e"], help="Minutes it should take.")
    ] = None,
    due: Annotated[str | None, Parameter(help=f"Until when: 3d, 2026-12-24 …; {_CLEARS}.")] = None,
    defer_until: Annotated[
        str | None, Parameter(name="--defer", help=f"Hide it until then; {_CLEARS}.")
    ] = None,
    metadata: Annotated[str | None, Parameter(help="Another object, as JSON.")] = None,
    pinned: Annotated[
        bool | None, Parameter(negative="--unpinned", help="Whether it stays, and is no work.")
    ] = None,
    force: Force = False,
    token: Token = None,
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Change fields of issues."""
    now = datetime.now(UTC)
    texts = {
        "description": description,
        "design": design,
        "acceptance_criteria": acceptance,
        "notes": notes,
        "assignee": assignee,
        "external_ref": external_ref,
        "spec_id": spec_id,
        "due_at": moments.parse("--due", due, now) if due else due,
        "defer_until": moments.parse("--defer", defer_until, now) if defer_until else defer_until,
    }
    others = {
        "title": title,
        "issue_type": kind,
        "status": status,
        "priority": None if priority is None else asked.priority(priority),
        "labels": None if set_labels is None else asked.words((set_labels,)),
        "estimated_minutes": estimate,
        "metadata": None if metadata is None else json_object("--metadata", metadata),
        "pinned": pinned,
        "append_notes": append_notes,
        "add_labels": asked.words(add_label) or None,
        "remove_labels": asked.words(remove_label) or None,
    }
    change: dict[str, Any] = {
        name: text or None for name, text in texts.items() if text is not None
    }
    change |= {name: value for name, value in others.items() if value is not None}
    if not change:
        raise problem.usage("Nothing is to be changed", hint="beadflow issue update --help")
    body = {**change, "actor": by.name(where)}
    if force:
        body["force"] = True
    if token is not None:
        body["token"] = token

    def do(at: Desk, issue_id: str) -> list[Any]:
        return [at.send("PUT", asked.address(issue_id), body)]

    return each(ids, "update", do, where, out, silent=silent)


def close(
    *ids: Ids,
    reason: Reason = "",
    force: Force = False,
    token: Token = None,
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Close issues. One that is blocked, or that somebody else works on, is refused."""
    body: dict[str, Any] = {"actor": by.name(where), "reason": reason, "force": force}
    if token is not None:
        body["token"] = token
    return _verb(ids, "close", body, where, out, silent=silent)


def reopen(
    *ids: Ids,
    reason: Reason = "",
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Open issues again."""
    body = {"actor": by.name(where), "reason": reason}
    return _verb(ids, "reopen", body, where, out, silent=silent)


def defer(
    *ids: Ids,
    until: Annotated[str | None, Parameter(help="Until then: 3d, 2026-12-24 ….")] = None,
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Hide issues from ready work, until a time or until they are opened again."""
    body = {"actor": by.name(where)}
    if until is not None:
        body["until"] = moments.parse("--until", until, datetime.now(UTC))
    return _verb(ids, "defer", body, where, out, silent=silent)


def undefer(
    *ids: Ids, silent: Silent = False, by: By = ANYBODY, where: Where = ANYWHERE, out: Given
) -> int:
    """Offer deferred issues again. One that is not deferred is refused."""

    def do(at: Desk, issue_id: str) -> list[Any]:
        path = asked.address(issue_id)
        issue = tracked.Issue.parse(at.get(path).get("issue"))
        if issue.status != "deferred" and not issue.text("defer_until"):
            raise Problem(
                f"Issue {issue.id} is not deferred",
                f"it is {issue.status}",
                code="not_deferred",
                exit_code=ExitCode.CONFLICT,
            )
        return [at.send("POST", f"{path}/reopen", {"actor": name})]

    name = by.name(where)
    return each(ids, "undefer", do, where, out, silent=silent)


def delete(
    *ids: Ids,
    reason: Reason = "",
    cascade: Annotated[
        bool, Parameter(negative="", show_default=False, help="Delete what depends on them, too.")
    ] = False,
    force: Annotated[
        bool, Parameter(negative="", show_default=False, help="Take away the dependencies on them.")
    ] = False,
    yes: Annotated[
        bool,
        Parameter(
            name=["--yes", "-y"], negative="", show_default=False, help="Really; nobody is asked."
        ),
    ] = False,
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Delete issues. They leave a mark, and can be restored."""
    if not yes:
        raise problem.usage(
            "Deleting takes a --yes", " ".join(ids), hint="`issue close` is for what is done"
        )
    params = {
        "actor": by.name(where),
        "reason": reason,
        "cascade": str(cascade).lower(),
        "force": str(force).lower(),
    }

    def do(at: Desk, issue_id: str) -> list[Any]:
        answer = at.send("DELETE", asked.address(issue_id), params=params)
        return list(answer.get("data") or ())

    return each(ids, "delete", do, where, out, silent=silent)


def restore(
    *ids: Ids, silent: Silent = False, by: By = ANYBODY, where: Where = ANYWHERE, out: Given
) -> int:
    """Make deleted issues open ones again."""
    return _verb(ids, "restore", {"actor": by.name(where)}, where, out, silent=silent)


def comment(
    issue_id: Id,
    text: Annotated[str | None, Parameter(help="What is to be said.")] = None,
    /,
    *,
    file: Annotated[
        Path | None, PATH, Parameter(name=["--file", "-f"], help="Read it from here; - is stdin.")
    ] = None,
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Add a comment to an issue."""
    if (text is None) == (file is None):
        raise problem.usage("A comment needs one text", "give it as an argument, or with --file")
    body = {"actor": by.name(where), "text": text if file is None else text_of(file)}
    return _verb((issue_id,), "comments", body, where, out, silent=silent)


def label_add(
    issue_id: Id,
    /,
    *labels: Annotated[str, Parameter(help="Labels.")],
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Put labels on an issue."""
    body = {"actor": by.name(where), "add": _labels(labels)}
    return _labelled(issue_id, body, where, out, silent=silent)


def label_remove(
    issue_id: Id,
    /,
    *labels: Annotated[str, Parameter(help="Labels.")],
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Take labels off an issue."""
    body = {"actor": by.name(where), "remove": _labels(labels)}
    return _labelled(issue_id, body, where, out, silent=silent)


def _labelled(
    issue_id: str, body: dict[str, Any], where: Where, out: Output, *, silent: bool
) -> int:
    """Change labels, and show those it has now."""
    if silent or out.json or out.form == "csv":
        return _verb((issue_id,), "labels", body, where, out, silent=silent)
    with desk.writing(where) as at:
        issue = tracked.Issue.parse(at.send("POST", f"{asked.address(issue_id)}/labels", body))
    columns = (*tracked.COLUMNS, table.Column("labels"))
    out.table(columns, [(*issue.row, ", ".join(issue.labels) or "none")])
    return ExitCode.OK


def _labels(given: tuple[str, ...]) -> list[str]:
    named = asked.words(given)
    if not named:
        raise problem.usage("Name at least one label")
    return named


def _verb(
    ids: tuple[str, ...],
    verb: str,
    body: dict[str, Any],
    where: Where,
    out: Output,
    *,
    silent: bool,
) -> int:
    def do(at: Desk, issue_id: str) -> list[Any]:
        return [at.send("POST", f"{asked.address(issue_id)}/{verb}", body)]

    return each(ids, verb, do, where, out, silent=silent)


def each(
    ids: tuple[str, ...], shape: str, do: Do, where: Where, out: Output, *, silent: bool
) -> int:
    """Do something to each issue, and show those it was done to.

    Raises:
        Problem: it could not be done to the only one, or to no more of them.
    """
    if not ids:
        raise problem.usage("Name at least one issue", hint="`beadflow issue list` shows them")
    paths = list(dict.fromkeys(ids))
    done: list[Any] = []
    refused: list[tuple[str, Problem]] = []
    with desk.writing(where) as at:
        for issue_id in paths:
            try:
                done += do(at, issue_id)
            except Problem as err:
                if len(paths) == 1 or err.exit_code in _HOPELESS:
                    raise
                refused.append((issue_id, err))
    _show(out, shape, done, refused, silent=silent)
    return refused[0][1].exit_code if refused else ExitCode.OK


def _show(
    out: Output, shape: str, done: list[Any], refused: list[tuple[str, Problem]], *, silent: bool
) -> None:
    issues = [tracked.Issue.parse(raw) for raw in done]
    if silent:
        for issue in issues:
            out.text(issue.id)
    elif out.json:
        errors = [{"id": issue_id, **error_object(err)} for issue_id, err in refused]
        out.envelope(f"issue.{shape}", done, **({"errors": errors} if errors else {}))
    else:
        tracked.listed(out, issues)
    for issue_id, err in refused:
        out.note(f"{issue_id} was refused:", "bold")
        out.complain(err)
