"""Bodies that are files: as fast as they are taken, and nothing of those that break off."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from api.uploads import HELD_BYTES, REST_PAUSE_S, REST_S, UploadBody, is_upload
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, site


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("PUT", "/api/v1/workflows/w/artifacts/a", True),
        ("PUT", "/api/v1/workflows/w/artifacts/a/b.c", True),
        ("PUT", "/api/v1/workflows/w/artifacts/a\nb", True),
        ("POST", "/api/v1/workflows/w/artifacts/a", False),
        ("PUT", "/api/v1/workflows/w/artifacts/", False),
        ("PUT", "/api/v1/workflows/w", False),
        ("PUT", "/x/api/v1/workflows/w/artifacts/a", False),
    ],
)
def test_only_files_are_taken_in_pieces(method: str, path: str, answer: bool) -> None:
    assert is_upload({"method": method, "path": path}) == answer


async def put(body: Any, data: bytes) -> None:
    """As Quart does with what it has received; from Python 3.13 on it is another one."""
    if hasattr(body, "append"):
        body.append(data)
    else:
        await body.put(data)


async def test_a_client_waits_while_nobody_takes_what_came() -> None:
    body = UploadBody()
    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * HELD_BYTES}

    paced = body.paced(receive)

    async def pump() -> None:
        for _ in range(4):
            await put(body, (await paced())["body"])
        body.set_complete()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump)
        await trio.testing.wait_all_tasks_blocked()
        assert asked == 2  # the second made it more than may be held
        sizes = [len(piece) async for piece in body]
    assert asked == 4
    assert sum(sizes) == 4 * HELD_BYTES
    assert max(sizes) <= 2 * HELD_BYTES


@pytest.mark.parametrize(("pieces", "within_s"), [(0, 1.0), (3, 2.0), (1000, REST_S)])
async def test_the_rest_of_what_was_refused_is_taken_only_while_it_comes(
    autojump_clock: trio.testing.MockClock, pieces: int, within_s: float
) -> None:
    del autojump_clock
    body = UploadBody()

    async def bring() -> None:
        for _ in range(pieces):
            await trio.sleep(REST_PAUSE_S / 2)
            await put(body, b"x")

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bring)
        await body.drop_rest()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - began <= within_s


async def test_a_client_that_goes_away_leaves_nothing(repo: Path) -> None:
    async with site(repo) as here:
        workflow_id = await here.done("counting")
        target = f"{WORKFLOWS}/{workflow_id}/artifacts/a"
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": b"half", "more_body": True},
            {"type": "http.disconnect"},
        ]
        began = trio.Event()

        async def receive() -> dict[str, Any]:
            if len(messages) == 1:
                incoming = here.running.world.data.artifacts / "incoming"
                with trio.fail_after(10.0):
                    while not (incoming.is_dir() and any(incoming.iterdir())):
                        await trio.sleep(0.001)
                began.set()
            return messages.pop(0)

        async def send(message: dict[str, Any]) -> None:
            raise AssertionError(message)

        scope = {
            "type": "http",
            "method": "PUT",
            "path": target,
            "raw_path": target.encode(),
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "extensions": {},
            "asgi": {"version": "3.0"},
        }
        await here.app(scope, receive, send)
        assert began.is_set()
        listed = await here.call("GET", f"{WORKFLOWS}/{workflow_id}/artifacts")
        assert listed.json()["data"] == []
        root = here.running.world.data.artifacts
        with trio.fail_after(10.0):
            while [path for path in root.rglob("*") if path.is_file()]:
                await trio.sleep(0.001)


async def test_a_damaged_file_is_a_problem_and_no_answer(repo: Path) -> None:
    async with site(repo) as here:
        target = f"{WORKFLOWS}/{await here.done('counting')}/artifacts/a"
        made = (await here.call("PUT", target, body=[b"hello"])).json()
        (root,) = (here.running.world.data.artifacts / made["sha256"][:2]).iterdir()
        root.write_bytes(b"hullo")
        answer = await here.call("GET", target)
        refused(answer, 500, "artifact_damaged")
        assert b"hullo" not in answer.body
        await here.call("PUT", target, body=[b"hello"])
        assert (await here.call("GET", target)).body == b"hello"
