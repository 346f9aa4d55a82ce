"""Sessions of browsers: a cookie that no page can read, and writes that only ours can make."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie

import pytest
import trio
from quart import websocket
from trio.testing import MockClock

from actors.auth.roles import Role
from api.guard import LAPSED, Admission
from api.sessions import COOKIE, IDLE_S, LONGEST_S, SESSIONS, SESSIONS_EACH, Sessions
from tests.api.asgi import HOST, Answer, Header, call, send_json, stream
from tests.api.keeper import Gate, a_principal, gate
from tests.api.problems import refused

SESSION = "/api/v1/auth/session"
ME = "/api/v1/auth/me"
EVENTS = "/api/v1/events"
TICKETS = "/api/v1/auth/tickets"


@asynccontextmanager
async def signed_in(role: Role = Role.VIEWER) -> AsyncIterator[tuple[Gate, Header, Header]]:
    """A gate, and the cookie and the header of a session there."""
    async with gate() as there:
        there.add(a_principal(role, "ann"))
        answer = await sign_in(there)
        assert answer.status == 201, answer.body
        yield there, cookie_of(answer), ("X-CSRF-Token", answer.json()["csrf_token"])


async def sign_in(there: Gate, *headers: Header, key: str = "ann") -> Answer:
    return await send_json(there.app, SESSION, {"key": key}, *headers)


def cookie_of(answer: Answer) -> Header:
    found = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    return "Cookie", f"{COOKIE}={found.value}"


async def test_a_key_signs_a_browser_in_with_a_cookie_that_no_page_can_read() -> None:
    async with gate() as there:
        there.add(a_principal(Role.VIEWER, "ann"))
        answer = await sign_in(there)
        found = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
        assert (found["httponly"], found["secure"], found["path"]) == (True, True, "/")
        assert (found["samesite"], found["domain"]) == ("Strict", "")
        assert "ann" not in found.value
        assert answer.headers["cache-control"] == "no-store"
        me = await there.get(ME, cookie_of(answer))
        assert (me.json()["user_id"], me.json()["via"]) == ("ann", "session")


@pytest.mark.parametrize("key", ["nobody", "", "a b", "\xff"])
async def test_what_is_no_key_begins_no_session(key: str) -> None:
    async with gate() as there:
        answer = await sign_in(there, key=key)
        refused(answer, 401, "unauthenticated")
        assert "set-cookie" not in answer.headers


async def test_a_token_begins_no_session() -> None:
    async with gate() as there:
        there.add(a_principal(Role.VIEWER, "ann", via="token"))
        refused(await sign_in(there), 401, "unauthenticated")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-CSRF-Token", "")],
        [("X-CSRF-Token", "x" * 43)],
        [("X-CSRF-Token", "\xff")],
    ],
)
async def test_a_write_without_the_session_s_token_is_refused(headers: list[Header]) -> None:
    async with signed_in() as (there, cookie, _):
        answer = await send_json(there.app, TICKETS, {}, cookie, *headers)
        refused(answer, 403, "csrf_failed")
        deleted = await call(there.app, "DELETE", SESSION, headers=[cookie, *headers])
        refused(deleted, 403, "csrf_failed")


async def test_a_write_with_the_session_s_token_is_let_in() -> None:
    async with signed_in() as (there, cookie, token):
        assert (await send_json(there.app, TICKETS, {}, cookie, token)).status == 201
        for site in ("same-origin", "none"):
            site_header = ("Sec-Fetch-Site", site)
            answer = await send_json(there.app, TICKETS, {}, cookie, token, site_header)
            assert answer.status == 201


@pytest.mark.parametrize("site", ["cross-site", "same-site", "x", ""])
async def test_what_another_site_makes_a_browser_ask_is_refused(site: str) -> None:
    async with signed_in() as (there, cookie, token):
        answer = await there.get(ME, cookie, token, ("Sec-Fetch-Site", site))
        refused(answer, 403, "csrf_failed")


async def test_one_session_s_token_is_none_in_another() -> None:
    async with signed_in() as (there, cookie, _):
        other = await sign_in(there)
        token = ("X-CSRF-Token", other.json()["csrf_token"])
        refused(await send_json(there.app, TICKETS, {}, cookie, token), 403, "csrf_failed")


async def test_whoever_signs_out_is_not_known_any_more() -> None:
    async with signed_in() as (there, cookie, token):
        answer = await call(there.app, "DELETE", SESSION, headers=[cookie, token])
        assert (answer.status, answer.body) == (204, b"")
        assert "Max-Age=0" in answer.headers["set-cookie"]
        refused(await there.get(ME, cookie), 401, "unauthenticated")


async def test_whoever_signs_in_again_has_a_new_session_in_place_of_the_old_one() -> None:
    async with signed_in() as (there, cookie, _):
        again = await sign_in(there, cookie)
        assert cookie_of(again) != cookie
        refused(await there.get(ME, cookie), 401, "unauthenticated")


async def test_a_session_ends_with_its_key() -> None:
    async with signed_in() as (there, cookie, _):
        there.revoke("ann")
        refused(await there.get(ME, cookie), 401, "unauthenticated")


@pytest.mark.parametrize("value", ["", "x", "x" * 5000, "%00", '"', "é"])
async def test_a_cookie_that_names_no_session_is_refused(value: str) -> None:
    async with gate() as there:
        refused(await there.get(ME, ("Cookie", f"{COOKIE}={value}")), 401, "unauthenticated")


async def test_the_session_shows_its_token_again() -> None:
    async with signed_in() as (there, cookie, token):
        found = (await there.get(SESSION, cookie)).json()
        assert (found["csrf_token"], found["principal"]["user_id"]) == (token[1], "ann")
        assert 0 < found["expires_in"] <= IDLE_S
        header = there.add(a_principal(Role.VIEWER, "bob"))
        refused(await there.get(SESSION, header), 404, "not_found")


async def test_a_session_that_is_not_used_ends(autojump_clock: MockClock) -> None:
    async with signed_in() as (there, cookie, _):
        await trio.sleep(IDLE_S - 1)
        assert (await there.get(ME, cookie)).status == 200
        await trio.sleep(IDLE_S)
        refused(await there.get(ME, cookie), 401, "unauthenticated")


async def test_no_session_is_longer_than_a_working_day(autojump_clock: MockClock) -> None:
    async with signed_in() as (there, cookie, _):
        while trio.current_time() < LONGEST_S - IDLE_S / 2:
            assert (await there.get(ME, cookie)).status == 200
            await trio.sleep(IDLE_S / 2)
        await trio.sleep(IDLE_S / 2)
        refused(await there.get(ME, cookie), 401, "unauthenticated")


@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "https://127.0.0.1", "null"])
async def test_a_page_from_elsewhere_opens_no_stream_with_a_cookie(origin: str | None) -> None:
    async with signed_in() as (there, cookie, _):
        headers = [cookie] if origin is None else [cookie, ("Origin", origin)]
        async with stream(there.app, EVENTS, headers=headers) as client:
            assert client.refusal is not None
            assert client.refusal.status == 403


async def test_a_stream_ends_when_its_browser_signs_out(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with signed_in() as (there, cookie, token):

        async def endless() -> None:
            await websocket.accept()
            await trio.sleep_forever()

        monkeypatch.setitem(there.app.view_functions, "events.events", endless)
        origin = ("Origin", f"http://{HOST}")
        async with stream(there.app, EVENTS, headers=[cookie, origin]) as client:
            assert client.refusal is None
            await call(there.app, "DELETE", SESSION, headers=[cookie, token])
            assert await client.until_closed() == []
            assert client.closed_with == LAPSED


async def test_there_are_never_more_than_so_many_sessions(autojump_clock: MockClock) -> None:
    sessions, first = Sessions(), admitted("first")
    sessions.begin(first)
    for number in range(SESSIONS):
        sessions.begin(admitted(f"u{number}"))
    assert (len(sessions), first.is_over) == (SESSIONS, True)


async def test_nobody_signs_the_others_out(autojump_clock: MockClock) -> None:
    sessions, other, first = Sessions(), admitted("bob"), admitted("ann")
    for admission in (other, first):
        sessions.begin(admission)
    for _ in range(SESSIONS):
        sessions.begin(admitted("ann"))
    assert len(sessions) == SESSIONS_EACH + 1
    assert (first.is_over, other.is_over) == (True, False)


def admitted(user_id: str) -> Admission:
    return Admission(a_principal(Role.VIEWER, user_id), epoch=0)
