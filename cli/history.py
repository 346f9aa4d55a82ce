"""A workflow's history: as data, or as a timeline with one line for each event."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

from cyclopts import App, Parameter

from cli import discovery, one, printable, records, when
from cli.discovery import ANYWHERE, Source, Where
from cli.exits import ExitCode
from cli.one import Id
from cli.output import Output
from cli.records import HistoryEvent

Given = Annotated[Output, Parameter(parse=False)]

_PAGE = 200
_RESULT_CHARACTERS = 60


def register(app: App) -> None:
    """Put the command of this module into the group `beadflow workflow`."""
    app.command(history, help_epilogue="Example:\n\n  beadflow workflow history wf-7k2m")


def history(workflow_id: Id, /, *, where: Where = ANYWHERE, out: Given) -> int:
    """Print what the engine has recorded of a workflow, as a timeline.

    Each line is one event: how long after the beginning, its number, its kind,
    and what it is about. With -o json the events are whole.
    """
    path = one.path(workflow_id)
    with discovery.source(where) as source:
        show(out, source, path)
    return ExitCode.OK


def show(out: Output, source: Source, path: str) -> None:
    """Prints the history of the workflow at `path`, from its beginning."""
    if out.json:
        out.envelope("workflow.history", list(_events(source, path)))
        return
    began: datetime | None = None
    for raw in _events(source, path):
        event = records.history_event(raw)
        at = when.parse(event.at)
        began = began or at
        out.text(line(event, began))


def line(event: HistoryEvent, began: datetime | None) -> str:
    """One event: how long after the beginning, its number, what it says, and of what."""
    at = when.parse(event.at)
    since = "" if at is None or began is None else f"+{when.duration((at - began).total_seconds())}"
    parts = (event.op, event.name, _detail(event.payload))
    about = printable.line(" ".join(part for part in parts if part))
    return f"{since:>8} {event.seq:>5}  {printable.line(event.kind):<25} {about}".rstrip()


def _events(source: Source, path: str) -> Iterator[Any]:
    after: int | None = 0
    while after is not None:
        page = source.get(f"{path}/history", {"after": after, "limit": _PAGE})
        yield from records.items(page)
        after = records.whole(page, "next_after")


def _detail(payload: object) -> str:
    """What matters most of what an event holds; `-o json` has all of it."""
    if not isinstance(payload, Mapping):
        return ""
    failure = ": ".join(records.text(payload, key) for key in ("code", "message") if key in payload)
    attempt = records.text(payload, "attempt")
    parts = (
        f"attempt {attempt}" if attempt else "",
        records.text(payload, "agent_id"),
        records.text(payload, "workflow_id"),
        failure,
        records.text(payload, "reason"),
        _until(payload),
        _result(payload),
    )
    return ", ".join(part for part in parts if part)


def _until(payload: Mapping[str, Any]) -> str:
    """When a timer ends, or the next attempt begins."""
    moment = records.text(payload, "fire_at") or records.text(payload, "next_at")
    return f"until {when.moment(moment)}" if moment else ""


def _result(payload: Mapping[str, Any]) -> str:
    if payload.get("result") is None:
        return ""
    text = json.dumps(payload["result"], ensure_ascii=False)
    short = text if len(text) <= _RESULT_CHARACTERS else f"{text[: _RESULT_CHARACTERS - 1]}…"
    return f"→ {short}"
