"""/api/v1/actors: the tree as it is, whatever happens in it."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from api.app import App, create_app
from api.models import REASON_LIMIT
from supervision import (
    ActorCrashed,
    ActorDeadError,
    ActorRestarting,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    StartChild,
    System,
    ask,
    supervisor,
)
from tests.api.asgi import Answer, call
from tests.api.problems import refused
from tests.api.site import SharedSite, nowhere
from tests.supervision.support import (
    AT_ONCE,
    GENEROUS,
    Crash,
    Events,
    Gate,
    Note,
    Run,
    probe,
    thread,
)

ACTORS = "/api/v1/actors"
FIELDS = (
    *("id", "path", "name", "kind", "state", "restarts", "last_exit", "mailbox", "handled"),
    *("refused", "uptime_s", "memory_bytes", "children", "more"),
)
NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def walk(actor: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield actor
    for child in actor["children"]:
        yield from walk(child)


def app_over(system: System) -> App:
    return create_app(replace(nowhere(system), clock=lambda: NOW))


async def look(system: System, query: str = "") -> Answer:
    """One request to an app over this system."""
    return await call(app_over(system), "GET", f"{ACTORS}{query}")


async def tree(system: System, query: str = "") -> dict[str, Any]:
    answer = await look(system, query)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()["tree"]
    return found


async def start(system: System, *children: ChildSpec, backoff: Backoff = AT_ONCE) -> None:
    root = supervisor("root", "one_for_one", children, intensity=GENEROUS, backoff=backoff)
    await system.start(root)


def raising(error: Exception) -> Run:
    """Makes a probe crash with this error."""

    def fail(_: object) -> None:
        raise error

    return Run(function=fail)


# --- a whole running system


def test_every_part_of_a_system_stands_in_its_place(shared: SharedSite) -> None:
    body = shared.get(ACTORS)
    shown = {actor["path"]: actor for actor in walk(body["tree"])}
    assert {
        "root",
        "root/stores/coordination_writer",
        "root/agents/agent_instances/greeter-1",
        "root/engine/workflow_instances",
    } <= set(shown)
    assert all(tuple(actor) == FIELDS for actor in shown.values())
    writer = shown["root/stores/beads_writer"]
    assert (writer["id"], writer["name"]) == ("beads_writer", "beads_writer")
    assert (writer["state"], writer["restarts"], writer["last_exit"]) == ("running", 0, None)
    assert (writer["kind"], shown["root/stores"]["kind"]) == ("thread", "supervisor")
    assert shown["root/engine/dispatcher"]["mailbox"]["bound"] > 0
    assert all(actor["memory_bytes"] > 0 for actor in shown.values())


def test_the_totals_are_those_of_what_is_shown(shared: SharedSite) -> None:
    body = shared.get(f"{ACTORS}?depth=1")
    shown, totals = list(walk(body["tree"])), body["totals"]
    assert totals["shown"] == len(shown) == sum(totals["by_state"].values())
    assert totals["more"] == sum(actor["more"] for actor in shown) > 0
    assert sum(totals["by_kind"].values()) == len(shown)
    assert totals["by_kind"]["supervisor"] == sum(a["kind"] == "supervisor" for a in shown)


def test_a_path_shows_what_is_at_and_below_it(shared: SharedSite) -> None:
    body = shared.get(f"{ACTORS}?path=root/stores")
    assert body["tree"]["path"] == "root/stores"
    assert [child["id"] for child in body["tree"]["children"]][:1] == ["coordination_writer"]


def test_what_depth_and_limit_leave_out_is_counted(shared: SharedSite) -> None:
    whole = shared.get(f"{ACTORS}?path=root/stores")["tree"]
    alone = shared.get(f"{ACTORS}?path=root/stores&depth=0")["tree"]
    assert (alone["children"], alone["more"]) == ([], len(whole["children"]))
    first = shared.get(f"{ACTORS}?path=root/stores&limit=1")["tree"]
    assert [child["id"] for child in first["children"]] == [whole["children"][0]["id"]]
    assert first["more"] == len(whole["children"]) - 1


@pytest.mark.parametrize("path", ["nope", "root/nope", "root/telemetry/x", "root/", "/root", "%00"])
def test_a_path_without_an_actor_is_not_found(shared: SharedSite, path: str) -> None:
    body = refused(shared.call("GET", f"{ACTORS}?path={path}"), 404, "actor_unknown")
    assert "path" in body["hint"]


@pytest.mark.parametrize(
    "query",
    [
        *("depth=-1", "depth=101", "depth=x", "depth=", "limit=0", "limit=1001", "limit=1.5"),
        *("path=", f"path={'x' * 1001}", "colour=red", "depth=1&depth=1"),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_refused(shared: SharedSite, query: str) -> None:
    refused(shared.call("GET", f"{ACTORS}?{query}"), 422, "validation_error")


# --- what happened to actors


async def test_a_restarted_actor_shows_how_often_and_why(events: Events) -> None:
    async with System.open(events) as system:
        await start(system, probe("a"))
        system.named("a").tell(Crash())
        await events.wait_for(ActorCrashed, "root/a")
        await trio.testing.wait_all_tasks_blocked()
        actor = await tree(system, "?path=root/a")
    assert (actor["state"], actor["restarts"]) == ("running", 1)
    assert actor["last_exit"] == "crash: Boom: a"


async def test_an_actor_between_two_lives_is_shown_as_restarting(events: Events) -> None:
    later = Backoff(initial_s=30.0)
    async with System.open(events) as system:
        await start(system, probe("a"), backoff=later)
        system.named("a").tell(Crash())
        await events.wait_for(ActorCrashed, "root/a")
        await trio.testing.wait_all_tasks_blocked()
        actor = await tree(system, "?path=root/a")
    assert (actor["state"], actor["uptime_s"]) == ("restarting", 0)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\r\ntwo\tthree", "crash: ValueError: one two three"),
        ("half \udc80 pair", r"crash: ValueError: half \udc80 pair"),
        ("x" * 1_000_000, f"{'crash: ValueError: ':x<{REASON_LIMIT - 1}}…"),
    ],
    ids=["lines", "surrogate", "long"],
)
async def test_the_reason_is_one_line_of_bounded_length(
    events: Events, text: str, shown: str
) -> None:
    async with System.open(events) as system:
        await start(system, probe("a"))
        system.named("a").tell(raising(ValueError(text)))
        await events.wait_for(ActorCrashed, "root/a")
        await trio.testing.wait_all_tasks_blocked()
        actor = await tree(system, "?path=root/a")
    assert actor["last_exit"] == shown


async def test_messages_that_wait_are_counted_and_not_shown() -> None:
    gate = Gate()
    async with System.open() as system:
        await start(system, thread("a"))
        system.named("a").tell(Run(function=gate))
        await gate.wait_reached()
        for _ in range(3):
            system.named("a").tell(Note("a secret"))
        answer = await look(system, "?path=root/a")
        gate.open()
    assert answer.json()["tree"]["mailbox"]["depth"] == 3
    assert b"secret" not in answer.body


async def test_dead_letters_are_listed_with_when_and_why_and_not_what(
    events: Events, autojump_clock: trio.testing.MockClock
) -> None:
    async with System.open(events) as system:
        await start(system, probe("a"))
        system.named("a").tell(Crash())
        system.named("a").tell(Note("a secret"))
        await events.wait_for(ActorCrashed, "root/a")
        await trio.sleep(30)
        answer = await look(system)
    assert answer.json()["dead_letters"] == {
        "count": 1,
        "recent": [
            {
                "path": "root/a",
                "message_type": "Note",
                "reason": "crash: Boom: a",
                "at": "2026-03-01T12:00:00.000000Z",
            }
        ],
    }
    assert b"secret" not in answer.body


async def test_before_the_start_there_is_no_tree() -> None:
    async with System.open() as system:
        body = refused(await look(system), 404, "actor_unknown")
    assert body["detail"] == "no actor runs yet"


# --- a storm


def consistent(body: dict[str, Any], names: Sequence[str], before: dict[str, int]) -> set[str]:
    """Checks one answer, also against those before; returns the states that children were in."""
    storm = body["tree"]["children"][0]
    assert [child["id"] for child in storm["children"]] == list(names)
    assert body["totals"]["shown"] == sum(body["totals"]["by_state"].values()) == len(names) + 2
    for child in storm["children"]:
        assert child["path"] == f"root/storm/{child['id']}"
        assert child["restarts"] >= before[child["id"]]
        assert child["last_exit"] is not None or not child["restarts"]
        assert child["uptime_s"] == 0 or child["state"] in {"running", "stopping"}
        before[child["id"]] = child["restarts"]
    return {child["state"] for child in storm["children"]}


async def test_every_request_is_answered_while_all_children_crash_and_are_restarted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    names = [f"c{number:02}" for number in range(40)]
    backoff = Backoff(initial_s=0.05, max_s=0.05)

    def storm() -> DynamicSupervisor:
        return DynamicSupervisor(per_child=GENEROUS, backoff=backoff)

    async def crash_all(system: System) -> None:
        while True:
            for name in names:
                with contextlib.suppress(ActorRestarting, ActorDeadError):
                    system.named(name).tell(Crash())
            await trio.sleep(0.01)

    async with System.open() as system:
        await start(system, ChildSpec(id="storm", name="storm", build=storm))
        for name in names:
            await ask(system.named("storm"), StartChild(spec=probe(name)))
        restarts = dict.fromkeys(names, 0)
        states: set[str] = set()
        app = app_over(system)  # one for all: that of a request takes longer to make than to ask
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crash_all, system)
            for _ in range(100):
                answer = await call(app, "GET", ACTORS)
                assert answer.status == 200, answer.body
                states |= consistent(answer.json(), names, restarts)
                await trio.sleep(0.013)
            nursery.cancel_scope.cancel()
    assert states >= {"running", "restarting"}
    assert min(restarts.values()) > 1
