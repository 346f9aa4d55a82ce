"""Reading a workflow's log: what is there, and, on request, what is still to come."""

import time
from collections.abc import Generator, Iterator
from typing import Any

from cli import printable, records, when
from cli.discovery import Source
from cli.exits import ExitCode
from cli.output import Output
from cli.problem import Problem

_PAGE = 500
_POLL_S = 1.0
_PATIENCE_S = 60.0


def show(out: Output, source: Source, path: str, *, follow: bool) -> None:
    """Prints the log at `path`; with `follow` until the workflow there has ended."""
    if out.json and not follow:
        out.envelope("workflow.logs", list(_present(source, path, 0)))
        return
    for raw in _Following(out, source, path).lines() if follow else _present(source, path, 0):
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


class _Following:
    """Every line until the workflow has ended, through whatever happens to the server."""

    def __init__(self, out: Output, source: Source, path: str) -> None:
        self._out = out
        self._source = source
        self._path = path
        self._after = 0
        self._has_heard = False
        self._away_since: float | None = None

    def lines(self) -> Iterator[Any]:
        """Raises `Problem` when the server stays away for _PATIENCE_S, or refuses."""
        has_ended = False
        while not has_ended:
            try:
                has_ended = yield from self._look()
                self._has_heard, self._away_since = True, None
            except Problem as problem:
                self._missed(problem)
            if not has_ended:
                time.sleep(_POLL_S)

    def _look(self) -> Generator[Any, None, bool]:
        # Asked before the log is read: what a workflow wrote before it ended is then never missed.
        has_ended = records.workflow(self._source.get(self._path)).is_final
        for raw in _present(self._source, self._path, self._after):
            self._after = records.log_line(raw).seq
            yield raw
        return has_ended

    def _missed(self, problem: Problem) -> None:
        """Note that there was no answer; only a server that was there is waited for."""
        if not problem.retryable or not self._has_heard:
            raise problem
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            self._out.note("lost the server; trying to reach it again")
        elif now - self._away_since >= _PATIENCE_S:
            raise _lost(problem) from problem


def _lost(problem: Problem) -> Problem:
    return Problem(
        "Lost the server while following a log",
        problem.message,
        code="unreachable",
        exit_code=ExitCode.UNREACHABLE,
        hint="the workflow goes on when the server does: follow it again then",
        retryable=True,
    )


def _line(raw: Any) -> str:
    said = records.log_line(raw)
    source = f"{said.source}: " if said.source else ""
    head = f"{when.moment(said.at)} {said.level:<7}"
    return printable.line(f"{head} {source}{said.message}")
