"""Reading the bridge's records on a running system."""

import base64
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.coordination.messages import (
    GetWorkflow,
    ListWorkflows,
    ListWorkflowTypes,
    ReadEvents,
)
from actors.coordination.results.messages import ListResults
from actors.errors import NotFound, Overloaded, StoreDamaged, ValidationError
from actors.facts import WORKFLOW_COMPLETED, WORKFLOW_STARTED
from beadflow import Context, activity, workflow
from storage.errors import Corrupt, QueryFailed, QueryTimeout
from storage.pool import ReadPool
from tests.support.world import Running, running_system


@activity
async def answer() -> dict[str, Any]:
    return {"confidence": 0.75}


@workflow
async def one(ctx: Context) -> dict[str, Any]:
    """Do one thing."""
    return await ctx.activity(answer)


@workflow
async def other(ctx: Context) -> None:
    return None


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


async def three(running: Running) -> list[str]:
    started = [await running.start(kind, title=kind) for kind in ("one", "other", "one")]
    await running.ended(*(workflow.id for workflow in started))
    return [workflow.id for workflow in started]


async def test_what_is_stored_is_read_back(repo: Path) -> None:
    async with running_system(repo, workflows=[one, other]) as running:
        ids = await three(running)

        async def listed(**asked: Any) -> list[str]:
            page = await running.ask("manager", ListWorkflows(**asked))
            return [record.id for record in page.records]

        # newest first, filtered
        assert await listed() == ids[::-1]
        assert await listed(workflow_type="one") == [ids[2], ids[0]]
        assert await listed(statuses=("failed",)) == []
        assert await listed(statuses=("completed",), limit=1) == [ids[2]]

        # page by page
        seen, at = [], None
        while True:
            page = await running.ask("manager", ListWorkflows(limit=1, cursor=at))
            seen += [record.id for record in page.records]
            if page.next_cursor is None:
                break
            at = page.next_cursor
        assert seen == ids[::-1]

        # results in their order
        results = await running.ask("results", ListResults(workflow_id=ids[0]))
        assert [(r.step, r.result_type, r.confidence_score) for r in results.records] == [
            ("1", "answer", 0.75),
            ("output", "output", 0.75),
        ]

        # events between two numbers, of one workflow or of all
        events = await running.ask("manager", ReadEvents(workflow_id=ids[0]))
        types = [event.type for event in events if event.type.startswith("workflow")]
        assert types == [WORKFLOW_STARTED, WORKFLOW_COMPLETED]
        everything = await running.ask("manager", ReadEvents())
        assert [event.seq for event in everything] == list(range(1, len(everything) + 1))
        some = await running.ask("manager", ReadEvents(after=2, until=4))
        assert [event.seq for event in some] == [3, 4]
        assert len(await running.ask("manager", ReadEvents(limit=2))) == 2

        # what can be started
        kinds = await running.ask("manager", ListWorkflowTypes())
        assert [(kind.name, kind.description) for kind in kinds] == [
            ("one", "Do one thing."),
            ("other", ""),
        ]
        assert [kind.warnings for kind in kinds] == [(), ()]


async def test_a_type_is_listed_with_the_agents_it_may_be_handed_to(repo: Path) -> None:
    @workflow(agent_type="b", agents=("a", "c"))
    async def declares(ctx: Context) -> None: ...

    @workflow(agent_type="b")
    async def leaves_it(ctx: Context) -> None: ...

    async with running_system(repo, workflows=[declares, leaves_it]) as running:
        kinds = await running.ask("manager", ListWorkflowTypes())
        assert {kind.name: kind.agents for kind in kinds} == {
            "declares": ("b", "a", "c"),
            "leaves_it": (),
        }


async def test_a_type_is_listed_with_what_its_code_must_not_do(repo: Path) -> None:
    @workflow
    async def waits(ctx: Context) -> None:
        await trio.sleep(1)

    async with running_system(repo, workflows=[waits]) as running:
        (kind,) = await running.ask("manager", ListWorkflowTypes())
        assert [(one.rule, one.what, one.file) for one in kind.warnings] == [
            ("wait", "trio.sleep", __file__)
        ]


@pytest.mark.parametrize(
    "message",
    [
        GetWorkflow(workflow_id="w-9"),
        ReadEvents(workflow_id="w-9"),
    ],
)
async def test_what_is_not_there_is_not_found(repo: Path, message: Any) -> None:
    async with running_system(repo) as running:
        with pytest.raises(NotFound, match="w-9"):
            await running.ask("manager", message)


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "é",
        cursor("not json"),
        cursor("[1, 2]"),
        cursor('["at"]'),
        cursor("3"),
        cursor("[" * 20_000),
    ],
)
async def test_a_cursor_that_is_none_of_ours_is_refused_and_hurts_nobody(
    repo: Path, bad: str
) -> None:
    async with running_system(repo) as running:
        with pytest.raises(ValidationError) as refused:
            await running.ask("manager", ListWorkflows(cursor=bad))
        assert refused.value.field == "cursor"
        assert (await running.ask("manager", ListWorkflows())).records == ()


@pytest.mark.parametrize(
    "message",
    [
        ListWorkflows(limit=0),
        ListWorkflows(limit=201),
        ReadEvents(limit=0),
        ReadEvents(limit=1001),
    ],
)
async def test_a_limit_out_of_range_is_refused(repo: Path, message: Any) -> None:
    async with running_system(repo) as running:
        with pytest.raises(ValidationError) as refused:
            await running.ask("manager", message)
        assert refused.value.field == "limit"


async def test_a_store_that_is_damaged_is_an_answer_and_no_crash(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_system(repo) as running:

        async def damaged(self: ReadPool, operation: str, *_: Any, **__: Any) -> None:
            raise QueryFailed("coordination", operation, "no") from Corrupt("x.db", "Page 7")

        with monkeypatch.context() as patched:
            patched.setattr(ReadPool, "fetch", damaged)
            with pytest.raises(StoreDamaged, match=r"list_workflows was refused: x\.db"):
                await running.ask("manager", ListWorkflows())
        assert (await running.ask("manager", ListWorkflows())).records == ()


async def test_a_store_that_does_not_answer_is_overload_and_no_crash(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_system(repo) as running:

        async def slow(self: ReadPool, operation: str, *_: Any, **__: Any) -> None:
            raise QueryTimeout("coordination", operation, 5.0)

        with monkeypatch.context() as patched:
            patched.setattr(ReadPool, "fetch", slow)
            with pytest.raises(Overloaded, match="list_workflows"):
                await running.ask("manager", ListWorkflows())
        assert (await running.ask("manager", ListWorkflows())).records == ()
