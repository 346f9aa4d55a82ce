"""Reading a workflow's log: what is there, and, on request, what is still to come."""

import time
from collections.abc import Iterator
from typing import Any

from cli import printable, records, when
from cli.discovery import Source
from cli.output import Output

_PAGE = 500
_POLL_S = 1.0


def show(out: Output, source: Source, path: str, *, follow: bool) -> None:
    """Prints the log at `path`; with `follow` until the workflow there has ended."""
    if out.json and not follow:
        out.envelope("workflow.logs", list(_present(source, path, 0)))
        return
    for raw in _all(source, path) if follow else _present(source, path, 0):
        if out.json:
            out.record("workflow.log", raw)
        else:
            out.text(_line(raw))


def _present(source: Source, path: str, after: int) -> Iterator[Any]:
    """Every line after that sequence number, a page at a time."""
    while True:
        page = records.items(source.get(f"{path}/logs", {"after": after, "limit": _PAGE}))
        yield from page
        if len(page) < _PAGE:
            return
        after = records.log_line(page[-1]).seq


def _all(source: Source, path: str) -> Iterator[Any]:
    after = 0
    while True:
        # Asked before the log is read: what a workflow wrote before it ended is then never missed.
        ended = records.workflow(source.get(path)).is_final
        for raw in _present(source, path, after):
            after = records.log_line(raw).seq
            yield raw
        if ended:
            return
        time.sleep(_POLL_S)


def _line(raw: Any) -> str:
    said = records.log_line(raw)
    source = f"{said.source}: " if said.source else ""
    head = f"{when.moment(said.at)} {said.level:<7}"
    return printable.line(f"{head} {source}{said.message}")
