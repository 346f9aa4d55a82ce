"""`beadflow events`: what has happened, and, with --watch, what happens.

Whoever is cut off comes back with the last number it has seen: nothing is missing, nothing twice.
"""

import contextlib
import time
from dataclasses import dataclass
from typing import Annotated, Any, Final

from cyclopts import Group, Parameter

from cli import discovery, problem, progress, records, stream, table, when
from cli.asked import words
from cli.client import Client
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.output import Output
from cli.problem import Problem
from cli.records import Event

EVENTS: Final = "/api/v1/events"
LIMIT: Final = 100
PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.5

Given = Annotated[Output, Parameter(parse=False)]

_COLUMNS = (
    table.Column("number", right=True),
    table.Column("at"),
    table.Column("type"),
    table.Column("workflow"),
    table.Column("issue"),
    table.Column("what", elastic=True),
)
_SHOWN: Final = ("step", "activity", "agent_id", "status", "title", "code", "message", "reason")


@Parameter(name="*", group=Group("Which events", sort_key=50))
@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events are meant; each that is given must hold."""

    topic: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ()
    "Of this type, or of types like `step_*`."

    workflow: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ()
    "Of this workflow."

    issue: str | None = None
    "Of this issue, and of the workflow that it is."

    agent: str | None = None
    "What this agent did, got or gave away."

    def params(self) -> dict[str, str | int]:
        given = {
            "topics": ",".join(words(self.topic)),
            "workflow_id": ",".join(words(self.workflow)),
            "issue_id": self.issue,
            "agent_id": self.agent,
        }
        for name in ("issue", "agent"):
            if getattr(self, name) == "":
                raise problem.usage(f"--{name} is empty", hint="leave it out for those of all")
        return {name: value for name, value in given.items() if value}


ALL = Wanted()


def events(
    *,
    watch: Annotated[
        bool, Parameter(negative="", show_default=False, help="Go on, until Ctrl-C.")
    ] = False,
    after: Annotated[
        int | None, WHOLE, Parameter(help="Only those after this number; --watch begins there.")
    ] = None,
    limit: Annotated[
        int | None,
        WHOLE,
        Parameter(name=["--limit", "-n"], help="At most so many; 100 by default."),
    ] = None,
    wanted: Wanted = ALL,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Show what has happened, oldest first; with --watch what happens from now on.

    A number of an event that you have seen is where to go on.
    """
    if watch:
        if limit is not None:
            raise problem.usage("--watch goes on until Ctrl-C and takes no --limit", str(limit))
        with discovery.required(where, "watch") as client:
            return Following(client, wanted.params(), after, out).run()
    params = {**wanted.params(), "after": after or 0, "limit": LIMIT if limit is None else limit}
    with discovery.source(where) as source:
        answer = source.get(EVENTS, params)
    found, reached = records.items(answer), records.whole(answer, "next_after")
    if out.json:
        more, lost = answer.get("more") is True, answer.get("reset")
        out.envelope("events", found, next_after=reached, more=more, reset=lost)
        return ExitCode.OK
    out.table(_COLUMNS, [_row(records.event(raw)) for raw in found])
    if not found:
        out.note("no events")
    if (reset := stream.reset(answer.get("reset"))) is not None:
        out.note(str(reset))
    if answer.get("more") is True:
        out.note(f"there are more: --after {reached}")
    return ExitCode.OK


class Following:
    """Prints a stream, through whatever happens to its connection."""

    def __init__(
        self, client: Client, params: dict[str, str | int], after: int | None, out: Output
    ) -> None:
        self._client = client
        self._params = params
        self._after = after
        self._out = out
        self._heard_at = time.monotonic()
        self._is_away = False

    def run(self) -> int:
        """Until Ctrl-C; raises `Problem` when the server is away for too long, or refuses."""
        try:
            while True:
                self._connect()
                time.sleep(PAUSE_S)
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED

    def _connect(self) -> None:
        if self._after is None:
            self._after = self._last()
        asked = {**self._params, "after": self._after}
        try:
            with contextlib.closing(stream.frames(self._client.http, asked)) as frames:
                for frame in frames:
                    self._heard_at, self._is_away = time.monotonic(), False
                    if isinstance(frame, stream.Reset):
                        self._reset(frame)
                        continue
                    for raw in frame or ():
                        self._show(raw)
        except stream.StreamLapsed:
            return  # a token ends every few minutes, and nothing is lost with it
        except stream.StreamDropped as dropped:
            if self._is_away and time.monotonic() - self._heard_at >= PATIENCE_S:
                raise _lost(self._after, dropped) from dropped
            self._say_away()
        except stream.StreamRefused:
            # its answer says why, as a refusal; where there is none, it does no WebSockets
            self._client.get(EVENTS, {**asked, "limit": 1})
            raise

    def _last(self) -> int:
        """The number of the last event there is, of any kind."""
        after, more = 0, True
        while more:
            answer = self._client.get(EVENTS, {"after": after, "limit": 1000})
            after, more = records.whole(answer, "next_after") or 0, answer.get("more") is True
        return after

    def _show(self, raw: Any) -> None:
        event = records.event(raw)
        if event.seq <= (self._after or 0):
            return
        self._after = event.seq
        if self._out.json:
            self._out.record("event", raw)
        else:
            self._out.text(f"{event.seq:>6} {progress.describe(event)}")

    def _reset(self, lost: stream.Reset) -> None:
        self._after = lost.reached
        self._out.note(str(lost))

    def _say_away(self) -> None:
        if not self._is_away:
            self._is_away = True
            self._out.note("lost the server; trying to reach it again")


def _lost(after: int | None, why: Exception) -> Problem:
    return Problem(
        "Lost the server while watching",
        str(why),
        code="unreachable",
        exit_code=ExitCode.UNREACHABLE,
        hint=f"go on when it is back: beadflow events --watch --after {after}",
        retryable=True,
    )


def _row(event: Event) -> tuple[str, ...]:
    shown = (records.text(event.data, name) for name in _SHOWN)
    what = " ".join(text for text in shown if text)
    moment = when.moment(event.at)
    return (str(event.seq), moment, event.type, event.workflow_id, event.issue_id, what)
