"""Real runs under strace: the tree in a process of its own, or the installed server."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.power import trace
from tests.power.images import Record
from tests.support import noted
from tests.support.ledger import Ledger
from tests.support.server import BEADFLOW

DURABLE = (".beadflow", ".beadflow/artifacts")
DEADLINE_S = 60.0
_MEMORY = Path("/dev/shm")  # noqa: S108


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory in memory, where there is one: thousands of images need no disk."""
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    place = Path(tempfile.mkdtemp(prefix="beadflow-power-", dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place)


def tree(place: Path, *plans: Mapping[str, object], there: tuple[str, ...] = DURABLE) -> Record:
    """Records processes one after the other, each of which runs `tests.support.life`."""
    record = _prepared(place, there)
    arguments = [json.dumps({"repo": record.root, **plan}) for plan in plans]
    script = "; ".join('"$0" -m tests.support.life "$' + f'{n + 1}"' for n in range(len(plans)))
    python = trace.python("x")[0]
    command = trace.traced(record.lines, ["sh", "-c", script, python, *arguments])
    done = subprocess.run(
        command,
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    return _checked(record)


def server(place: Path, starts: int) -> Record:
    """Records `beadflow up`: what it acknowledges is what leaves its socket."""
    record = _prepared(place, DURABLE)
    config = place / "beadflow.toml"
    config.write_text(f'plugins = ["{noted.__file__}"]\n')
    up = [str(BEADFLOW), "-o", "json", "up", "--port", "0", "--metrics-port", "0"]
    up += ["--repo", record.root, "--config", str(config)]
    command = trace.traced(record.lines, up)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        _load(_url(process), starts)
        _signal_child(process, signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    finally:
        if process.poll() is None:
            _signal_child(process, signal.SIGKILL)
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
    return _checked(record)


def _signal_child(tracer: subprocess.Popen[bytes], number: int) -> None:
    children = Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text()
    for child in children.split():
        os.kill(int(child), number)


def _prepared(place: Path, there: tuple[str, ...]) -> Record:
    root = place / "site"
    root.mkdir(parents=True)
    for name in there:
        (root / name).mkdir(mode=0o700)
    record = Record(place=str(place), root=str(root), there=there)
    record.save()
    return record


def _checked(record: Record) -> Record:
    """The model left at its end what is really there: nothing was written past it."""
    model = record.disk()
    for event in record.events():
        model.happen(event)
    root = Path(record.root)
    real = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    rebuilt = {name: data for name, data in model.live().items() if not name.endswith("-shm")}
    assert {name for name in real if not name.endswith("-shm")} == set(rebuilt)
    for name, data in rebuilt.items():
        assert (root / name).read_bytes() == data, f"{name} is not what the trace says"
    assert Ledger.read(model.heard).started, "nothing was acknowledged"
    root.rename(root.with_name("served"))  # no image of it is refused as a copy
    return record


def _url(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    text = b""
    for line in process.stdout:
        text += line
        try:
            return str(json.loads(text)["data"]["url"])
        except ValueError:
            continue
    raise AssertionError(f"the server did not start: {text.decode()}")


def _load(url: str, starts: int) -> None:
    with (
        httpx2.Client(base_url=url, timeout=DEADLINE_S, trust_env=False) as client,
        ThreadPoolExecutor(4) as threads,
    ):

        def start(number: int) -> str:
            body = {
                "issue_title": f"number {number}",
                "workflow_type": "noted",
                "variables": {"number": number},
            }
            answer = client.post("/api/v1/workflows", json=body)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        for workflow_id in threads.map(start, range(starts)):
            while client.get(f"/api/v1/workflows/{workflow_id}").json()["status"] != "completed":
                pass
