"""Results by request, in versions, and finding them."""

import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from actors.agents.registration_messages import RegisterAgent, UnregisterAgent
from actors.coordination.results.messages import (
    ListResults,
    ListResultTypes,
    ResultRecord,
    StoreResult,
)
from actors.coordination.results.pages import PAGE_BYTES
from actors.errors import Conflict, NotFound, ValidationError
from actors.facts import RESULT_STORED
from actors.workflows.activities import RESULT_LIMIT_BYTES
from beadflow import Agent, Context, Task, activity, workflow
from tests.support.world import Running, running_system


class Rating(BaseModel):
    stars: int


class Judge(Agent):
    agent_type = "judge"


class Helper(Agent):
    agent_type = "helper"

    @activity
    async def help(self, task: Task) -> dict[str, Any]:
        return {"confidence_score": 0.75}

    @activity
    async def rate(self, task: Task) -> Rating:
        return Rating(stars=5)


@workflow(agent_type="helper")
async def flow(ctx: Context) -> str:
    await ctx.activity(Helper.help)
    return "done"


@workflow
async def outer(ctx: Context) -> str:
    return str(await ctx.child(inner))


@workflow
async def inner(ctx: Context) -> str:
    return "inside"


async def store(running: Running, workflow_id: str, **given: Any) -> ResultRecord:
    asked = {"result_type": "review", "data": {"ok": True}, **given}
    record: ResultRecord = await running.ask(
        "results", StoreResult(workflow_id=workflow_id, **asked)
    )
    return record


async def found(running: Running, **asked: Any) -> list[ResultRecord]:
    """All pages."""
    records: list[ResultRecord] = []
    cursor = None
    while True:
        page = await running.ask("results", ListResults(cursor=cursor, **asked))
        records += page.records
        cursor = page.next_cursor
        if cursor is None:
            return records


async def ended(running: Running, kind: str = "flow") -> str:
    workflow_id = (await running.start(kind)).id
    await running.ended(workflow_id)
    return workflow_id


async def test_what_steps_return_is_found_with_its_version(repo: Path) -> None:
    async with running_system(repo, workflows=[flow], agents=[Helper]) as running:
        workflow_id = await ended(running)
        results = await found(running, workflow_id=workflow_id)
    assert [(r.step, r.result_type, r.version, r.artifacts) for r in results] == [
        ("1", "help", 1, ()),
        ("output", "output", 1, ()),
    ]


async def test_a_stored_result_is_one_version_more_of_its_step_and_a_fact(repo: Path) -> None:
    async with running_system(repo, workflows=[flow], agents=[Helper]) as running:
        workflow_id = await ended(running)
        given = {"step": "1", "agent_id": "helper-1", "agent_type": "helper"}
        made = await store(running, workflow_id, confidence_score=1.0, **given)
        assert (made.version, made.result_data, made.agent_id) == (2, {"ok": True}, "helper-1")
        log = await running.until(lambda seen: any(f.type == RESULT_STORED for f in seen))
        fact = next(f for f in log if f.type == RESULT_STORED)
        assert fact.workflow_id == workflow_id
        assert fact.issue_id is not None
        assert fact.data == {
            **given,
            "result_type": "review",
            "version": 2,
            "confidence_score": 1.0,
        }
        assert (await found(running, workflow_id=workflow_id))[-1] == made


async def test_versions_are_asked_for_by_number_or_the_newest_of_each(repo: Path) -> None:
    async with running_system(repo, workflows=[flow], agents=[Helper]) as running:
        workflow_id = await ended(running)
        await store(running, workflow_id, step="1")
        assert (await store(running, workflow_id)).step == "review"

        async def versions(**asked: Any) -> list[tuple[str, int]]:
            results = await found(running, workflow_id=workflow_id, **asked)
            return [(r.step, r.version) for r in results]

        assert await versions(latest=True) == [("output", 1), ("1", 2), ("review", 1)]
        assert await versions(version=2) == [("1", 2)]
        assert await versions(step="1") == [("1", 1), ("1", 2)]
        assert await versions(step="1", latest=True, limit=1) == [("1", 2)]


async def test_results_are_found_across_workflows_newest_first(repo: Path) -> None:
    async with running_system(repo, workflows=[flow], agents=[Helper, Judge, Judge]) as running:
        one, two = await ended(running), await ended(running)
        await store(running, one, agent_id="judge-1", agent_type="judge", confidence_score=0.2)
        await store(running, two, agent_id="judge-2", confidence_score=0.9)

        async def places(**asked: Any) -> list[tuple[str, str]]:
            results = await found(running, limit=1, **asked)
            return [(r.workflow_id, r.step) for r in results]

        assert await places(result_type="review") == [(two, "review"), (one, "review")]
        assert await places(agent_id="judge-1") == [(one, "review")]
        assert await places(agent_type="judge", min_confidence=0.5) == [(two, "review")]
        assert await places(agent_type="helper") == [(two, "1"), (one, "1")]
        assert await places(result_type="help", agent_id="judge-1") == []
        assert len(await places()) == 6
        middle = (await found(running))[2].created_at
        assert len(await places(since=middle)) == 3
        assert len(await places(until=middle)) == 3
        assert await places(since=middle, until=middle) == []
        same = middle.replace("Z", "+00:00")
        assert await places(since=same) == await places(since=middle)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"agent_id": "ghost"}, "agent_id"),
        ({"agent_id": "helper-1", "agent_type": "judge"}, "agent_type"),
        ({"agent_id": "temp", "agent_type": "judge"}, "agent_type"),
    ],
)
async def test_a_result_is_of_an_agent_that_was_there_and_of_its_own_type(
    repo: Path, given: dict[str, Any], field: str
) -> None:
    async with running_system(repo, workflows=[flow], agents=[Helper, Judge]) as running:
        workflow_id = await ended(running)
        await running.ask("coordinator", RegisterAgent(agent_type="helper", agent_id="temp"))
        await running.ask("coordinator", UnregisterAgent(agent_id="temp"))
        with pytest.raises(ValidationError) as refused:
            await store(running, workflow_id, **given)
        assert refused.value.field == field
        assert await found(running, result_type="review") == []
        made = await store(running, workflow_id, agent_id="temp")
        assert made.agent_type == "helper"


async def test_a_result_of_an_activity_s_type_is_what_that_would_return(repo: Path) -> None:
    async with running_system(repo, workflows=[flow], agents=[Helper]) as running:
        workflow_id = await ended(running)
        given = {"result_type": "rate", "step": "1"}
        assert (await store(running, workflow_id, data={"stars": 4}, **given)).version == 2
        with pytest.raises(ValidationError, match="valid integer") as refused:
            await store(running, workflow_id, data={"stars": "many"}, **given)
        assert refused.value.field == "result_data.stars"
        listed = await running.ask("results", ListResultTypes())
        types = {(t.result_type, t.agent_type, t.workflow_type): t.json_schema for t in listed}
        assert set(types) == {
            ("help", "helper", None),
            ("rate", "helper", None),
            ("output", None, "flow"),
        }
        assert types["output", None, "flow"] == {"type": "string"}
        assert types["rate", "helper", None]["properties"]["stars"]["type"] == "integer"


async def test_a_page_ends_before_it_is_too_large(repo: Path) -> None:
    large = "x" * (PAGE_BYTES // 3)
    async with running_system(repo, workflows=[flow], agents=[Helper]) as running:
        workflow_id = await ended(running)
        for _ in range(4):
            await store(running, workflow_id, data=large)
        for asked in ({"workflow_id": workflow_id}, {}):
            page = await running.ask("results", ListResults(result_type="review", **asked))
            assert len(page.records) == 2
            assert len(await found(running, result_type="review", **asked)) == 4


async def test_the_same_key_stores_once_and_only_the_same(repo: Path) -> None:
    async with running_system(repo, workflows=[flow], agents=[Helper]) as running:
        workflow_id = await ended(running)
        first = await store(running, workflow_id, idempotency_key="k")
        assert await store(running, workflow_id, idempotency_key="k") == first
        with pytest.raises(Conflict, match="another request"):
            await store(running, workflow_id, idempotency_key="k", data=2)
        assert len(await found(running, workflow_id=workflow_id, step="review")) == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"confidence_score": 1.01}, "confidence_score"),
        ({"confidence_score": -0.01}, "confidence_score"),
        ({"confidence_score": math.nan}, "confidence_score"),
        ({"result_type": ""}, "result_type"),
        ({"result_type": "two words"}, "result_type"),
        ({"result_type": "x" * 201}, "result_type"),
        ({"result_type": "output"}, "result_type"),
        ({"result_type": "handoff"}, "result_type"),
        ({"step": "output"}, "step"),
        ({"step": "handoff"}, "step"),
        ({"step": "\n"}, "step"),
        ({"agent_id": ""}, "agent_id"),
        ({"data": "x" * RESULT_LIMIT_BYTES}, "result_data"),
        ({"data": "\ud800"}, "result_data"),
        ({"data": math.inf}, "result_data"),
    ],
)
async def test_what_is_no_result_is_refused(repo: Path, given: dict[str, Any], field: str) -> None:
    async with running_system(repo) as running:
        with pytest.raises(ValidationError) as refused:
            await store(running, "w-1", **given)
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"min_confidence": 2.0}, "min_confidence"),
        ({"version": 0}, "version"),
        ({"version": 2**63}, "version"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-01-02T03:04:05"}, "until"),
        ({"until": "9999-12-31T23:59:59-23:00"}, "until"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "WyJhIiwgMV0"}, None),
        ({"cursor": "WzFd"}, "cursor"),
        ({"workflow_id": "w", "cursor": "WyJhIiwgMV0"}, "cursor"),
        ({"workflow_id": "w", "cursor": "WzE4NDQ2NzQ0MDczNzA5NTUxNjE2XQ"}, "cursor"),
        ({"cursor": "WyJcdWQ4MDAiLDFd"}, "cursor"),
    ],
)
async def test_a_wrong_question_is_refused(
    repo: Path, asked: dict[str, Any], field: str | None
) -> None:
    async with running_system(repo) as running:
        if field is None:
            assert await running.ask("results", ListResults(**asked))
            return
        with pytest.raises(ValidationError) as refused:
            await running.ask("results", ListResults(**asked))
        assert refused.value.field == field


async def test_results_are_kept_of_workflows_that_are_there_and_of_no_children(repo: Path) -> None:
    async with running_system(repo, workflows=[outer, inner]) as running:
        workflow_id = await ended(running, "outer")
        child = f"{workflow_id}.1"
        for absent in ("w-9", child):
            with pytest.raises(NotFound, match=absent):
                await store(running, absent)
        with pytest.raises(NotFound, match="w-9"):
            await running.ask("results", ListResults(workflow_id="w-9"))
        assert await found(running, workflow_id=child) == []
