"""Starting workflows: everything that can refuse does so before anything is written."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.agents.messages import ListAgents, ReserveAgent
from actors.coordination import manager, store
from actors.coordination.messages import RecordStart
from actors.errors import Conflict, NotFound, Overloaded, StorageFull, ValidationError
from beadflow import Agent, Context, Task, activity, workflow
from supervision import ActorDeadError, UnexpectedMessage
from tests.support.faults import crash, hold_up, restarts, until
from tests.support.world import Running, ended_workflows, running_system


@workflow
async def plain(ctx: Context, variables: dict[str, Any]) -> None: ...


class Helper(Agent):
    agent_type = "helper"
    max_workload = 2

    @activity
    async def help(self, task: Task) -> None:
        await trio.sleep_forever()


@workflow(agent_type="helper")
async def helped(ctx: Context) -> None:
    await ctx.activity(Helper.help)


async def workload(running: Running) -> int:
    agents = await running.ask("coordinator", ListAgents())
    return sum(agent.workload for agent in agents)


def counts(running: Running) -> tuple[int, ...]:
    places = (
        (running.stores.coordination, "workflow_mappings"),
        (running.stores.coordination, "intents"),
        (running.stores.coordination, "agent_assignments"),
        (running.stores.tempolite, "instances"),
        (running.stores.beads, "issues"),
    )
    return tuple(
        readers.inline.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        for readers, table in places
    )


@pytest.mark.parametrize(
    ("given", "error", "field"),
    [
        ({"title": "  "}, ValidationError, "issue_title"),
        ({"title": "x" * 501}, ValidationError, "issue_title"),
        ({"title": "é" * 251}, ValidationError, "issue_title"),
        ({"title": "half a \udc80 pair"}, ValidationError, "issue_title"),
        ({"title": "two\nlines"}, ValidationError, "issue_title"),
        ({"title": "bell\x07"}, ValidationError, "issue_title"),
        ({"priority": 5}, ValidationError, "priority"),
        ({"priority": -1}, ValidationError, "priority"),
        ({"variables": {"x": "y" * 300_000}}, ValidationError, "variables"),
        ({"variables": {"x": "漢" * 100_000}}, ValidationError, "variables"),
        ({"variables": {"x": float("nan")}}, ValidationError, "variables"),
        ({"variables": {"x": "\udc80"}}, ValidationError, "variables"),
        ({"variables": {"x": object()}}, ValidationError, "variables"),
        ({"workflow_type": "helped", "variables": {"x": 1}}, ValidationError, "variables.x"),
        ({"workflow_id": ""}, ValidationError, "workflow_id"),
        ({"workflow_id": "a/b"}, ValidationError, "workflow_id"),
        ({"workflow_id": ".."}, ValidationError, "workflow_id"),
        ({"workflow_id": "-o"}, ValidationError, "workflow_id"),
        ({"workflow_id": "é"}, ValidationError, "workflow_id"),
        ({"workflow_id": "x" * 101}, ValidationError, "workflow_id"),
        ({"workflow_id": "types"}, ValidationError, "workflow_id"),
        ({"workflow_id": "parent.3"}, ValidationError, "workflow_id"),
        ({"workflow_id": "parent.3.0.1"}, ValidationError, "workflow_id"),
        ({"workflow_id": "parent.2~1"}, ValidationError, "workflow_id"),
        ({"workflow_type": "unknown"}, NotFound, None),
        ({"agent_type": "unknown"}, NotFound, None),
    ],
)
async def test_a_start_that_cannot_be_made_is_refused_and_leaves_nothing(
    repo: Path, given: dict[str, Any], error: type[Exception], field: str | None
) -> None:
    async with running_system(repo, workflows=[plain, helped], agents=[Helper]) as running:
        with pytest.raises(error) as refused:
            await running.start(**{"workflow_type": "plain", **given})
        assert getattr(refused.value, "field", None) == field
        assert counts(running) == (0, 0, 0, 0, 0)
        assert await workload(running) == 0
        assert restarts(running, "manager") == 0


async def test_an_id_that_means_something_else_is_refused_as_that(repo: Path) -> None:
    async with running_system(repo, workflows=[plain]) as running:
        with pytest.raises(ValidationError, match="no workflow can be called 'types'"):
            await running.start("plain", workflow_id="types")


@pytest.mark.parametrize("title", ["x" * 500, "é" * 250, "  a title of its own  "])
async def test_a_title_up_to_its_limit_is_taken(repo: Path, title: str) -> None:
    async with running_system(repo, workflows=[plain]) as running:
        assert (await running.start("plain", title=title)).title == title


async def test_a_start_is_in_all_three_databases_when_it_is_answered(repo: Path) -> None:
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        started = await running.start("helped", priority=0)
        mappings, _, assignments, instances, issues = counts(running)
        assert (mappings, assignments, instances, issues) == (1, 1, 1, 1)
        assert (started.priority, started.agent_type, started.agent_id) == (0, "helper", "helper-1")
        assert (await running.get(started.id)).created_at == started.created_at


async def test_an_idempotency_key_used_for_another_request_is_refused(repo: Path) -> None:
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        first = await running.start("helped", idempotency_key="k")
        assert (await running.start("helped", idempotency_key="k")).id == first.id
        with pytest.raises(Conflict, match=first.id):
            await running.start("helped", title="another", idempotency_key="k")
        await until_workload(running, 1)


@pytest.mark.parametrize("chosen", ["x", "2025-03-01.report_a~b", "v1.2-rc", "x" * 100])
async def test_a_workflow_may_be_given_its_id(repo: Path, chosen: str) -> None:
    async with running_system(repo, workflows=[plain]) as running:
        started = await running.start("plain", workflow_id=chosen)
        assert started.id == chosen
        assert (await running.ended(chosen))[0].status == "completed"


async def test_the_same_start_with_the_same_id_is_one_workflow(repo: Path) -> None:
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        first = await running.start("helped", workflow_id="chosen")
        again = await running.start("helped", workflow_id="chosen", idempotency_key="another")
        assert (again.id, again.beads_issue_id) == ("chosen", first.beads_issue_id)
        with pytest.raises(Conflict, match="this id started workflow chosen"):
            await running.start("helped", title="another", workflow_id="chosen")
        await until_workload(running, 1)
        assert counts(running)[0] == 1


async def test_many_starts_with_one_id_at_once_are_one_workflow(repo: Path) -> None:
    found: set[str] = set()
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:

        async def start() -> None:
            record = await running.start("helped", workflow_id="chosen")
            found.add(record.beads_issue_id)

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(start)
        assert len(found) == 1
        await until_workload(running, 1)
        assert (await running.start("helped")).agent_id == "helper-1"
        await until_workload(running, 2)


async def test_a_key_stands_for_a_start_with_its_id(repo: Path) -> None:
    async with running_system(repo, workflows=[plain]) as running:
        await running.start("plain", workflow_id="a", idempotency_key="k")
        with pytest.raises(Conflict, match="this idempotency key started workflow a"):
            await running.start("plain", workflow_id="b", idempotency_key="k")


async def until_workload(running: Running, wanted: int) -> None:
    with trio.fail_after(10):
        while await workload(running) != wanted:
            await trio.sleep(0.002)


async def test_many_starts_with_one_key_at_once_are_one_workflow(repo: Path) -> None:
    found: set[str] = set()
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:

        async def start() -> None:
            found.add((await running.start("helped", idempotency_key="k")).id)

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(start)
        assert len(found) == 1
        await until_workload(running, 1)


@pytest.mark.parametrize("who", ["issues/tracker", "agents/coordinator"])
async def test_a_start_while_somebody_is_away_is_overload_and_no_crash(
    repo: Path, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        name = who.rsplit("/", 1)[-1]

        async def away(target: Any, message: Any, **_: Any) -> Any:
            if name in target.label:
                raise ActorDeadError(f"{name} ended")
            return await running.ask(target.label, message)

        with monkeypatch.context() as patched:
            patched.setattr(manager, "ask", away)
            for _ in range(5):
                with pytest.raises(Overloaded, match="nothing was started"):
                    await running.start("helped")
        assert restarts(running, "manager") == 0
        assert counts(running) == (0, 0, 0, 0, 0)
        assert (await running.start("helped")).agent_id == "helper-1"
        await until_workload(running, 1)


async def test_a_reservation_of_a_manager_that_died_is_taken_back(repo: Path) -> None:
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        await running.ask("coordinator", ReserveAgent(workflow_id="never", agent_type="helper"))
        assert await workload(running) == 1
        bad: Any = manager.StartWorkflow(title=3, workflow_type="helped")  # type: ignore[arg-type]
        await crash(running, "root/coordination/manager", bad)
        await until_workload(running, 0)


async def test_a_start_that_a_manager_died_with_is_made_while_the_system_runs(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a simulation: between its commits, only the next start of the process took it up."""
    original, calls = manager.intents.make, 0

    async def die_once(*args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("the manager died between its commits")
        await original(*args, **kwargs)

    monkeypatch.setattr(manager.intents, "make", die_once)
    monkeypatch.setattr(manager.intents, "RETRY_S", 0.001)
    async with running_system(repo, workflows=[plain]) as running:
        with pytest.raises(ActorDeadError):
            await running.start("plain", idempotency_key="k")
        await until(lambda: restarts(running, "root/coordination/manager") == 1)
        known = await running.start("plain", idempotency_key="k")
        (ended,) = await running.ended(known.id)
        assert ended.status == "completed"
        await until(lambda: counts(running)[1] == 0)


async def test_a_start_that_was_on_its_way_to_the_disk_when_the_manager_died_is_made(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a simulation: the next manager had nobody wait for what was not committed yet."""
    disk = hold_up(monkeypatch, store, RecordStart)
    monkeypatch.setattr(manager.intents, "RETRY_S", 0.001)
    bad: Any = manager.StartWorkflow(title=3, workflow_type="plain")  # type: ignore[arg-type]
    async with running_system(repo, workflows=[plain]) as running:
        message = manager.StartWorkflow(title="a title", workflow_type="plain")
        running.system.named("manager").tell(message)
        await until(disk.busy.is_set)
        await crash(running, "root/coordination/manager", bad)
        await trio.testing.wait_all_tasks_blocked()
        disk.free.set()
        await running.until(lambda seen: len(ended_workflows(seen)) == 1)
        await until(lambda: counts(running) == (1, 0, 0, 1, 1))


async def test_a_start_that_meets_a_full_disk_is_refused_and_made_when_there_is_room(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any, **__: Any) -> None:
        raise StorageFull("the disk is full")

    async with running_system(repo, workflows=[plain]) as running:
        original = manager.intents.make
        calls = 0

        async def once(*args: Any, **kwargs: Any) -> None:
            nonlocal calls
            calls += 1
            await (full if calls == 1 else original)(*args, **kwargs)

        monkeypatch.setattr(manager.intents, "make", once)
        monkeypatch.setattr(manager.intents, "RETRY_S", 0.001)
        with pytest.raises(StorageFull):
            await running.start("plain", idempotency_key="k")
        known = await running.start("plain", idempotency_key="k")
        (ended,) = await running.ended(known.id)
        assert ended.status == "completed"
        await until(lambda: counts(running)[1] == 0)


async def test_what_the_manager_does_not_know_is_refused(repo: Path) -> None:
    async with running_system(repo) as running:
        with pytest.raises(UnexpectedMessage):
            await running.ask("manager", "hello")
