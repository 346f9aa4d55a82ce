"""What becomes of instances of a class, and of their work, when they crash."""

import trio

from actors.agents import catalogue
from actors.agents.messages import Configure, TaskDone
from actors.agents.protocol import Agent
from actors.agents.registration_messages import (
    ActivateAgent,
    UnregisterAgent,
)
from actors.errors import NotFound
from beadflow.testing.house import House, house
from beadflow.testing.subject import Nonconformance, Subject, expect
from beadflow.testing.working import works
from storage import payload

_LATE = "late answer of the conformance suite"


async def a_crash_while_it_starts_is_made_up_for(subject: Subject) -> None:
    """In `initialize` or behind it: the next life comes up."""
    for hook in ("initialize", "start"):
        async with house(subject) as home:
            home.diary.breaks[hook] = 1
            agent_id = await home.register()
            await home.until(f"{hook} has crashed", lambda: home.diary.breaks[hook] == 0)  # noqa: B023
            await home.ask("coordinator", ActivateAgent(agent_id=agent_id))
            await home.up(agent_id)
            await works(home)


async def a_crash_while_it_is_restarted_is_made_up_for(subject: Subject) -> None:
    """It crashes, and crashes again while the next life gets ready."""
    async with house(subject) as home:
        agent_id = await home.registered()
        home.diary.breaks["initialize"] = 1
        await home.crash(agent_id)
        await home.up(agent_id)
        await works(home)
        begun = home.diary.of(agent_id).count("initialize")
        lives = 3
        expect(begun == lives, f"{lives} lives were begun, and initialize was called {begun} times")


async def a_crash_while_it_stops_leaves_nothing_behind(subject: Subject) -> None:
    """In `stop` or `shutdown`: the agent is gone all the same, and another one works."""
    for hook in ("stop", "shutdown"):
        async with house(subject) as home:
            agent_id = await home.registered()
            home.diary.breaks[hook] = 1
            await home.ask("coordinator", UnregisterAgent(agent_id=agent_id))
            await home.until(f"{hook} has crashed", lambda: home.diary.breaks[hook] == 0)  # noqa: B023
            try:
                await home.state(agent_id)
            except NotFound:
                pass
            else:
                raise Nonconformance("an agent is still there that was unregistered")
            await home.registered()
            await works(home)


async def a_crash_while_it_is_set_up_anew_is_made_up_for(subject: Subject) -> None:
    """In `configure`: the next life begins with the new configuration."""
    if subject.agent_class.configure is Agent.configure:
        return  # it is started anew instead
    async with house(subject) as home:
        agent_id = await home.registered()
        home.diary.breaks["configure"] = 1
        config = catalogue.parse(subject.agent_class, subject.config)
        home.agent(agent_id).tell(Configure(config=config, config_sha256="another"))
        await home.until(
            "it is restarted with what it is to be set up with",
            lambda: home.restarts(f"/{agent_id}") > 0,
        )
        await home.up(agent_id)
        await works(home)


async def a_crash_of_the_health_check_is_an_answer(subject: Subject) -> None:
    async with house(subject) as home:
        agent_id = await home.registered()
        home.diary.breaks["health_check"] = 1
        await home.until("its health was asked for", lambda: _asked(home, agent_id))
        health = (await home.state(agent_id)).health
        expect(health is not None, "it does not say how it is after its health check failed once")
        expect(home.restarts(f"/{agent_id}") == 0, "its health check had it restarted")


async def _asked(home: House, agent_id: str) -> bool:
    before = home.diary.breaks["health_check"]
    health = (await home.state(agent_id)).health
    if before:
        expect(
            health is not None and not health.healthy,
            "its health check failed, and it calls itself healthy",
        )
    return home.diary.breaks["health_check"] == 0


async def what_it_did_when_it_crashed_is_done_again(subject: Subject) -> None:
    """Its activity had ended, and nobody had heard of it: it runs again under the same key."""
    for name, given in subject.examples.items():
        async with house(subject) as home:  # one each: restarts of an agent are used up
            agent_id = await home.registered()
            home.diary.unsaid = 1
            record = await home.ended(await home.begin(name, given))
            expect(
                record.status == "completed",
                f"activity {name!r} ended, its agent crashed, and done again under the same key it"
                f" failed: {record.error_code}: {record.error_message}",
            )
            await home.up(agent_id)
            await home.idle(agent_id)


async def its_work_goes_to_another_and_its_late_answer_is_refused(subject: Subject) -> None:
    for name, given in list(subject.examples.items())[:1]:
        async with house(subject) as home:
            first, second = await home.registered(), await home.registered()
            home.diary.gate = trio.Event()
            workflow_id = await home.begin(name, given)
            await home.until("its activity has begun", lambda: len(home.diary.orders) == 1)
            busy = await _busy(home, first, second)
            order = home.diary.orders[0]
            await home.crash(busy)
            await home.until("another has begun it", lambda: len(home.diary.orders) > 1)
            late = payload.encode({"result": _LATE})
            home.hand_in(TaskDone(agent_id=busy, order=order, result=late))
            home.diary.gate.set()
            record = await home.ended(workflow_id)
            expect(record.status == "completed", f"it failed: {record.error_message}")
            expect(await home.output(workflow_id) != _LATE, "an answer that came late was taken")
            expect(
                home.diary.orders[1].fence > order.fence, "the second attempt has no newer fence"
            )


async def _busy(home: House, *agent_ids: str) -> str:
    for agent_id in agent_ids:
        if (await home.state(agent_id)).agent.running:
            return agent_id
    raise Nonconformance("an activity has begun, and no agent says that it does it")
