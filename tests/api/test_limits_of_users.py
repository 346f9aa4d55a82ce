"""What one user may ask for, through the guard: whatever they show, it is theirs."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.auth.messages import Principal
from actors.auth.roles import Role
from api.exposure import Rate, Rates
from api.limits import RateLimits
from tests.api.asgi import Header, call, stream
from tests.api.keeper import ELSEWHERE, Gate, a_principal, gate
from tests.api.problems import refused
from tests.api.test_events import channel

ME = "/api/v1/auth/me"
EVENTS = "/api/v1/events"
TOKEN = "/api/v1/auth/token"
BURST = 5
FEW = Rate(per_s=0.001, burst=BURST)
MANY = Rate(per_s=1e6, burst=10**6)


@asynccontextmanager
async def counting(**few: Rate) -> AsyncIterator[Gate]:
    """A gate at which only these are few."""
    rates = {"reads": MANY, "writes": MANY, "address": MANY, "logins": MANY, **few}
    async with gate() as there:
        there.app.extensions["entrance"]._limits = RateLimits(Rates(**rates))
        yield there


def credential(there: Gate, name: str, user_id: str, **more: str) -> Header:
    """One more credential of a user."""
    there.known[name] = a_principal(Role.OPERATOR, user_id, credential=name, key_id=name, **more)
    return "Authorization", f"Bearer {name}"


async def statuses(there: Gate, *shown: Header, target: str = ME) -> Counter[int]:
    answers = [await there.get(target, header, client=ELSEWHERE) for header in shown]
    return Counter(answer.status for answer in answers)


async def test_all_keys_and_tokens_of_a_user_draw_from_one_bucket() -> None:
    async with counting(reads=FEW) as there:
        keys = [credential(there, f"key{number}", "ann") for number in range(4)]
        tokens = [credential(there, f"t{number}", "ann", via="token") for number in range(4)]
        found = await statuses(there, *keys, *tokens)
        assert found == {200: BURST, 429: 8 - BURST}
        assert await statuses(there, credential(there, "other", "bob")) == {200: 1}


async def test_other_addresses_are_no_fresh_start_for_a_user() -> None:
    async with counting(reads=FEW) as there:
        shown = credential(there, "key", "ann")
        found = [
            (await there.get(ME, shown, client=(f"192.0.2.{number}", 1))).status
            for number in range(1, 9)
        ]
        assert found.count(200) == BURST


async def test_a_websocket_that_comes_again_and_again_is_counted_like_a_request() -> None:
    async with counting(reads=FEW) as there:
        shown = credential(there, "key", "ann")
        for _ in range(BURST):
            async with stream(there.app, EVENTS, headers=[shown]):
                pass
        async with stream(there.app, EVENTS, headers=[shown]) as end:
            assert end.refusal is not None
        refused(end.refusal, 429, "rate_limited")
        assert await statuses(there, shown) == {429: 1}


async def test_requests_that_are_forbidden_are_counted_too() -> None:
    async with counting(reads=FEW) as there:
        nothing = Principal(
            user_id="ann", roles=frozenset(), permissions=frozenset(), via="key", credential="k"
        )
        there.known["k"] = nothing
        shown = "Authorization", "Bearer k"
        found = await statuses(there, *[shown] * 8, target="/api/v1/system")
        assert found == {403: BURST, 429: 8 - BURST}


@pytest.mark.parametrize("kind", ["bearer", "websocket", "ticket"])
async def test_guesses_of_any_kind_are_counted_by_address(kind: str) -> None:
    async with counting(logins=FEW) as there:
        found: Counter[int] = Counter()
        for number in range(8):
            found[await guess(there, kind, f"guess{number}")] += 1
        assert found == {401: BURST, 429: 8 - BURST}
        assert await statuses(there, credential(there, "good", "ann")) == {200: 1}


async def guess(there: Gate, kind: str, text: str) -> int:
    if kind == "bearer":
        return (await there.get(ME, ("Authorization", f"Bearer {text}"))).status
    shown = [("Authorization", f"Bearer {text}")] if kind == "websocket" else []
    target = EVENTS if kind == "websocket" else f"{EVENTS}?ticket={text}"
    async with stream(there.app, target, headers=shown) as end:
        assert end.refusal is not None
    return end.refusal.status


async def test_exchanges_for_tokens_have_a_bucket_of_their_own() -> None:
    async with counting(logins=FEW) as there:
        typed = [("Content-Type", "application/json")]
        found: Counter[int] = Counter()
        for _ in range(8):
            answer = await call(there.app, "POST", TOKEN, headers=typed, body=[b'{"key": "x"}'])
            found[answer.status] += 1
        assert found[429] >= 8 - BURST
        assert set(found) == {401, 429}
        assert await statuses(there, credential(there, "good", "ann")) == {200: 1}


async def test_what_is_asked_over_a_websocket_is_counted_like_requests() -> None:
    async with counting(reads=FEW) as there, channel() as feed:
        app = feed.app
        app.extensions["entrance"]._limits = there.app.extensions["entrance"]._limits
        shown = credential(there, "key", "ann")
        app.guard._doors = there.app.guard._doors
        app.guard._trust = "keys"
        async with stream(app, f"{EVENTS}?ops=true", headers=[shown], client=ELSEWHERE) as client:
            codes = []
            for _ in range(8):
                client.say("{}")
                answer: Any = await client.frame()
                codes.append(answer["problem"]["code"])
    assert codes.count("rate_limited") == 8 - BURST + 1
