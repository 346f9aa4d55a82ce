"""`beadflow issue create`: a new issue, from options or with its description from a file."""

import json
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import asked, desk, moments, problem, tracked
from cli.asked import Given, Priority, Silent
from cli.author import ANYBODY, By
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.paths import PATH

_LABELS_HELP = "Labels, with commas between them or given again."
_DEPS_HELP = "What it depends on: type:id or id, with commas; an id alone blocks it."
_BODY_HELP = "Read the description from this file; - is standard input."
_LARGEST: Final = 1024 * 1024
_EXTERNAL: Final = "external"


def create(
    title: Annotated[str, Parameter(help="What is to be done.")],
    /,
    *,
    kind: Annotated[
        str | None, Parameter(name=["--type", "-t"], help="bug, feature, task, epic, chore ….")
    ] = None,
    priority: Priority = None,
    description: Annotated[
        str | None, Parameter(name=["--description", "-d"], help="What it is about.")
    ] = None,
    body_file: Annotated[Path | None, PATH, Parameter(help=_BODY_HELP)] = None,
    design: Annotated[str | None, Parameter(help="How it is to be done.")] = None,
    acceptance: Annotated[str | None, Parameter(help="When it counts as done.")] = None,
    notes: Annotated[str | None, Parameter(help="Anything else.")] = None,
    assignee: Annotated[
        str | None, Parameter(name=["--assignee", "-a"], help="Whose it is.")
    ] = None,
    labels: Annotated[
        tuple[str, ...],
        Parameter(name=["--labels", "-l"], negative="", show_default=False, help=_LABELS_HELP),
    ] = (),
    parent: Annotated[str | None, Parameter(help="The issue that it is a part of.")] = None,
    deps: Annotated[
        tuple[str, ...], Parameter(negative="", show_default=False, help=_DEPS_HELP)
    ] = (),
    chosen: Annotated[str | None, Parameter(name="--id", help="Its id, if you choose one.")] = None,
    external_ref: Annotated[str | None, Parameter(help="Its name elsewhere, such as gh-9.")] = None,
    spec_id: Annotated[str | None, Parameter(help="The specification it belongs to.")] = None,
    estimate: Annotated[
        int | None, WHOLE, Parameter(name=["--estimate", "-e"], help="Minutes it should take.")
    ] = None,
    due: Annotated[str | None, Parameter(help="Until when: 3d, 2026-12-24 ….")] = None,
    defer: Annotated[str | None, Parameter(help="Hide it from ready work until then.")] = None,
    metadata: Annotated[str | None, Parameter(help="An object of your own, as JSON.")] = None,
    ephemeral: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Keep it here only: it is never published."
        ),
    ] = False,
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Create an issue."""
    now = datetime.now(UTC)
    fields = {
        "title": title,
        "issue_type": kind,
        "priority": None if priority is None else asked.priority(priority),
        "description": _described(description, body_file),
        "design": design,
        "acceptance_criteria": acceptance,
        "notes": notes,
        "assignee": assignee,
        "labels": asked.words(labels) or None,
        "parent": parent,
        "depends_on": [_dependency(word) for word in asked.words(deps)] or None,
        "id": chosen,
        "external_ref": external_ref,
        "spec_id": spec_id,
        "estimated_minutes": estimate,
        "due_at": None if due is None else moments.parse("--due", due, now),
        "defer_until": None if defer is None else moments.parse("--defer", defer, now),
        "metadata": None if metadata is None else json_object("--metadata", metadata),
        "ephemeral": ephemeral or None,
        "actor": by.name(where),
    }
    body = {name: value for name, value in fields.items() if value is not None}
    with desk.writing(where) as at:
        raw = at.send("POST", desk.ISSUES, body, key=str(uuid.uuid4()))
    issue = tracked.Issue.parse(raw)
    if silent:
        out.text(issue.id)
    elif out.json:
        out.envelope("issue.create", raw)
    else:
        out.fields(tracked.facts(issue))
    return ExitCode.OK


def json_object(option: str, text: str) -> dict[str, Any]:
    """What an option gives as a JSON object.

    Raises:
        Problem: (usage) it is none.
    """
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()  # as it will be sent
    except (ValueError, RecursionError) as err:
        raise problem.usage(f"What {option} gives is not JSON", str(err)) from err
    if not isinstance(found, dict):
        raise problem.usage(f"What {option} gives is no JSON object", text)
    return found


def text_of(path: Path) -> str:
    """A file's text, or what standard input holds where the path is `-`."""
    raw = sys.stdin.buffer.read(_LARGEST + 1) if str(path) == "-" else path.read_bytes()
    if len(raw) > _LARGEST:
        raise problem.usage("That text is too long", f"{path} holds more than 1 MiB")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as err:
        raise problem.usage("That is no text in UTF-8", str(path)) from err


def _described(description: str | None, body_file: Path | None) -> str | None:
    if body_file is None:
        return description
    if description is not None:
        raise problem.usage("One description is enough", "--description and --body-file")
    return text_of(body_file)


def _dependency(word: str) -> dict[str, str]:
    kind, colon, other = word.partition(":")
    if not colon or kind == _EXTERNAL:
        return {"id": word}
    return {"type": kind, "id": other}
