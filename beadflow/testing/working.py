"""What instances of a class do in a running system while nothing goes wrong."""

import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import pydantic
import trio

from actors.agents import catalogue
from actors.agents.messages import Examine, Introduce
from actors.agents.registration_messages import (
    GetAgentConfig,
    UnregisterAgent,
    UpdateAgentConfig,
)
from actors.coordination.messages import CancelWorkflow
from actors.errors import Conflict, ValidationError
from actors.workflows.definition import ActivityDefinition
from beadflow.testing.house import House, house
from beadflow.testing.subject import Nonconformance, Subject, expect

_ODD: tuple[Any, ...] = (7, [], "x", {"no_such_field": 1}, None, {}, [[[]]], True)
"""Inputs of which most types refuse one."""


async def hooks_are_called_in_order(subject: Subject) -> None:
    """initialize, start; and at the end stop, shutdown: each once."""
    async with house(subject) as home:
        agent_id = await home.registered()
        await home.ask("coordinator", UnregisterAgent(agent_id=agent_id))
    found = [hook for hook in home.diary.of(agent_id) if hook != "health_check"]
    expect(
        found == ["initialize", "start", "stop", "shutdown"],
        f"its hooks were called in this order: {', '.join(found)}; does one forget super()?",
    )


async def it_says_how_it_is(subject: Subject) -> None:
    """`health_check` answers in time, in JSON, and `metrics` counts from nothing."""
    async with house(subject) as home:
        agent_id = await home.registered()
        report = await home.ask(f"agent/{agent_id}", Examine())
        health, metrics = report.health, report.metrics
        expect(health.healthy or health.message, "it is not healthy and does not say why")
        expect(not health.message.startswith("its health check "), health.message)
        counted = (metrics.tasks_done, metrics.tasks_failed, metrics.seconds, metrics.current)
        expect(counted == (0, 0, 0, 0), f"before it did anything it has done: {metrics}")


async def examples_succeed(subject: Subject) -> None:
    """Each result is what its activity says, and is counted; nothing else is kept from running."""
    async with house(subject) as home:
        agent_id = await home.registered()
        for done, (name, given) in enumerate(subject.examples.items(), start=1):
            await _succeeds(home, agent_id, name, given)
            metrics = (await home.state(agent_id)).metrics
            expect(metrics is not None and metrics.tasks_done == done, f"it counted {metrics}")


async def _succeeds(home: House, agent_id: str, name: str, given: Any) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_see_that_others_run, home, agent_id, name)
        record = await home.ended(await home.begin(name, given))
        nursery.cancel_scope.cancel()
    expect(
        record.status == "completed",
        f"activity {name!r} failed: {record.error_code}: {record.error_message}",
    )
    await home.idle(agent_id)
    value = await home.output(record.id)
    home.subject.agent_class.activities[name].output.validate_python(value)


async def _see_that_others_run(home: House, agent_id: str, name: str) -> None:
    """An agent answers while it works, and its activity leaves the event loop to others."""
    limit_s = home.subject.blocking_s
    while True:
        before = trio.current_time()
        await trio.sleep(0.01)
        late_s = trio.current_time() - before
        expect(
            late_s < limit_s,
            f"activity {name!r} kept everything else waiting for {late_s:.1f} s: have it wait with"
            " await, or make it a plain function, which runs in a thread",
        )
        await home.ask(f"agent/{agent_id}", Introduce())


async def a_wrong_input_is_an_outcome(subject: Subject) -> None:
    """The attempt fails, for good, and the agent lives on."""
    async with house(subject) as home:
        agent_id = await home.registered()
        for name in subject.agent_class.capabilities():
            wrong = _wrong(subject.agent_class.activities[name])
            for given in wrong:
                record = await home.ended(await home.begin(name, given))
                expect(record.status == "failed", f"activity {name!r} took {given!r}")
        await home.idle(agent_id)
        expect(home.restarts(f"/{agent_id}") == 0, "a wrong input had the agent restarted")


def _wrong(definition: ActivityDefinition) -> list[Any]:
    """An input that it does not take, if there is one."""
    for given in _ODD if definition.input_type is not None else ():
        try:
            definition.input.validate_python(given)
        except pydantic.ValidationError:
            return [given]
    return []


async def what_nobody_wants_any_more_ends(subject: Subject) -> None:
    """A cancelled activity is over soon, and its agent can do the next one."""
    async with house(subject) as home:
        agent_id = await home.registered()
        for name, given in subject.examples.items():
            begun, left = len(home.diary.orders), home.diary.left
            workflow_id = await home.begin(name, given)
            await home.until(f"activity {name!r} has begun", partial(_has_begun, home, begun))
            with contextlib.suppress(Conflict):  # it has ended by itself
                await home.ask("manager", CancelWorkflow(workflow_id=workflow_id))
            await home.until(
                f"activity {name!r} was over that was cancelled",
                partial(_is_over, home, left),
                limit_s=subject.cancel_s,
                otherwise=": does it catch trio.Cancelled, or shield what takes long?",
            )
            await home.ended(workflow_id)
        await home.idle(agent_id)
        expect(home.restarts(f"/{agent_id}") == 0, "being cancelled had the agent restarted")


def _has_begun(home: House, begun: int) -> bool:
    return len(home.diary.orders) > begun


def _is_over(home: House, left: int) -> bool:
    return home.diary.left > left


async def it_is_set_up_anew_at_run_time(subject: Subject) -> None:
    """The same in other words, and a limit: it works with both, told of it or started anew."""
    async with house(subject) as home:
        agent_id = await home.registered()
        config = _in_other_words(subject)
        update = UpdateAgentConfig(agent_id=agent_id, config=config, max_workload=1)
        await home.ask("coordinator", update)

        async def is_settled() -> bool:
            found = await home.ask("coordinator", GetAgentConfig(agent_id=agent_id))
            return not found.pending and bool((await home.state(agent_id)).agent.up)

        await home.until("it goes on with its new configuration", is_settled)
        limit = (await home.state(agent_id)).agent.max_workload
        expect(limit == 1, f"its limit was to be 1 and is {limit}")
        await works(home)


def _in_other_words(subject: Subject) -> Mapping[str, Any]:
    """The same configuration with a default spelled out, where there is one."""
    kind, given = subject.agent_class, dict(subject.config)
    for name, value in catalogue.shown(catalogue.parse(kind, given)).items():
        if name not in given:
            with contextlib.suppress(ValidationError):
                catalogue.parse(kind, {**given, name: value})
                return {**given, name: value}
    return given


async def works(home: House) -> None:
    """See that the first example succeeds."""
    for name, given in list(home.subject.examples.items())[:1]:
        record = await home.ended(await home.begin(name, given))
        if record.status != "completed":
            why = f"{record.error_code}: {record.error_message}"
            raise Nonconformance(f"activity {name!r} failed afterwards: {why}")
