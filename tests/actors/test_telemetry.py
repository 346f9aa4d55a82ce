"""What the system measures of itself."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from actors import facts
from actors.facts import FactsLogged, LoggedFact
from actors.telemetry import Meters, Telemetry
from supervision import ChildSpec, System, UnexpectedMessage, ask, supervisor

PREFIX = "workflow_system_"


def fact(kind: str, *, at: str = "2026-03-01T00:00:00Z", **data: Any) -> LoggedFact:
    return LoggedFact(seq=1, type=kind, workflow_id="w-1", issue_id=None, at=at, data=data)


async def counted(*found: LoggedFact) -> Meters:
    """Have facts counted, each batch by a telemetry actor of its own life."""
    meters = Meters()
    await tell(meters, found)
    return meters


async def tell(meters: Meters, found: Sequence[LoggedFact]) -> None:
    async with System.open() as system:
        child = ChildSpec(id="t", name="t", build=lambda: Telemetry(meters=meters))
        await system.start(supervisor("root", "one_for_one", [child]))
        system.named("t").tell(FactsLogged(facts=tuple(found)))
        await trio.testing.wait_all_tasks_blocked()


def value(meters: Meters, name: str, **labels: str) -> float | None:
    return meters.registry.get_sample_value(PREFIX + name, labels)


KINDS = ("input", "output", "cache_read", "cache_write")
STARTED = fact(facts.WORKFLOW_STARTED, type="flow", version=1)
ASSIGNED = fact(facts.AGENT_ASSIGNED, agent_id="a-1", agent_type="a")


async def test_starts_and_ends_are_counted_by_type_and_how() -> None:
    meters = await counted(
        STARTED, fact(facts.WORKFLOW_COMPLETED, at="2026-03-01T00:00:03Z", type="flow", summary="")
    )
    assert value(meters, "workflows_started_total", type="flow") == 1
    assert value(meters, "workflows_completed_total", type="flow", status="completed") == 1
    assert value(meters, "workflow_duration_seconds_sum", type="flow", agent="") == 3.0


async def test_the_time_of_a_workflow_is_that_of_the_agent_it_was_given() -> None:
    failed = fact(facts.WORKFLOW_FAILED, at="2026-03-01T00:00:02Z", type="flow", code="c")
    meters = await counted(STARTED, ASSIGNED, failed)
    assert value(meters, "workflow_duration_seconds_sum", type="flow", agent="a-1") == 2.0
    assert value(meters, "workflows_completed_total", type="flow", status="failed") == 1


async def test_what_models_have_used_is_counted_by_agent_and_kind() -> None:
    used = {f"{kind}_tokens": number for number, kind in enumerate(KINDS, 1)}
    step = {"step": "1", "activity": "turn", "agent_id": "a-1", "agent_type": "a", "attempt": 1}
    meters = await counted(
        fact(facts.USAGE_RECORDED, **step, **used, cost_usd=0.25),
        fact(facts.USAGE_RECORDED, **step, **used),
    )
    for number, kind in enumerate(KINDS, 1):
        assert value(meters, "agent_tokens_total", agent_type="a", kind=kind) == 2 * number
    assert value(meters, "agent_cost_usd_total", agent_type="a") == 0.25


async def test_an_end_whose_start_was_not_seen_is_counted_without_a_time() -> None:
    meters = await counted(ASSIGNED, fact(facts.WORKFLOW_DEAD_LETTERED, code="c", message="m"))
    assert value(meters, "workflows_completed_total", type="unknown", status="dead_letter") == 1
    assert value(meters, "workflow_duration_seconds_count", type="unknown", agent="") is None


async def test_a_dead_letter_is_counted_under_the_type_it_started_with() -> None:
    meters = await counted(STARTED, fact(facts.WORKFLOW_DEAD_LETTERED, code="c", message="m"))
    assert value(meters, "workflows_completed_total", type="flow", status="dead_letter") == 1


@pytest.mark.parametrize("how", ["cancelled", "terminated"])
async def test_ends_that_somebody_asked_for_are_counted_as_such(how: str) -> None:
    ended = fact(f"workflow_{how}", at="2026-03-01T00:00:02Z", type="flow", reason="why")
    meters = await counted(STARTED, ended)
    assert value(meters, "workflows_completed_total", type="flow", status=how) == 1
    assert value(meters, "workflow_duration_seconds_sum", type="flow", agent="") == 2.0


async def test_steps_of_agents_are_timed_and_those_of_the_engine_are_not() -> None:
    step = fact(facts.STEP_COMPLETED, step="1", activity="dig", agent_type="a", seconds=0.3)
    own = fact(facts.STEP_COMPLETED, step="2", activity="add", attempts=1)
    meters = await counted(step, own)
    name = "agent_task_duration_seconds"
    assert value(meters, f"{name}_sum", agent_type="a", task="dig") == 0.3
    assert value(meters, f"{name}_bucket", agent_type="a", task="dig", le="0.25") == 0
    assert value(meters, f"{name}_bucket", agent_type="a", task="dig", le="0.5") == 1


async def test_counters_outlive_the_actor_that_counts() -> None:
    meters = await counted(STARTED)
    await tell(meters, [STARTED])
    assert value(meters, "workflows_started_total", type="flow") == 2


async def test_gauges_and_query_times_are_set_where_they_arise() -> None:
    meters = Meters()
    meters.observe_workload("a-1", "a", 3)
    meters.observe_query("beads", "list", 0.25)
    assert value(meters, "agent_workload", agent_id="a-1", agent_type="a") == 3
    name = "database_query_duration_seconds_sum"
    assert value(meters, name, database="beads", operation="list") == 0.25


async def test_many_queries_are_counted_at_once_as_one_by_one() -> None:
    meters = Meters()
    meters.observe_query("beads", "list", 0.25, 2)
    meters.observe_query("beads", "list", 0.5)
    meters.observe_query("beads", "list", 60.0)
    name, labels = "database_query_duration_seconds", {"database": "beads", "operation": "list"}
    assert value(meters, f"{name}_count", **labels) == 4
    assert value(meters, f"{name}_sum", **labels) == 61.0
    buckets = {
        le: value(meters, f"{name}_bucket", **labels, le=le) for le in ("0.1", "0.25", "0.5")
    }
    assert buckets == {"0.1": 0, "0.25": 2, "0.5": 3}
    assert value(meters, f"{name}_bucket", **labels, le="10.0") == 3
    assert value(meters, f"{name}_bucket", **labels, le="+Inf") == 4


async def test_two_systems_do_not_share_their_meters() -> None:
    Meters().observe_workload("a-1", "a", 3)
    assert value(Meters(), "agent_workload", agent_id="a-1", agent_type="a") is None


async def test_what_is_no_batch_of_facts_is_refused() -> None:
    async with System.open() as system:
        child = ChildSpec(id="t", name="t", build=lambda: Telemetry(meters=Meters()))
        await system.start(supervisor("root", "one_for_one", [child]))
        message: Any = "hello"
        with pytest.raises(UnexpectedMessage):
            await ask(system.named("t"), message)


async def test_transactions_are_counted_by_size_and_time() -> None:
    meters = Meters()
    meters.observe_commit("beads", 7, 0.003)
    name = "database_commit"
    assert value(meters, f"{name}_duration_seconds_sum", database="beads") == 0.003
    assert value(meters, f"{name}_commands_bucket", database="beads", le="5.0") == 0
    assert value(meters, f"{name}_commands_bucket", database="beads", le="10.0") == 1


async def test_a_log_that_is_held_is_an_alarm() -> None:
    meters = Meters()
    meters.observe_log("beads", 1000, held=False)
    assert value(meters, "database_wal_alarms_total", database="beads") is None
    meters.observe_log("beads", 2000, held=True)
    assert value(meters, "database_wal_bytes", database="beads") == 2000
    assert value(meters, "database_wal_alarms_total", database="beads") == 1
