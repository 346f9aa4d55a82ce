"""What the lives of actors look like in the log and in the metrics."""

import inspect
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
import trio

from actors.lifecycle import LEVELS, Lifecycle, place
from actors.telemetry import Meters
from supervision import (
    ActorCrashed,
    ActorExited,
    ActorRestarted,
    ActorStarted,
    ChildGaveUp,
    ChildSpec,
    DeadLetters,
    DynamicSupervisor,
    Event,
    ExitReason,
    Intensity,
    MailboxFull,
    MailboxOverflow,
    RestartScheduled,
    StartChild,
    StartError,
    System,
    TellRefused,
    ThreadAbandoned,
    ask,
    events,
    supervisor,
)
from tests.supervision.support import AT_ONCE, Boom, Crash, Gate, Note, Probe, Run, probe, thread

REASON = ExitReason.crash(Boom("one\ntwo"))
PATH = "root/engine/workflow_instances/census-1"

EVENTS: dict[str, tuple[Event, str]] = {
    "actor.started": (ActorStarted(path=PATH), "debug"),
    "actor.exited": (ActorExited(path=PATH, reason=ExitReason("normal")), "debug"),
    "actor.crashed": (ActorCrashed(path=PATH, reason=REASON), "warning"),
    "actor.restart_scheduled": (RestartScheduled(path=PATH, reason=REASON, delay_s=1.0), "debug"),
    "actor.restarted": (ActorRestarted(path=PATH, restarts=3), "info"),
    "actor.gave_up": (ChildGaveUp(path=PATH, reason=REASON, restarts=3), "error"),
    "actor.mailbox_overflow": (MailboxOverflow(path=PATH, bound=10), "warning"),
    "actor.dead_letters": (
        DeadLetters(path=PATH, count=2, types=("Go", "Stop"), reason=REASON),
        "warning",
    ),
    "actor.tell_refused": (TellRefused(path=PATH, message_type="Go", error=Boom()), "warning"),
    "actor.thread_abandoned": (ThreadAbandoned(path=PATH, after_s=5.0), "error"),
}


def value(meters: Meters, name: str, actor: str) -> float | None:
    return meters.registry.get_sample_value(f"workflow_system_{name}", {"actor": actor})


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def logged() -> Iterator[list[structlog.typing.EventDict]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


# --- the log


def test_every_event_of_the_kernel_has_a_level() -> None:
    kinds = [kind for _, kind in inspect.getmembers(events, inspect.isclass)]
    keys = {kind.key for kind in kinds if issubclass(kind, Event) and kind is not Event}
    assert set(LEVELS) == keys == set(EVENTS)


@pytest.mark.parametrize("key", EVENTS)
def test_an_event_is_one_line_under_its_key_with_all_its_fields(
    meters: Meters, logged: list[Any], key: str
) -> None:
    event, level = EVENTS[key]
    Lifecycle(meters)(event)
    (line,) = logged
    line.pop("exc_info", None)
    assert line == {"event": key, "log_level": level, **event.fields()}
    assert line["path"] == PATH


def test_what_no_log_will_hold_is_not_put_into_words(meters: Meters) -> None:
    class Unspeakable(ActorStarted):
        def fields(self) -> dict[str, object]:
            raise AssertionError("who asks?")

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    Lifecycle(meters)(Unspeakable(path=PATH))
    assert value(meters, "actors_up", "workflow") == 1


def crash() -> ActorCrashed:
    try:
        raise Boom("again")
    except Boom as error:
        return ActorCrashed(path=PATH, reason=ExitReason.crash(error))


def test_only_the_first_crash_from_a_line_brings_its_traceback(
    meters: Meters, logged: list[Any]
) -> None:
    lifecycle = Lifecycle(meters)
    first, second = crash(), crash()
    try:
        raise Boom("elsewhere")
    except Boom as error:
        third = ActorCrashed(path=PATH, reason=ExitReason.crash(error))
    for event in (first, second, third):
        lifecycle(event)
    traced = [line.get("exc_info") for line in logged]
    assert traced == [first.reason.cause, None, third.reason.cause]


# --- the metrics


@pytest.mark.parametrize(
    ("path", "actor"),
    [
        ("root", "root"),
        ("root/stores/beads_writer", "beads_writer"),
        ("root/agents/agent_instances/research-1", "research-1"),
        ("root/engine/workflow_instances", "workflow_instances"),
        (PATH, "workflow"),
        (f"{PATH}/below", "workflow"),
    ],
)
def test_all_workflows_are_counted_under_one_name(path: str, actor: str) -> None:
    assert place(path) == actor


async def test_a_crash_and_its_restart_are_counted_and_leave_one_actor_up(meters: Meters) -> None:
    async with System.open(Lifecycle(meters)) as system:
        await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=AT_ONCE))
        assert value(meters, "actors_up", "a") == 1
        system.named("a").tell(Crash())
        await trio.testing.wait_all_tasks_blocked()
        assert value(meters, "actor_crashes_total", "a") == 1
        assert value(meters, "actor_restarts_total", "a") == 1
        assert value(meters, "actors_up", "a") == 1
    assert value(meters, "actors_up", "a") == 0
    assert value(meters, "actors_up", "root") == 0


async def test_an_actor_that_does_not_start_was_never_up(meters: Meters) -> None:
    class Stillborn(Probe):
        async def on_start(self) -> None:
            raise Boom("no")

    async with System.open(Lifecycle(meters)) as system:
        with pytest.raises(StartError):
            await system.start(ChildSpec(id="a", build=Stillborn))
    assert value(meters, "actors_up", "a") is None
    assert value(meters, "actor_crashes_total", "a") == 1


async def test_an_actor_that_is_given_up_is_counted(meters: Meters) -> None:
    once = Intensity(restarts=1, period_s=60.0)
    build = lambda: DynamicSupervisor(per_child=once, backoff=AT_ONCE)  # noqa: E731
    async with System.open(Lifecycle(meters)) as system:
        await system.start(ChildSpec(id="workflow_instances", name="all", build=build))
        for name in ("a", "b"):
            await ask(system.named("all"), StartChild(spec=probe(name)))
        for _ in range(2):
            system.named("a").tell(Crash())
            await trio.testing.wait_all_tasks_blocked()
        assert value(meters, "actor_gave_up_total", "workflow") == 1
        assert value(meters, "actor_crashes_total", "workflow") == 2
        assert value(meters, "actors_up", "workflow") == 1


async def test_dead_letters_are_counted_one_by_one(meters: Meters) -> None:
    async with System.open(Lifecycle(meters)) as system:
        await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=AT_ONCE))
        for message in (Crash(), Note(1), Note(2), Note(3)):
            system.named("a").tell(message)
        await trio.testing.wait_all_tasks_blocked()
    assert value(meters, "actor_dead_letters_total", "a") == 3


async def test_a_mailbox_that_overflows_is_counted_once(meters: Meters) -> None:
    gate = Gate()
    async with System.open(Lifecycle(meters)) as system:
        await system.start(supervisor("root", "one_for_one", [thread("a")]))
        system.named("a").tell(Run(function=gate))
        await gate.wait_reached()
        turned_away = 0
        while turned_away < 3:
            try:
                system.named("a").tell(Note(0))
            except MailboxFull:
                turned_away += 1
        gate.open()
    assert value(meters, "actor_mailbox_overflows_total", "a") == 1
