"""Aligned columns and fields, as lines.

Widths are counted in terminal cells, not in characters. Only columns that are marked `elastic` are
ever cut, and only when a width is given, that is on a terminal: identifiers are there to be copied,
and a pipe has no edge.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from cli import printable

_GAP = "  "
_LEAST = 12  # an elastic column narrower than this says nothing; then lines may wrap instead

# Colour marks only what asks for attention; the usual states stay plain.
_TONES = {
    "active": "cyan",
    "paused": "yellow",
    "stalled": "yellow",
    "blocked": "yellow",
    "in_progress": "cyan",
    "restarting": "yellow",
    "stopping": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "terminated": "red",
    "dead_letter": "red",
    "differs": "red",
    "fails": "red",
    "unrunnable": "red",
    "ERROR": "red",
    "WARNING": "yellow",
    "error": "red",
    "warning": "yellow",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A heading.

    Attributes:
        elastic: gives way on a narrow terminal.
        toned: colours states and levels.
        right: aligns at the right, as numbers are.
    """

    title: str
    elastic: bool = False
    toned: bool = False
    right: bool = False


Cell = str | Text
"""Text from elsewhere, which is made safe to print; or a `Text` that is so already."""


def tone(state: str) -> str:
    """The style of a state; empty for one that needs no attention."""
    return _TONES.get(state, "")


def lines(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int | None = None
) -> Iterator[Text]:
    """The heading and the rows. Nothing at all without rows."""
    if not rows:
        return
    cells = [[_safe(cell) for cell in row] for row in rows]
    heading = [Text(column.title.upper(), "bold") for column in columns]
    widths = _widths(columns, [heading, *cells], width)
    yield _line(columns, heading, widths)
    for row in cells:
        for column, cell in zip(columns, row, strict=True):
            if column.toned:
                cell.stylize(tone(cell.plain))
        yield _line(columns, row, widths)


def fields(pairs: Mapping[str, str]) -> Iterator[Text]:
    """One line for each pair with a value."""
    widest = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        if text := printable.line(value):
            yield Text.assemble((f"{name:<{widest}}", "dim"), _GAP, (text, tone(text)))


def _safe(cell: Cell) -> Text:
    return cell.copy() if isinstance(cell, Text) else Text(printable.line(cell))


def _widths(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int | None
) -> list[int]:
    widths = [max(row[index].cell_len for row in rows) for index in range(len(columns))]
    if width is None:
        return widths
    over = sum(widths) + len(_GAP) * (len(columns) - 1) - width
    for index, column in enumerate(columns):
        if column.elastic and over > 0:
            narrower = max(_LEAST, widths[index] - over)
            over -= max(widths[index] - narrower, 0)
            widths[index] = min(widths[index], narrower)
    return widths


def _line(columns: Sequence[Column], cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for index, (column, cell, width) in enumerate(zip(columns, cells, widths, strict=True)):
        cell.truncate(width, overflow="ellipsis")
        cell.align("right" if column.right else "left", width)
        line.append(_GAP if index else "").append_text(cell)
    line.rstrip()
    return line
