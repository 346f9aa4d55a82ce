"""Following one workflow until it ends, through whatever happens to the connection.

Events come over a WebSocket; after a drop the next connection asks for what came after the last
event seen, so nothing is lost and nothing shown twice. Whether the workflow has ended is never
concluded from events alone: its record is asked for whenever an event suggests a change, at every
heartbeat, and once a second where WebSockets are refused. Watching changes nothing on the server,
so it can be ended at any time, and begun again.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable

from cli import progress, records, stream
from cli.client import Client
from cli.exits import ExitCode
from cli.live import View
from cli.problem import Problem
from cli.records import Event, Workflow

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
_POLL_S = 1.0


class Detached(Exception):  # noqa: N818 - an outcome, not a fault
    """The user has looked away; the workflow has not noticed."""


class Watch:
    """Watches `workflow` over `client` and shows it in `view`."""

    def __init__(
        self,
        client: Client,
        workflow: Workflow,
        view: View,
        *,
        stop: threading.Event | None = None,
        patience_s: float = 60.0,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        """Prepares; nothing is sent yet.

        Args:
            client: talks to the server that runs the workflow.
            workflow: as last seen.
            view: shows it.
            stop: once set, `run` raises Detached within a second.
            patience_s: how long the server may be away before watching is given up.
            pause: waits between attempts; by default until `stop` is set.
        """
        self.workflow = workflow
        self.progress = progress.Progress()
        self._client = client
        self._view = view
        self._stop = stop or threading.Event()
        self._pause = pause or self._stop.wait
        self._patience_s = patience_s
        self._streams = True
        self._pause_s = _FIRST_PAUSE_S
        self._heard_at = time.monotonic()
        self._is_away = False

    def run(self) -> Workflow:
        """Returns the workflow once it has ended, successfully or not.

        Raises:
            Detached: `stop` was set.
            Problem: the server stayed away longer than `patience_s`, or refuses the workflow.
        """
        with self._view as view:
            view.show(self.workflow, self.progress)
            while not self.workflow.is_final:
                self._connect()
                self._wait()
            view.show(self.workflow, self.progress)
        return self.workflow

    def _connect(self) -> None:
        if not self._streams:
            self._ask()
            return
        try:
            self._follow()
        except stream.StreamRefused:
            self._streams = False
        except stream.StreamDropped:
            self._ask()

    def _follow(self) -> None:
        """Reads one connection until it drops, or until everything about a final one was seen."""
        frames = stream.batches(self._client.http, self.workflow.id, self.progress.seq)
        with contextlib.closing(frames):
            for frame in frames:
                if self._stop.is_set():
                    raise Detached
                self._take(frame)
                # What comes last is the event of the end; a moment of silence will do as well.
                if self.workflow.is_final and (frame is None or self.progress.ended):
                    return

    def _take(self, frame: list[Event] | stream.Reset | None) -> None:
        if isinstance(frame, stream.Reset):
            self._reset(frame)
            return
        if frame is None:
            if self.progress.ended:
                self._ask()
            return
        self._heard()
        for event in frame:
            if event.seq > self.progress.seq:
                self.progress = progress.apply(self.progress, event)
                self._view.happened(event)
        if not frame or any(event.type.startswith("workflow_") for event in frame):
            self._ask()
        self._view.show(self.workflow, self.progress)

    def _reset(self, lost: stream.Reset) -> None:
        """Goes on where the server's log ends; the record says what became of the workflow."""
        self._heard()
        self._view.note(str(lost))
        self.progress = dataclasses.replace(self.progress, seq=lost.reached)
        self._ask()

    def _ask(self) -> None:
        """Asks for the workflow's record; a server that is away for a while is waited for."""
        try:
            answer = self._client.get(f"/api/v1/workflows/{self.workflow.id}")
        except Problem as problem:
            if not problem.retryable:
                raise
            self._missed(problem)
            return
        self.workflow = records.workflow(answer)
        self._heard()
        self._view.show(self.workflow, self.progress)

    def _heard(self) -> None:
        self._heard_at = time.monotonic()
        self._pause_s = _FIRST_PAUSE_S
        self._is_away = False

    def _missed(self, problem: Problem) -> None:
        if not self._is_away:
            self._is_away = True
            self._view.note("lost the server; trying to reach it again")
        if time.monotonic() - self._heard_at >= self._patience_s:
            raise _lost(self.workflow.id, problem) from problem

    def _wait(self) -> None:
        if self.workflow.is_final:
            return
        self._pause(self._pause_s if self._streams else _POLL_S)
        if self._stop.is_set():
            raise Detached
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)


def _lost(workflow_id: str, problem: Problem) -> Problem:
    return Problem(
        "Lost the server while watching",
        problem.message,
        code="unreachable",
        exit_code=ExitCode.UNREACHABLE,
        hint=f"{workflow_id} goes on when the server does: "
        f"beadflow workflow status {workflow_id} --watch",
        retryable=True,
    )
