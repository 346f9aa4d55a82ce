"""/health: alive is not ready."""

import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.writer import Poison
from api.app import create_app
from storage.database import open_writer
from storage.tuning import Tuning
from supervision import ActorDeadError, System
from tests.api.asgi import call
from tests.api.site import Site, nowhere, site


async def ready(there: Site) -> tuple[int, dict[str, Any]]:
    answer = await there.call("GET", "/health/ready")
    return answer.status, answer.json()


async def test_a_system_that_is_up_is_live_and_ready(repo: Path) -> None:
    async with site(repo) as there:
        live = await there.call("GET", "/health/live")
        assert (live.status, live.json()) == (200, {"status": "live"})
        status, body = await ready(there)
        assert (status, body["status"]) == (200, "ready")
        assert set(body["parts"].values()) == {True}
        whole = await there.call("GET", "/health")
        assert (whole.status, whole.json()) == (200, {"version": version("beadflow"), **body})
        assert {"coordination_writer", "tempolite_writer", "beads_writer"} < set(body["parts"])


async def test_a_process_with_nobody_behind_it_is_live_but_not_ready() -> None:
    async with System.open() as system:
        app = create_app(nowhere(system))
        assert (await call(app, "GET", "/health/live")).status == 200
        answer = await call(app, "GET", "/health/ready")
    assert answer.status == 503
    assert answer.json() == {
        "status": "not ready",
        "parts": {"nobody": False, "manager": False, "data": False},
    }


async def test_it_is_not_ready_while_a_writer_is_down_and_ready_when_it_is_back(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = threading.Event()

    def held(path: Path, tuning: Tuning) -> Any:
        mended.wait(20)
        return open_writer(path, tuning)

    async with site(repo) as there:
        monkeypatch.setattr("actors.writer.open_writer", held)
        try:
            with pytest.raises(ActorDeadError):
                await there.running.ask("tempolite_writer", Poison())
            status, body = await ready(there)
            assert (status, body["status"]) == (503, "not ready")
            assert [name for name, well in body["parts"].items() if not well] == [
                "tempolite_writer"
            ]
            assert (await there.call("GET", "/health/live")).status == 200
        finally:
            mended.set()
        with trio.fail_after(10):
            while (await ready(there))[0] != 200:
                await trio.sleep(0.01)
        assert await there.done("counting")
