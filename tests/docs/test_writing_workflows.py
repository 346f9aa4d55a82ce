"""The guide's code runs, and its tables name what there is."""

import dataclasses
import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import beadflow
from actors import facts, plugins
from actors.agents.handout import LOOK_S
from actors.agents.protocol import Agent, Task
from actors.coordination import fields
from actors.coordination.requests import TITLE_LIMIT_BYTES, VARIABLES_LIMIT_BYTES
from actors.issues.verbs import AnswerGate
from actors.tree import BUDGET
from actors.workflows import activities, dispatcher, execution, requests, transaction, waits
from actors.workflows.context import PARENT_CLOSE
from actors.workflows.history import Kind
from actors.workflows.lint.forbidden import RULES, rule_of
from actors.workflows.lint.reader import DEPTH
from actors.workflows.workflow import PARK_AFTER_S
from tests.docs.pages import ROOT, blocks, first_names, names, rows, section
from tests.support import engine
from tests.support.faults import until
from tests.support.world import Running, running_system

GUIDE = "docs/writing-workflows.md"


@pytest.fixture
def found(tmp_path: Path) -> plugins.Plugins:
    """All the guide's blocks as the one file it tells people to write."""
    path = tmp_path / "flows.py"
    path.write_text("\n\n".join(blocks(GUIDE, "python")))
    return plugins.load([path])


@pytest.fixture
async def running(found: plugins.Plugins, repo: Path) -> AsyncIterator[Running]:
    """A system that knows all that the guide defines, the older versions included."""
    async with running_system(
        repo,
        workflows=[definition.function for definition in found.definitions.every()],
        agents=[spec.agent_class for spec in found.agents],
    ) as system:
        yield system


async def test_the_activities_of_the_guide_answer_what_it_says(running: Running) -> None:
    shouted = await _output(running, "shouting", words=["one", "two", "three", "four"])
    assert (shouted["words"], shouted["summary"]) == (["ONE", "TWO", "THREE"], "ONE TWO THREE")
    assert await _output(running, "timed") == "done"
    assert await _output(running, "printing", word="bead") == "bead on A4"
    assert await _output(running, "translating", word="bead") == "bead (1)"
    assert await _output(running, "translating", word="?") == "no_such_word after 1"
    assert await _output(running, "loading") == "attempt 2 began with row 3"
    assert await _output(running, "paying", cents=5) == "paid 5"
    said = [fact.data["message"] for fact in running.log() if fact.type == "log"]
    assert "the word is bead" in said


async def test_the_agent_of_the_guide_does_what_it_says(running: Running) -> None:
    assert await _output(running, "measuring", words=["bead", "reed"]) == {"bead": 4, "reed": 0}
    assert await _output(running, "measuring_by_name") == {"bead": 4}
    assert await _output(running, "copying", names=["a", "b", "c"]) == "attempt 2 began at 2"
    said = [fact.data["message"] for fact in running.log() if fact.type == "log"]
    assert "attempt 1 in repo" in said


async def test_what_the_guide_does_exactly_once_is_counted_once(running: Running) -> None:
    assert await _output(running, "visiting", name="bead") == 1
    assert await _output(running, "visiting", name="bead") == 2
    assert await _output(running, "visiting", name="flow") == 1


async def test_the_branches_and_timers_of_the_guide_answer_what_it_says(running: Running) -> None:
    assert await _output(running, "branching") == "A B C 0 D"
    assert await _output(running, "reminding", seconds=0.01) == "in time"
    assert await _output(running, "deciding", patience_s=0.01) == "nobody decided"


async def test_a_signal_decides_in_the_guide(running: Running) -> None:
    started = await running.start("deciding", variables={"patience_s": 3600.0})
    await engine.signal(running, started.id, "decision", {"approved": True, "by": "Ada"})
    await running.ended(started.id)
    assert await running.output(started.id) == "Ada: yes"


async def test_a_person_decides_in_the_guide(running: Running) -> None:
    started = await running.start("shipping", variables={"version": "2.0"})
    seen = await running.until(lambda seen: any(f.type == facts.GATE_OPENED for f in seen))
    (gate,) = (fact for fact in seen if fact.type == facts.GATE_OPENED)
    assert gate.data["title"] == "Ship 2.0?"
    answer = AnswerGate(issue_id=gate.issue_id or "", actor="Ada", approved=True)
    await running.ask("tracker", answer)
    await running.ended(started.id)
    assert await running.output(started.id) == "2.0 shipped, approved by Ada"


async def test_the_guide_s_collector_answers_queries_until_it_has_enough(running: Running) -> None:
    started = await running.start("collecting")
    for word in ("bead", "flow", "beads"):
        await engine.signal(running, started.id, "word", word)
    await engine.recorded(running, started.id, Kind.SIGNAL_CONSUMED, 3)
    assert await engine.query(running, started.id, "words") == ["bead", "flow", "beads"]
    assert await engine.query(running, started.id, "longer_than", 4) == ["beads"]
    await engine.signal(running, started.id, "word", "enough")
    await running.ended(started.id)
    assert await running.output(started.id) == ["bead", "flow", "beads"]


async def test_the_children_and_runs_of_the_guide_answer_what_it_says(running: Running) -> None:
    assert await _output(running, "delegating", words=["one", "two"]) == ["ONE", "TWO"]
    assert await _output(running, "turning") == "3 turns in 4 runs"


async def test_the_saga_of_the_guide_books_all_or_nothing(
    found: plugins.Plugins, running: Running
) -> None:
    booked = _of_the_guide(found, "BOOKED")
    assert (
        await _output(running, "travelling", places=["Rome", "moon"]) == "stays at home: sold_out"
    )
    assert booked == []
    assert await _output(running, "travelling", places=["Rome", "Oslo"]) == "travels"
    assert booked == ["Rome", "Oslo"]


async def test_what_the_guide_draws_is_drawn_for_each_workflow(running: Running) -> None:
    drawn = await _output(running, "drawing")
    assert drawn["dice"] in range(1, 7)
    assert drawn["has_home"] is True
    assert drawn["key"] != (await _output(running, "drawing"))["key"]


async def test_a_new_workflow_of_the_guide_follows_the_newest_version(running: Running) -> None:
    assert await _output(running, "greeting", name="bead") == "Dear BEAD"
    assert await _output(running, "pricing") == "TWELVE"


async def test_the_guide_s_workflow_leaves_the_room_also_when_it_is_cancelled(
    found: plugins.Plugins, running: Running
) -> None:
    booked = _of_the_guide(found, "BOOKED")
    told, cancelled = [await running.start("occupying") for _ in range(2)]
    await until(lambda: booked == ["room", "room"])
    await engine.signal(running, told.id, "leave")
    await engine.cancel(running, cancelled.id, "fire")
    ends = await running.ended(told.id, cancelled.id)
    assert [end.status for end in ends] == ["completed", "cancelled"]
    assert booked == []


def test_the_guide_lists_all_that_the_package_offers() -> None:
    assert sorted(first_names(_before_first_section())) == sorted(beadflow.__all__)


def test_the_tables_of_arguments_name_them_all() -> None:
    assert _listed("A workflow", of="What the context offers") == _arguments(beadflow.workflow)
    assert _listed("Activities", of="Failures and retries") == _arguments(beadflow.activity)


def test_the_table_of_retries_names_the_fields_of_the_policy() -> None:
    fields = [field.name for field in dataclasses.fields(beadflow.RetryPolicy)]
    assert _listed("Failures and retries")[: len(fields)] == fields


def test_one_call_overrides_the_policies_that_the_guide_names() -> None:
    listed = _listed("Activities", of="Failures and retries")
    times = [name for name in listed if name.endswith("_s")]
    assert len(times) == 4
    assert _arguments(beadflow.Context.activity) == ["agent", "retry", *times]


def test_the_tables_name_all_that_a_context_a_saga_and_an_activity_offer() -> None:
    offered = re.findall(r"\bctx\.(\w+)", "\n".join(_listed("What the context offers")))
    assert sorted(offered) == _public(beadflow.Context)
    saga = re.findall(r"\bsaga\.(\w+)", "\n".join(_listed("Sagas")))
    assert sorted(saga) == _public(beadflow.Saga)
    info = beadflow.ActivityInfo(workflow_id="w", attempt=1, idempotency_key="w/1")
    listed = [name.partition("(")[0] for name in _listed("Heartbeats")]
    assert sorted([*listed, "beats"]) == _public(info)  # beats are for the engine


def test_the_guide_names_each_policy_for_children() -> None:
    assert _listed("Child workflows") == [f'"{policy}"' for policy in PARENT_CLOSE]


def test_the_codes_that_the_guide_gives_are_those_of_the_code() -> None:
    codes = _listed("Failures and retries")[len(dataclasses.fields(beadflow.RetryPolicy)) :]
    rooms = [ROOT / "actors" / room for room in ("workflows", "agents")]
    source = "".join(path.read_text("utf-8") for room in rooms for path in room.glob("*.py"))
    assert [code for code in codes if f'"{code}"' not in source] == []


def test_the_table_of_rules_is_that_of_the_lint() -> None:
    table = {
        names(rule)[0]: instead
        for rule, _, instead in rows(section(GUIDE, "What a workflow must not do"))
    }
    assert table == {rule.name: rule.instead for rule in RULES}


def test_what_the_table_says_of_a_rule_is_found_by_that_rule() -> None:
    for rule, what, _ in rows(section(GUIDE, "What a workflow must not do")):
        calls = [name for name in names(what.partition("; not ")[0]) if _is_dotted(name)]
        found = {name: rule_of([name]) for name in calls}
        assert {
            name for name, one in found.items() if not one or one[1].name != names(rule)[0]
        } == set()


def test_the_guide_says_how_deep_calls_are_followed() -> None:
    assert f"up to {DEPTH} calls deep" in " ".join(section(GUIDE, "A workflow").split())


def test_no_workflow_of_the_guide_does_what_it_must_not(found: plugins.Plugins) -> None:
    assert [one for known in found.definitions.every() for one in known.report.findings] == []
    assert all(known.report.has_source for known in found.definitions.every())


def test_the_table_of_the_task_names_all_that_an_agent_may_use() -> None:
    listed = [name.partition("(")[0] for name in _listed("Agents") if name.startswith("task.")]
    public = {name for name in dir(Task) if not name.startswith("_")}
    assert {name.removeprefix("task.") for name in listed} | {"id"} == public


def test_the_guide_says_how_late_limits_may_be_seen() -> None:
    assert f"up to {LOOK_S:g} s late" in section(GUIDE, "How long an agent may take")


def test_the_limits_are_those_of_the_code() -> None:
    limits = section(GUIDE, "Limits")
    assert f"1 to {TITLE_LIMIT_BYTES} bytes" in limits
    assert f"variables | {VARIABLES_LIMIT_BYTES // 1024} KiB" in limits
    assert f"value of a signal | {fields.VALUE_LIMIT_BYTES // 1024} KiB" in limits
    assert f"{activities.RESULT_LIMIT_BYTES // 1024**2} MiB" in limits
    assert f"{BUDGET.restarts} in {BUDGET.period_s:g} s" in limits
    assert f"| {dispatcher.RECOVERY_LIMIT}, then" in limits
    assert f"nested in each other | {waits.GENERATIONS} |" in limits
    assert f"| {requests.WAITING_LIMIT:,}; the next one" in limits
    assert f"| {execution.HISTORY_LIMIT:,}; its next operation" in limits
    assert f"| {transaction.LIMIT_S:g} s |" in limits
    assert f"as a row | {PARK_AFTER_S:g} s |" in limits
    assert f"one in {activities.KEEP_S:g} s" in limits
    assert f"`max_workload` ({Agent.max_workload})" in section(GUIDE, "Agents")


async def _output(running: Running, workflow_type: str, **variables: Any) -> Any:
    started = await running.start(workflow_type, variables=variables)
    (ended,) = await running.ended(started.id)
    assert ended.status == "completed", ended
    return await running.output(started.id)


def _before_first_section() -> str:
    return section(GUIDE, "Writing workflows and agents").partition("\n## ")[0]


def _listed(title: str, of: str | None = None) -> list[str]:
    text = section(GUIDE, title)
    if of is not None:
        text = text.partition(f"\n### {of}")[0]
    return first_names(text)


def _of_the_guide(found: plugins.Plugins, name: str) -> Any:
    """Something that the guide's file defines beside its workflows."""
    return found.definitions.latest()[0].function.__globals__[name]


def _public(thing: object) -> list[str]:
    return [name for name in dir(thing) if not name.startswith("_")]


def _is_dotted(name: str) -> bool:
    """Whether it is a name out of a module, as the lint knows them."""
    return name.replace(".", "").replace("_", "").isalnum() and name.islower() and "." in name


def _arguments(function: Any) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
