"""The guide's code runs, and its tables name what there is."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

import beadflow
from actors import plugins
from actors.agents.handout import LOOK_S
from actors.agents.protocol import Agent, Task
from actors.coordination import requests
from actors.tree import BUDGET
from actors.workflows import activities, dispatcher
from actors.workflows.forbidden import RULES, rule_of
from actors.workflows.lint import DEPTH
from tests.docs.pages import blocks, first_names, names, rows, section
from tests.support.world import Running, running_system

GUIDE = "docs/writing-workflows.md"


@pytest.fixture
def found(tmp_path: Path) -> plugins.Plugins:
    """All the guide's blocks as the one file it tells people to write."""
    path = tmp_path / "flows.py"
    path.write_text("\n\n".join(blocks(GUIDE, "python")))
    return plugins.load([path])


async def test_every_workflow_of_the_guide_runs(found: plugins.Plugins, repo: Path) -> None:
    async with running_system(
        repo,
        workflows=[definition.function for definition in found.definitions.latest()],
        agents=[spec.agent_class for spec in found.agents],
    ) as running:
        shouted = await _output(running, "shouting", words=["one", "two", "three", "four"])
        assert (shouted["words"], shouted["summary"]) == (["ONE", "TWO", "THREE"], "ONE TWO THREE")
        assert await _output(running, "translating", word="bead") == "bead (2)"
        assert await _output(running, "translating", word="?") == "no_such_word after 1"
        assert await _output(running, "measuring", words=["bead", "reed"]) == {"bead": 4, "reed": 0}
        assert await _output(running, "measuring_by_name") == {"bead": 4}
        assert await _output(running, "copying", names=["a", "b", "c"]) == "attempt 2 began at 2"
        assert await _output(running, "timed") == "done"
        said = [fact.data["message"] for fact in running.log() if fact.type == "log"]
        assert {"started on a Monday", "attempt 1 in repo"} <= set(said)


def test_the_guide_lists_all_that_the_package_offers() -> None:
    assert sorted(first_names(_before_first_section())) == sorted(beadflow.__all__)


def test_the_tables_of_arguments_name_them_all() -> None:
    assert _listed("A workflow", of="What the context offers") == _arguments(beadflow.workflow)
    assert _listed("Activities of the engine", of="Failures and retries") == _arguments(
        beadflow.activity
    )
    fields = [field.name for field in dataclasses.fields(beadflow.RetryPolicy)]
    assert _listed("Failures and retries") == fields


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
    assert f"1 to {requests.TITLE_LIMIT_BYTES} bytes" in limits
    assert f"{requests.VARIABLES_LIMIT_BYTES // 1024} KiB" in limits
    assert f"{activities.RESULT_LIMIT_BYTES // 1024**2} MiB" in limits
    assert f"{BUDGET.restarts} in {BUDGET.period_s:g} s" in limits
    assert f"| {dispatcher.RECOVERY_LIMIT}, then" in limits
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


def _is_dotted(name: str) -> bool:
    """Whether it is a name out of a module, as the lint knows them."""
    return name.replace(".", "").replace("_", "").isalnum() and name.islower() and "." in name


def _arguments(function: Any) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
