"""Where commands write: data to stdout, everything else to stderr.

In `table` form, people read it: aligned columns, a little colour on a terminal, none in a pipe or
under NO_COLOR, and nothing cut off where nobody has a window of limited width. `csv` is the same
columns for a spreadsheet. In `json` form, programs read it: an envelope whose `schema` names its
shape and version. Fields may be added to a shape; a removed or changed one gets the next number.
`yaml` is the same envelope; `jsonl` has one for each item of a list, a line each.
"""

import csv
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from cli import printable, table, yaml
from cli.problem import Problem

Form = Literal["table", "json", "yaml", "jsonl", "csv"]


class Output:
    """One command's output. Safe to use from the thread that watches."""

    def __init__(self, form: Form = "table") -> None:
        """`form` is what the user asked for with `-o`. `json` is set for all that programs read."""
        self.form = form
        self.json = form in {"json", "yaml", "jsonl"}
        self.data = _console(stderr=False)
        self.notes = _console(stderr=True)

    @property
    def is_live(self) -> bool:
        """True when notes go to a terminal that can redraw what it shows."""
        return _redraws(self.notes)

    @property
    def is_live_data(self) -> bool:
        """True when the data itself goes to such a terminal, for people."""
        return self.form == "table" and _redraws(self.data)

    def envelope(self, shape: str, data: Any, **more: Any) -> None:
        """Writes `data` under the schema `beadflow.<shape>/1`, for programs.

        Where a list becomes lines, `more` is a last line of its own, without `data`.
        """
        schema = {"schema": f"beadflow.{shape}/1"}
        if self.form != "jsonl" or not isinstance(data, list):
            self._write({**schema, "data": data, **more})
            return
        for item in data:
            self._write({**schema, "data": item})
        if any(value is not None for value in more.values()):
            self._write({**schema, **more})

    def record(self, shape: str, data: Any) -> None:
        """Writes one line of a stream that has no end to close an envelope with."""
        if self.form == "yaml":
            self._raw("---\n")
            self._write({"schema": f"beadflow.{shape}/1", "data": data})
        else:
            self._json({"schema": f"beadflow.{shape}/1", "data": data}, indent=None)

    def table(
        self, columns: tuple[table.Column, ...], rows: Sequence[Sequence[table.Cell]]
    ) -> None:
        if self.form == "csv":
            self._raw(
                _csv([column.title for column in columns], rows, safe=self.data.file.isatty())
            )
            return
        width = self.data.width if self.data.file.isatty() else None
        for row in table.lines(columns, rows, width):
            self.data.print(row, soft_wrap=True)

    def fields(self, pairs: Mapping[str, str]) -> None:
        """Writes one record, a field a line; empty ones are left out, but not of a `csv`."""
        if self.form == "csv":
            self._raw(_csv(list(pairs), [list(pairs.values())], safe=self.data.file.isatty()))
            return
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
        self.complain(problem)
        if self.json:
            self._write({"error": error_object(problem)})

    def complain(self, problem: Problem) -> None:
        """Says it to people only, for a command that did other things, which are its data."""
        self.notes.print(_error(problem), soft_wrap=True)

    def _write(self, value: dict[str, Any]) -> None:
        if self.form == "yaml":
            self._raw(yaml.dump(value))
        else:
            self._json(value, indent=None if self.form == "jsonl" else 2)

    def _json(self, value: Any, indent: int | None) -> None:
        # Pure ASCII: it survives every encoding, and no character in it can steer a terminal.
        self._raw(json.dumps(value, indent=indent, ensure_ascii=True) + "\n")

    def _raw(self, text: str) -> None:
        self.data.file.write(text)
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
    # What only repeats the sentence above, with the field's place in the request, is for programs.
    for error in (each for each in problem.errors if not each.endswith(f": {problem.message}")):
        text.append(f"\n  {printable.line(error)}")
    if problem.hint:
        text.append("\nhint: ", "cyan").append(printable.line(problem.hint))
    return text


def _csv(heading: Sequence[str], rows: Sequence[Sequence[table.Cell]], *, safe: bool) -> str:
    """Cells as they are, so that they can be read again; `safe` for a terminal."""
    cell = _safe if safe else _plain
    written = io.StringIO()
    usual = csv.writer(written, lineterminator="\n")
    quoted = csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in (heading, *([cell(each) for each in row] for row in rows)):
        # Python leaves a carriage return bare, which readers take for the end of a line.
        (quoted if any("\r" in each for each in row) else usual).writerow(row)
    return written.getvalue()


def _plain(cell: table.Cell) -> str:
    return cell if isinstance(cell, str) else cell.plain


def _safe(cell: table.Cell) -> str:
    return printable.line(_plain(cell))


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
