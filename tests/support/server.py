"""The real server as a process: started with the installed command, killed without mercy."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from actors.facts import ENDS
from cli import stream
from cli.records import Event

BEADFLOW = Path(sys.executable).with_name("beadflow")
DEADLINE_S = 30.0


@dataclass
class Server:
    """`beadflow up` on a repository. As a context manager it is stopped at the end."""

    repo: Path
    config: Path | None = None
    data_dir: Path | None = None
    program: Path = BEADFLOW

    def __post_init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self.metrics_url = ""
        self.log = self.repo.parent / "server.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None:
            self.stop()

    def start(self) -> None:
        command = [str(self.program), "-o", "json", "up", "--port", "0", "--metrics-port", "0"]
        command += ["--repo", str(self.repo)]
        if self.config is not None:
            command += ["--config", str(self.config)]
        if self.data_dir is not None:
            command += ["--data-dir", str(self.data_dir)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.repo
            )
        facts = self._announcement()
        self.url, self.metrics_url = facts["url"], facts["metrics"]

    def _announcement(self) -> dict[str, str]:
        assert self.process is not None
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            try:
                return dict(json.loads(text)["data"])
            except ValueError:
                continue
        raise AssertionError(f"the server did not start: {self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def signal_kill(self) -> None:
        """kill -9, from another thread; `reap` must follow."""
        assert self.process is not None
        self.process.kill()

    def reap(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        self.process = None

    def stop(self) -> int:
        """Ask it to stop, as an operator would; answers its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        process = self.process
        process.send_signal(number)
        self.reap()
        return process.returncode

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=DEADLINE_S, trust_env=False)

    def post(self, **body: Any) -> dict[str, Any]:
        with self.client() as client:
            answer = client.post("/api/v1/workflows", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def get(self, path: str, **params: Any) -> Any:
        with self.client() as client:
            answer = client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def events(self, workflow_id: str, after: int = 0) -> Iterator[Event]:
        """The events of a workflow, over the real stream."""
        with self.client() as client:
            for batch in stream.batches(client, workflow_id, after, silence_s=DEADLINE_S):
                yield from batch or []

    def until(self, workflow_id: str, satisfied: Callable[[Event], bool]) -> Event:
        """Wait for an event."""
        return next(event for event in self.events(workflow_id) if satisfied(event))

    def within(self, seconds: float, satisfied: Callable[[], bool]) -> None:
        """Look, until it is so, at what another process is about to do."""
        deadline = time.monotonic() + seconds
        while not satisfied():
            assert time.monotonic() < deadline, f"not so within {seconds} s"
            time.sleep(0.01)

    def ended(self, workflow_id: str) -> dict[str, Any]:
        """Wait until a workflow has ended; answers what the API says of it then."""
        self.until(workflow_id, lambda event: event.type in ENDS)
        return dict(self.get(f"/api/v1/workflows/{workflow_id}"))


def run(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The installed command, as a user runs it."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("WORKFLOW_", "BEADFLOW_"))}
    return subprocess.run(
        [str(BEADFLOW), *arguments],
        cwd=cwd,
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
