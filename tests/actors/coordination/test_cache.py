"""What is read of a workflow is never older than what was acknowledged."""

from pathlib import Path

import pytest
import trio

from actors.bus import Subscribe
from actors.clock import rfc3339, system_clock
from actors.coordination.messages import TerminateWorkflow
from actors.coordination.record_memory import Limits
from actors.errors import NotFound
from actors.workflows.messages import PauseInstance, TerminateInstance
from tests.support.cached import crash_the_manager, kill_the_writer, patient, storm
from tests.support.faults import crash_the_bus
from tests.support.world import running_system

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times


async def test_a_change_is_seen_by_whoever_made_it(tmp_path: Path) -> None:
    async with running_system(tmp_path, workflows=[patient]) as running:
        await storm(running)
        counted = running.world.meters.cache_requests.labels("memory", "hit")
        assert counted._value.get() > 0


async def test_it_is_seen_when_the_manager_the_bus_and_a_writer_die(tmp_path: Path) -> None:
    async with running_system(tmp_path, workflows=[patient]) as running:
        await storm(running, crash_the_manager, crash_the_bus, kill_the_writer, seed=2)


async def test_it_is_seen_when_there_is_hardly_any_room(tmp_path: Path) -> None:
    async with running_system(
        tmp_path, workflows=[patient], cache=Limits(records=3, size_bytes=4096)
    ) as running:
        await storm(running, seed=3, pairs=200)


async def test_what_the_mapping_has_not_followed_yet_is_shown(tmp_path: Path) -> None:
    """The engine is asked, too: the mapping follows by way of the bus."""
    async with running_system(tmp_path, workflows=[patient]) as running:
        started = await running.start("patient")
        await running.until(lambda seen: any(f.type == "workflow_started" for f in seen))
        at = rfc3339(system_clock())
        for command in (
            PauseInstance(workflow_id=started.id, reason="", at=at),
            TerminateInstance(workflow_id=started.id, reason="", at=at),
        ):
            await running.ask("tempolite_writer", command)
            shown = await running.get(started.id)
            assert shown.status == (
                "paused" if isinstance(command, PauseInstance) else "terminated"
            )
        assert shown.completed_at == at


async def test_a_fact_that_was_published_is_seen(tmp_path: Path) -> None:
    async with running_system(tmp_path, workflows=[patient]) as running:
        ids = [(await running.start("patient")).id for _ in range(10)]
        subscription = await running.ask("event_bus", Subscribe())
        for workflow_id in ids:
            await running.get(workflow_id)
            await running.ask("manager", TerminateWorkflow(workflow_id=workflow_id))
        ended = 0
        with trio.fail_after(20):
            while ended < len(ids):
                for fact in await subscription.batches.receive():
                    if fact.type == "workflow_terminated" and fact.workflow_id:
                        assert (await running.get(fact.workflow_id)).status == "terminated"
                        ended += 1


async def test_who_changes_what_they_were_given_changes_nobody_else_s(tmp_path: Path) -> None:
    async with running_system(tmp_path, workflows=[patient]) as running:
        started = await running.start("patient")
        first = await running.get(started.id)
        first.variables["mine"] = True
        assert (await running.get(started.id)).variables == {}


async def test_a_workflow_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with running_system(tmp_path, workflows=[patient]) as running:
        for _ in range(2):
            with pytest.raises(NotFound):
                await running.get("no-such-workflow")
