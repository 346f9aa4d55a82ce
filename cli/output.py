"""Where commands write: data to stdout, everything else to stderr.

In `table` form, people read it: aligned columns, a little colour on a terminal, none in a pipe or
under NO_COLOR, and nothing cut off where nobody has a window of limited width. In `json` form,
programs read it: an envelope whose `schema` names its shape and version. Fields may be added to a
shape; a removed or changed one gets the next number.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from cli import printable, table
from cli.problem import Problem

Form = Literal["table", "json"]


class Output:
    """One command's output. Safe to use from the thread that watches."""

    def __init__(self, form: Form = "table") -> None:
        """`form` is what the user asked for with `-o`."""
        self.json = form == "json"
        self.data = _console(stderr=False)
        self.notes = _console(stderr=True)

    @property
    def is_live(self) -> bool:
        """True when notes go to a terminal that can redraw what it shows."""
        return _redraws(self.notes)

    @property
    def is_live_data(self) -> bool:
        """True when the data itself goes to such a terminal, for people."""
        return not self.json and _redraws(self.data)

    def envelope(self, shape: str, data: Any, **more: Any) -> None:
        """Writes `data` as JSON under the schema `beadflow.<shape>/1`."""
        self._json({"schema": f"beadflow.{shape}/1", "data": data, **more}, indent=2)

    def record(self, shape: str, data: Any) -> None:
        """Writes one JSON line of a stream that has no end to close an envelope with."""
        self._json({"schema": f"beadflow.{shape}/1", "data": data}, indent=None)

    def table(
        self, columns: tuple[table.Column, ...], rows: Sequence[Sequence[table.Cell]]
    ) -> None:
        width = self.data.width if self.data.file.isatty() else None
        for row in table.lines(columns, rows, width):
            self.data.print(row, soft_wrap=True)

    def fields(self, pairs: Mapping[str, str]) -> None:
        """Writes one record, a field a line; empty ones are left out."""
        for row in table.fields(pairs):
            self.data.print(row, soft_wrap=True)

    def text(self, text: str) -> None:
        """Writes several lines of data as they are, but for control characters."""
        self.data.print(Text(printable.block(text)), soft_wrap=True)

    def markdown(self, text: str) -> None:
        """Rendered for people at a terminal; the Markdown itself for everybody else."""
        if not self.data.file.isatty():
            self.text(text)
            return
        from rich.markdown import Markdown  # noqa: PLC0415 - 25 ms that few commands need

        # Without hyperlinks the target is printed beside its text, so it cannot be disguised.
        self.data.print(Markdown(printable.block(text), hyperlinks=False))

    def note(self, text: str, style: str = "") -> None:
        """Writes one line beside the data."""
        self.notes.print(Text(printable.line(text), style), soft_wrap=True)

    def refuse(self, problem: Problem) -> None:
        """Says what could not be done: to people on stderr and, in JSON form, on stdout as well."""
        self.notes.print(_error(problem), soft_wrap=True)
        if self.json:
            self._json({"error": error_object(problem)}, indent=2)

    def _json(self, value: Any, indent: int | None) -> None:
        # Pure ASCII: it survives every encoding, and no character in it can steer a terminal.
        self.data.file.write(json.dumps(value, indent=indent, ensure_ascii=True) + "\n")
        self.data.file.flush()


def error_object(problem: Problem) -> dict[str, Any]:
    """The machine's view of a problem; the same keys as the server's problem document."""
    return {
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint or None,
        "retryable": problem.retryable,
        **({"errors": list(problem.errors)} if problem.errors else {}),
    }


def _error(problem: Problem) -> Text:
    text = Text.assemble(("error: ", "bold red"), printable.line(problem.message))
    for error in problem.errors:
        text.append(f"\n  {printable.line(error)}")
    if problem.hint:
        text.append("\nhint: ", "cyan").append(printable.line(problem.hint))
    return text


def _redraws(console: Console) -> bool:
    return console.file.isatty() and not console.is_dumb_terminal


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # rich takes NO_COLOR to mean no colours but still bold; people who set it want plain text.
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        file=stream,
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )
