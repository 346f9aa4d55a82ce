"""GET /api/v1/workflows/{id}/logs as a stream: what is there, what comes, and the end."""

from pathlib import Path

import pytest
import trio

from tests.api.problems import refused
from tests.api.site import SharedSite, Site, site
from tests.api.sse import Message, listening

WORKFLOWS = "/api/v1/workflows"


async def until_end(there: Site, target: str, *headers: tuple[str, str]) -> list[Message]:
    """All that is sent, without what only moves the place."""
    with trio.fail_after(20):
        async with listening(there.app, target, *headers) as client:
            said = await client.until_closed()
    return [one for one in said if one.data is not None]


async def test_the_log_of_an_ended_workflow_is_sent_and_then_its_end(repo: Path) -> None:
    async with site(repo) as there:
        done = await there.done("arithmetic", variables={"first": 5})
        page = (await there.call("GET", f"{WORKFLOWS}/{done}/logs")).json()["data"]
        *lines, end = await until_end(there, f"{WORKFLOWS}/{done}/logs")
        assert [line.data for line in lines][: len(page)] == page
        assert [line.id for line in lines] == [str(line.data["seq"]) for line in lines]
        assert (end.event, end.data) == ("end", {"status": "completed"})


async def test_a_log_is_followed_until_its_workflow_ends(repo: Path) -> None:
    async with site(repo) as there:
        started = (await there.start("waiting")).json()["id"]
        target = f"{WORKFLOWS}/{started}/logs?follow=true"
        with trio.fail_after(20):
            async with listening(there.app, target, ("Accept", "*/*")) as client:
                while (said := await client.message()).data is None:
                    pass
                assert said.data["message"]
                await there.call("DELETE", f"{WORKFLOWS}/{started}")
                last = (await client.until_closed())[-1]
        assert (last.event, last.data) == ("end", {"status": "cancelled"})


async def test_who_comes_back_gets_the_rest_and_then_nothing(repo: Path) -> None:
    async with site(repo) as there:
        done = await there.done("arithmetic", variables={"first": 5})
        target = f"{WORKFLOWS}/{done}/logs"
        *lines, _ = await until_end(there, target)
        middle, last = lines[len(lines) // 2], lines[-1]
        *rest, _ = await until_end(there, target, ("Last-Event-ID", str(middle.id)))
        assert rest[: len(lines)] == lines[len(lines) // 2 + 1 :]
        last = rest[-1]
        for headers in ([("Accept", "text/event-stream"), ("Last-Event-ID", str(last.id))],):
            answer = await there.call("GET", target, headers=headers)
            assert (answer.status, answer.body) == (204, b"")


def test_an_unknown_workflow_has_no_log_to_follow(shared: SharedSite) -> None:
    refused(shared.call("GET", f"{WORKFLOWS}/x/logs?follow=true"), 404, "not_found")


@pytest.mark.parametrize("query", ["follow=true&limit=5", "follow=maybe", "follow=true&after=-1"])
def test_a_query_that_cannot_be_followed_is_refused(shared: SharedSite, query: str) -> None:
    refused(shared.call("GET", f"{WORKFLOWS}/x/logs?{query}"), 422, "validation_error")
