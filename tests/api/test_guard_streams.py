"""Who may open a stream, by which of the ways, and how it ends when they may not go on."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from quart import Response, websocket
from trio.testing import MockClock

from actors.auth.roles import Role
from api.first_message import FIRST_S, WAITING
from api.guard import LAPSED, LOOK_S, MAY_NOT
from api.permissions import PERMISSIONS
from tests.api.asgi import Header, Stream, call, send_json, stream
from tests.api.keeper import ELSEWHERE, NOW, Gate, a_principal, gate
from tests.api.problems import refused

WATCH = "/test/watch"
LINES = "/test/lines"


@asynccontextmanager
async def streams(monkeypatch: pytest.MonkeyPatch, **given: Any) -> AsyncIterator[Gate]:
    """A gate with a WebSocket and a long answer behind it, which never end by themselves."""
    for name in ("watch", "lines"):
        monkeypatch.setitem(PERMISSIONS, name, PERMISSIONS["events.events"])
    async with gate(**given) as there:

        @there.app.websocket(WATCH, endpoint="watch")
        async def watch() -> None:
            await websocket.send(json.dumps([]))
            await trio.sleep_forever()

        @there.app.get(LINES, endpoint="lines")
        async def lines() -> Response:
            async def endless() -> AsyncIterator[bytes]:
                yield b"first\n"
                await trio.sleep_forever()

            response = Response(endless())
            response.timeout = None
            return response

        yield there


async def is_in(client: Stream) -> bool:
    return client.refusal is None and await client.frame() == []


async def ended(client: Stream) -> list[dict[str, Any]]:
    """What came until the end, which comes within a minute."""
    with trio.fail_after(60):
        return await client.until_closed()


def first(token: str) -> str:
    return json.dumps({"op": "auth", "token": token})


async def test_a_header_opens_a_stream(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with streams(monkeypatch) as there:
        header = there.add(a_principal(Role.VIEWER))
        async with stream(there.app, WATCH, headers=[header]) as client:
            assert await is_in(client)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["beadflow", "beadflow.bearer.ann"], "beadflow"),
        (["beadflow.bearer.ann", "beadflow"], "beadflow"),
        (["other", "beadflow.bearer.ann", "beadflow"], "beadflow"),
    ],
)
async def test_a_subprotocol_opens_a_stream(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, offered: list[str], chosen: str
) -> None:
    async with streams(monkeypatch) as there:
        there.add(a_principal(Role.VIEWER, "ann"))
        async with stream(there.app, WATCH, subprotocols=offered) as client:
            assert await is_in(client)
            assert client.subprotocol == chosen


@pytest.mark.parametrize("offered", [["beadflow.bearer.ann"], ["other", "beadflow.bearer.ann"]])
@pytest.mark.parametrize("has_header", [False, True])
async def test_a_credential_is_no_subprotocol_that_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
    offered: list[str],
    has_header: bool,
) -> None:
    async with streams(monkeypatch) as there:
        header = there.add(a_principal(Role.VIEWER, "ann"))
        headers = [header] if has_header else []
        async with stream(there.app, WATCH, headers=headers, subprotocols=offered) as client:
            assert client.refusal is not None
        told = refused(client.refusal, 422, "validation_error")
        assert "beadflow beside" in told["hint"]
        assert "bearer.ann" not in f"{client.refusal} {client.subprotocol}"


async def test_a_ticket_opens_one_stream_once(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with streams(monkeypatch) as there:
        header = there.add(a_principal(Role.VIEWER))
        made = await send_json(there.app, "/api/v1/auth/tickets", {}, header)
        target = f"{WATCH}?ticket={made.json()['ticket']}"
        async with stream(there.app, target) as client:
            assert await is_in(client)
        async with stream(there.app, target) as client:
            assert client.refusal is not None
            refused(client.refusal, 401, "unauthenticated")


async def test_a_ticket_of_this_machine_opens_nothing_once_there_is_a_key(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with streams(monkeypatch) as there:
        there.has_keys = False
        made = await send_json(there.app, "/api/v1/auth/tickets", {})
        there.has_keys = True
        there.epoch.bump()
        async with stream(there.app, f"{WATCH}?ticket={made.json()['ticket']}") as client:
            assert client.refusal is not None
            refused(client.refusal, 401, "unauthenticated")


async def test_a_first_message_opens_a_stream(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with streams(monkeypatch) as there:
        there.add(a_principal(Role.VIEWER, "ann"))
        async with stream(there.app, WATCH, says=[first("ann")]) as client:
            assert await is_in(client)


@pytest.mark.parametrize(
    "said",
    ["", "x", "[]", "{}", '{"op":"auth"}', '{"op":"subscribe"}', first("nobody"), first("\xff")],
)
async def test_a_first_message_that_opens_nothing_ends_the_stream(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, said: str
) -> None:
    async with streams(monkeypatch) as there, stream(there.app, WATCH, says=[said]) as client:
        assert await ended(client) == []
        assert client.closed_with == LAPSED


async def test_whoever_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with streams(monkeypatch) as there, stream(there.app, WATCH) as client:
        assert await ended(client) == []
        assert client.closed_with == LAPSED
        assert trio.current_time() == pytest.approx(FIRST_S, abs=0.01)


async def test_only_so_many_may_be_silent_at_a_time(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with streams(monkeypatch) as there, trio.open_nursery() as nursery:

        async def be_silent(task_status: trio.TaskStatus[None]) -> None:
            async with stream(there.app, WATCH):
                task_status.started()
                await trio.sleep_forever()

        for _ in range(WAITING):
            await nursery.start(be_silent)
        async with stream(there.app, WATCH) as client:
            assert client.refusal is not None
            refused(client.refusal, 503, "overloaded")
        nursery.cancel_scope.cancel()


async def test_a_first_message_of_somebody_who_may_not_ends_the_stream(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    async with streams(monkeypatch) as there:
        there.add(a_principal(Role.VIEWER, "ann", permissions=frozenset()))
        async with stream(there.app, WATCH, says=[first("ann")]) as client:
            assert await ended(client) == []
            assert client.closed_with == MAY_NOT


@pytest.mark.parametrize(
    ("target", "headers", "subprotocols"),
    [
        (WATCH, [("Authorization", "Bearer nobody")], []),
        (WATCH, [("Authorization", "Basic x")], []),
        (f"{WATCH}?ticket=t9", [], []),
        (f"{WATCH}?ticket=%20", [], []),
        (WATCH, [], ["beadflow", "beadflow.bearer.nobody"]),
        (WATCH, [], ["beadflow", "beadflow.bearer."]),
        (WATCH, [], ["beadflow", "beadflow.bearer.a", "beadflow.bearer.b"]),
    ],
)
async def test_what_opens_nothing_is_refused_before_the_handshake(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
    target: str,
    headers: list[Header],
    subprotocols: list[str],
) -> None:
    async with (
        streams(monkeypatch) as there,
        stream(there.app, target, headers=headers, subprotocols=subprotocols) as client,
    ):
        assert client.refusal is not None
        refused(client.refusal, 401, "unauthenticated")
        assert "www-authenticate" in client.refusal.headers


async def test_who_may_not_is_refused_before_the_handshake(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with streams(monkeypatch) as there:
        header = there.add(a_principal(Role.VIEWER, permissions=frozenset()))
        async with stream(there.app, WATCH, headers=[header]) as client:
            assert client.refusal is not None
            refused(client.refusal, 403, "forbidden")


async def test_a_stream_ends_soon_after_its_credential_was_revoked(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    async with streams(monkeypatch) as there:
        header = there.add(a_principal(Role.VIEWER, "ann"))
        async with stream(there.app, WATCH, headers=[header]) as client:
            assert await is_in(client)
            there.revoke("ann")
            assert await ended(client) == []
            assert client.closed_with == LAPSED
            assert trio.current_time() <= LOOK_S + 0.01


async def test_a_stream_goes_on_when_somebody_else_s_credential_is_revoked(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    async with streams(monkeypatch) as there:
        header = there.add(a_principal(Role.VIEWER, "ann"))
        there.add(a_principal(Role.VIEWER, "bob"))
        async with stream(there.app, WATCH, headers=[header]) as client:
            assert await is_in(client)
            there.revoke("bob")
            await trio.sleep(5 * LOOK_S)
            assert client.closed_with is None


async def test_a_stream_ends_when_its_principal_may_not_see_it_any_more(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    async with streams(monkeypatch) as there:
        header = there.add(a_principal(Role.VIEWER, "ann"))
        async with stream(there.app, WATCH, headers=[header]) as client:
            assert await is_in(client)
            there.add(a_principal(Role.VIEWER, "ann", permissions=frozenset()))
            there.epoch.bump()
            assert await ended(client) == []
            assert client.closed_with == LAPSED


async def test_a_stream_ends_with_its_credential(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with streams(monkeypatch) as there:
        ends = NOW.timestamp() + 60
        header = there.add(a_principal(Role.VIEWER, "ann", expires_at=ends))
        async with stream(there.app, WATCH, headers=[header]) as client:
            assert await is_in(client)
            there.now_s += 60
            assert await ended(client) == []
            assert client.closed_with == LAPSED


async def test_a_stream_of_this_machine_ends_with_the_first_key(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    async with streams(monkeypatch) as there:
        there.has_keys = False
        async with stream(there.app, WATCH) as client:
            assert await is_in(client)
            there.has_keys = True
            there.epoch.bump()
            assert await ended(client) == []
            assert client.closed_with == LAPSED
        async with stream(there.app, WATCH, client=ELSEWHERE) as client:
            assert await ended(client) == []


async def test_a_long_answer_breaks_off_when_its_credential_is_revoked(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    async with streams(monkeypatch) as there, trio.open_nursery() as nursery:
        header = there.add(a_principal(Role.VIEWER, "ann"))

        async def revoke() -> None:
            await trio.sleep(10)
            there.revoke("ann")

        nursery.start_soon(revoke)
        answer = await call(there.app, "GET", LINES, headers=[header])
        assert answer.body == b"first\n"
        assert 10 <= trio.current_time() <= 10 + LOOK_S + 0.01
