"""More requests than can be worked on: those that run, those that wait, those that are refused."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from pydantic import BaseModel
from quart import request
from trio.testing import MockClock, wait_all_tasks_blocked

from api.app import App, _app
from api.body import read_model
from api.conventions.repeats import Repeats
from api.exposure import Exposure
from api.overload import PATIENCE_S, WAITING, InFlight, aside
from tests.api.asgi import Answer, Header, call
from tests.api.problems import refused

LIMIT = 4
ROOM = LIMIT * (1 + WAITING)


class Empty(BaseModel):
    pass


class Busy:
    """An app whose requests wait until they are let go."""

    def __init__(self) -> None:
        self.app: App = _app(Exposure(in_flight=LIMIT))
        self.gate = trio.Event()
        self.begun = 0
        self.answers: list[Answer] = []
        self.app.add_url_rule("/hold", "hold", self._hold)
        self.app.add_url_rule("/body", "body", self._body, methods=["POST"])
        self.app.add_url_rule("/watch", "watch", self._watch)
        self.app.add_url_rule("/fail", "fail", self._fail)
        self.app.add_url_rule("/health/live", "health.live", lambda: {"status": "live"})

    @property
    def in_flight(self) -> InFlight:
        found: InFlight = self.app.extensions["entrance"].in_flight
        return found

    async def ask(self, target: str = "/hold", method: str = "GET", **given: Any) -> None:
        self.answers.append(await call(self.app, method, target, **given))

    async def _hold(self) -> dict[str, str]:
        self.begun += 1
        await self.gate.wait()
        return {}

    async def _body(self) -> dict[str, str]:
        await read_model(request, Empty)
        return {}

    async def _watch(self) -> dict[str, str]:
        async with aside():
            await self.gate.wait()
        return {}

    async def _fail(self) -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError


@asynccontextmanager
async def asked(busy: Busy, times: int, *args: Any, **given: Any) -> AsyncIterator[trio.Nursery]:
    """So many requests, begun and waiting; at the end they are cut off."""
    async with trio.open_nursery() as nursery:
        for _ in range(times):
            nursery.start_soon(lambda: busy.ask(*args, **given))
        await wait_all_tasks_blocked()
        yield nursery
        nursery.cancel_scope.cancel()


async def test_only_so_many_requests_are_worked_on() -> None:
    busy = Busy()
    async with asked(busy, ROOM):
        assert (busy.begun, busy.in_flight.waiting) == (LIMIT, ROOM - LIMIT)


async def test_more_than_wait_are_refused_at_once_and_told_when_to_come_back() -> None:
    busy = Busy()
    async with asked(busy, ROOM + 7):
        assert len(busy.answers) == 7
        for answer in busy.answers:
            refused(answer, 503, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1


async def test_a_refusal_comes_before_the_body() -> None:
    busy = Busy()
    async with asked(busy, ROOM):
        with trio.fail_after(1):
            await busy.ask("/body", "POST", body=[b"{"], complete=False)
    refused(busy.answers[0], 503, "overloaded")


async def test_health_answers_all_the_while() -> None:
    busy = Busy()
    async with asked(busy, ROOM + 7):
        busy.answers.clear()
        await busy.ask("/health/live")
        assert [answer.status for answer in busy.answers] == [200]


async def test_all_is_as_before_when_the_flood_is_over() -> None:
    busy = Busy()
    async with asked(busy, ROOM + 7):
        busy.gate.set()
        await wait_all_tasks_blocked()
        assert Counter(answer.status for answer in busy.answers) == {200: ROOM, 503: 7}
        assert (busy.in_flight.running, busy.in_flight.waiting) == (0, 0)
        await busy.ask()
    assert busy.answers[-1].status == 200


async def test_who_waits_is_served_in_order() -> None:
    found, order = InFlight(1), list[int]()
    await found.enter()

    async def wait(number: int) -> None:
        await found.enter()
        order.append(number)
        found.leave()

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(wait, number)
            await wait_all_tasks_blocked()
        found.leave()
    assert (order, found.running) == ([0, 1, 2, 3], 0)


async def test_nobody_waits_for_long(autojump_clock: MockClock) -> None:
    busy = Busy()
    async with trio.open_nursery() as nursery:
        for _ in range(LIMIT + 1):
            nursery.start_soon(busy.ask)
        await trio.sleep(PATIENCE_S + 0.1)
        refused(busy.answers[0], 503, "overloaded")
        assert (busy.in_flight.running, busy.in_flight.waiting) == (LIMIT, 0)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("more", [[], [("Idempotency-Key", "k")]], ids=["plain", "keyed"])
async def test_bodies_that_come_slowly_take_nobody_s_place(more: list[Header]) -> None:
    busy = Busy()
    keeping: Any = SimpleNamespace(keeps_answers=True)
    busy.app.repeats = Repeats(keeping)
    typed = [("Content-Type", "application/json")]
    slow = {"body": [b"{"], "complete": False, "headers": [*typed, *more]}
    async with asked(busy, ROOM * 2, "/body", "POST", **slow):
        assert busy.in_flight.running == 0
        await busy.ask("/body", "POST", body=[b"{}"], headers=typed)
        assert [answer.status for answer in busy.answers] == [200]


async def test_who_waits_for_something_to_happen_takes_nobody_s_place() -> None:
    busy = Busy()
    async with asked(busy, ROOM * 2, "/watch"):
        assert busy.in_flight.running == 0
        busy.gate.set()
        await wait_all_tasks_blocked()
        assert Counter(answer.status for answer in busy.answers)[200] >= ROOM
        assert busy.in_flight.running == 0


async def test_a_client_that_goes_away_leaves_its_place() -> None:
    busy = Busy()
    async with asked(busy, ROOM):
        pass
    assert (busy.in_flight.running, busy.in_flight.waiting) == (0, 0)


async def test_a_request_that_fails_leaves_its_place() -> None:
    busy = Busy()
    for _ in range(LIMIT * 2):
        await busy.ask("/fail")
        await busy.ask("/nowhere")
    assert {answer.status for answer in busy.answers} == {500, 404}
    assert busy.in_flight.running == 0
