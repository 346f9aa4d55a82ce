"""`beadflow actors`: the running supervision tree, once, or again each second.

Only a server has a tree, so nothing here reads a store. Looking changes nothing and asks no actor,
so it works while the tree is being mended, which is when people look.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Annotated, Any, NoReturn, Protocol, Self

from cyclopts import Parameter
from rich.console import Group
from rich.live import Live
from rich.text import Text

from cli import branches, discovery, table, when
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.output import Output
from cli.problem import Problem
from cli.tree import Tree

_PATH_HELP = "Only this actor, such as root/engine, and those below."
_LIMIT_HELP = "At most so many children of one; the server shows 100 by default."
_WATCH_HELP = "Look again each second, until Ctrl-C."

_POLL_S = 1.0
_PATIENCE_S = 60.0

Answer = dict[str, Any]


def actors(
    path: Annotated[str | None, Parameter(help=_PATH_HELP)] = None,
    /,
    *,
    depth: Annotated[int | None, WHOLE, Parameter(help="At most so many levels below.")] = None,
    limit: Annotated[int | None, WHOLE, Parameter(help=_LIMIT_HELP)] = None,
    watch: Annotated[bool, Parameter(negative="", show_default=False, help=_WATCH_HELP)] = False,
    where: Where = ANYWHERE,
    out: Annotated[Output, Parameter(parse=False)],
) -> int:
    """Show the running actors, as the tree in which they supervise each other.

    With --watch a terminal is redrawn. Elsewhere the tree is printed again when
    an actor came, went or was restarted, or a message was lost; with -o json,
    each look is one line.
    """
    asked = {"path": path, "depth": depth, "limit": limit}
    params = {name: value for name, value in asked.items() if value is not None}
    with discovery.required(where, "show the actors") as client:

        def look() -> Answer:
            return client.get("/api/v1/actors", params)

        if watch:
            _watch(look, _view(out))
        answer = look()
    if out.json:
        out.envelope("actors", answer)
    else:
        _print(out, Tree.parse(answer))
    return ExitCode.OK


class _View(AbstractContextManager["_View"], Protocol):
    """Shows one look after the other; leaving it leaves the last one on the screen."""

    def show(self, answer: Answer) -> None: ...

    def note(self, text: str) -> None: ...


class _Lines:
    """One JSON line a look, or one tree whenever something happened: for pipes and files."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._shown: object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def show(self, answer: Answer) -> None:
        if self._out.json:
            self._out.record("actors", answer)
            return
        tree = Tree.parse(answer)
        if (seen := tree.happenings()) != self._shown:
            if self._shown is not None:
                self._out.text("")
            self._shown = seen
            self._out.text(when.moment(datetime.now(UTC).isoformat()))
            _print(self._out, tree)

    def note(self, text: str) -> None:
        self._out.note(text)


class _Redrawn:
    """The summary and as much of the tree as the terminal has lines for."""

    def __init__(self, out: Output) -> None:
        self._console = out.data
        self._tree: Tree | None = None
        self._live = Live(
            console=out.data, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, answer: Answer) -> None:
        self._tree = Tree.parse(answer)
        self._draw("")

    def note(self, text: str) -> None:
        self._draw(text)

    def _draw(self, note: str) -> None:
        lines = [Text(note, "yellow")] if note else []
        if self._tree is not None:
            lines += table.fields(branches.summary(self._tree))
            rows = branches.rows(self._tree.root)
            lines += table.lines(branches.COLUMNS, rows, self._console.width)
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        self._live.update(Group(*lines), refresh=True)


def _view(out: Output) -> _View:
    return _Redrawn(out) if out.is_live_data else _Lines(out)


def _watch(look: Callable[[], Answer], view: _View) -> NoReturn:
    """Looks until it is interrupted; a server that is away for a while is waited for.

    Raises:
        Problem: the server stayed away too long, or refuses.
    """
    heard_at, is_away = time.monotonic(), False
    with view:
        while True:
            try:
                view.show(look())
                heard_at, is_away = time.monotonic(), False
            except Problem as problem:
                if not problem.retryable or time.monotonic() - heard_at >= _PATIENCE_S:
                    raise
                if not is_away:
                    is_away = True
                    view.note("lost the server; trying to reach it again")
            time.sleep(_POLL_S)


def _print(out: Output, tree: Tree) -> None:
    out.table(branches.COLUMNS, branches.rows(tree.root))
    out.text("")
    out.fields(branches.summary(tree))
