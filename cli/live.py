"""How a watched workflow is shown: redrawn in place on a terminal, one line an event elsewhere.

Both write beside the data, to stderr, so that what a command leaves on stdout is its result alone.
"""

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli import printable, table, when
from cli.output import Output
from cli.progress import Progress, Step, describe
from cli.records import Event, Workflow

_AROUND = 6  # terminal rows kept for the header, the log line and what was there before
_GLYPHS = {
    "running": ("◐", "cyan"),
    "retrying": ("◐", "yellow"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("⊘", "dim"),
}


class View(AbstractContextManager["View"], Protocol):
    """Shows one workflow while it runs; leaving it leaves the last state on the screen."""

    def show(self, workflow: Workflow, progress: Progress) -> None: ...

    def happened(self, event: Event) -> None: ...

    def note(self, text: str) -> None: ...


class Lines:
    """One line an event, with its own time: for pipes, logs and simple terminals."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def show(self, workflow: Workflow, progress: Progress) -> None:
        pass

    def happened(self, event: Event) -> None:
        self._out.note(describe(event))

    def note(self, text: str) -> None:
        self._out.note(text)


class Redrawn:
    """The title, the steps and the last log line, drawn four times a second."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._shown: tuple[Workflow, Progress] | None = None
        self._live = Live(
            console=out.notes,
            get_renderable=self._draw,
            redirect_stdout=False,
            redirect_stderr=False,
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

    def show(self, workflow: Workflow, progress: Progress) -> None:
        self._shown = (workflow, progress)

    def happened(self, event: Event) -> None:
        pass

    def note(self, text: str) -> None:
        self._out.note(text, "yellow")

    def _draw(self) -> RenderableType:
        if self._shown is None:
            return Text("")
        return draw(*self._shown, datetime.now(UTC), self._out.notes.height - _AROUND)


def view(out: Output) -> View:
    """The view that fits where the notes go."""
    return Redrawn(out) if out.is_live else Lines(out)


def draw(workflow: Workflow, progress: Progress, now: datetime, rows: int) -> RenderableType:
    """The whole picture, with at most `rows` steps."""
    shown, hidden = _fitting(progress.steps, max(rows, 1))
    grid = Table.grid(padding=(0, 2, 0, 0))
    for step in shown:
        grid.add_row(*_row(step, now))
    below = [Text(f"… {hidden} more steps", "dim")] if hidden else []
    said = [Text(progress.said, "dim", no_wrap=True, overflow="ellipsis")] if progress.said else []
    return Group(*_header(workflow, now), grid, *below, *said)


def _header(workflow: Workflow, now: datetime) -> tuple[Text, Text]:
    started_at = when.parse(workflow.started_at)
    ended_at = when.parse(workflow.completed_at) or now
    spent = when.duration((ended_at - started_at).total_seconds()) if started_at else ""
    about = (workflow.id, workflow.type, workflow.issue_id and f"issue {workflow.issue_id}", spent)
    return (
        Text(printable.line(workflow.title), "bold", no_wrap=True, overflow="ellipsis"),
        Text.assemble(
            (workflow.status, table.tone(workflow.status) or "default"),
            *(f" · {printable.line(part)}" for part in about if part),
        ),
    )


def _row(step: Step, now: datetime) -> tuple[Text, ...]:
    glyph, style = _GLYPHS[step.state]
    elapsed_s = step.elapsed_s(now)
    attempt = f"attempt {step.attempt}" if step.attempt > 1 else ""
    fraction = "" if step.fraction is None else f"{step.fraction:.0%}"
    return (
        Text(glyph, style),
        Text(step.name, no_wrap=True),
        Text("" if elapsed_s is None else when.duration(elapsed_s), justify="right"),
        Text(step.agent, "dim", no_wrap=True),
        Text(attempt, "yellow", no_wrap=True),
        Text(f"{fraction} {step.message}".strip(), "dim", no_wrap=True, overflow="ellipsis"),
    )


def _fitting(steps: tuple[Step, ...], rows: int) -> tuple[tuple[Step, ...], int]:
    """What still runs or has failed stays; of the finished ones the oldest go first."""
    excess = max(len(steps) - rows, 0)
    finished = [step.name for step in steps if step.state in {"done", "cancelled"}]
    gone = set(finished[:excess])
    left = tuple(step for step in steps if step.name not in gone)
    return left[-rows:], len(steps) - min(len(left), rows)
