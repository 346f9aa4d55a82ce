"""A request that comes again with its Idempotency-Key is done once."""

import json
from dataclasses import replace
from typing import Any

import trio
from quart import g

from actors.auth.messages import Principal
from actors.auth.roles import Role
from actors.issues.verbs import CommentIssue
from api.app import create_app
from api.keys import idempotency_key
from supervision import Actor, ChildSpec, System
from tests.api.asgi import Answer, send_json
from tests.api.desk import ISSUES, an_issue
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite, nowhere


def post(shared: SharedSite, target: str, key: str, body: Any) -> Answer:
    headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)]
    return shared.call("POST", target, headers=headers, body=[json.dumps(body).encode()])


def issue(shared: SharedSite, key: str) -> str:
    answer = post(shared, ISSUES, key, {"title": key, "actor": "ann"})
    return f"{ISSUES}/{answer.json()['id']}"


def comments(shared: SharedSite, address: str) -> int:
    return len(shared.get(address)["issue"].get("comments", []))


def test_what_comes_again_is_answered_as_before_and_not_done(shared: SharedSite) -> None:
    address = issue(shared, "comments")
    body = {"actor": "ann", "text": "once"}
    first = post(shared, f"{address}/comments", "a-comment", body)
    second = post(shared, f"{address}/comments", "a-comment", body)
    assert (second.status, second.body) == (first.status, first.body)
    assert (second.headers["etag"], second.headers["content-type"]) == (
        first.headers["etag"],
        "application/json",
    )
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert comments(shared, address) == 1


def test_a_created_issue_is_answered_with_its_address_again(shared: SharedSite) -> None:
    first, second = (
        post(shared, ISSUES, "new", {"title": "New", "actor": "ann"}) for _ in range(2)
    )
    assert (first.status, second.status) == (201, 201)
    assert first.headers["location"] == second.headers["location"]


def test_what_was_kept_outlives_the_door(shared: SharedSite) -> None:
    address = issue(shared, "kept")
    body = {"actor": "ann", "text": "once"}
    post(shared, f"{address}/comments", "outlives", body)

    async def elsewhere() -> Answer:
        app = create_app(shared._inner.doors)
        return await send_json(app, f"{address}/comments", body, ("Idempotency-Key", "outlives"))

    assert shared.run(elsewhere).headers["idempotency-replayed"] == "true"
    assert comments(shared, address) == 1


def test_a_key_with_another_request_is_refused_and_nothing_is_done(shared: SharedSite) -> None:
    address, other = issue(shared, "one"), issue(shared, "two")
    post(shared, f"{address}/comments", "mixed", {"actor": "ann", "text": "a"})
    for target, text in ((address, "b"), (other, "a")):
        body = {"actor": "ann", "text": text}
        answer = post(shared, f"{target}/comments", "mixed", body)
        refused(answer, 422, "idempotency_key_reused")
    assert (comments(shared, address), comments(shared, other)) == (1, 0)


def test_a_key_belongs_to_a_start_or_to_something_else(shared: SharedSite) -> None:
    new = {"title": "T", "actor": "ann"}
    start = {"issue_title": "T", "workflow_type": "waiting"}
    for number, (first, second) in enumerate((("new", "start"), ("start", "new"))):
        asked = {"new": (ISSUES, new), "start": (WORKFLOWS, start)}
        (target, body), (other, another) = asked[first], asked[second]
        key = f"start or not {number}"
        assert post(shared, target, key, body).status == 201
        refused(post(shared, other, key, another), 422, "idempotency_key_reused")
        assert post(shared, target, key, body).headers["idempotency-replayed"] == "true"


def test_a_result_that_a_key_started_something_with_is_refused(shared: SharedSite) -> None:
    start = {"issue_title": "T", "workflow_type": "waiting"}
    started = post(shared, WORKFLOWS, "not a result", start).json()["id"]
    body = {"result_type": "review", "result_data": 1}
    answer = post(shared, f"{WORKFLOWS}/{started}/results", "not a result", body)
    refused(answer, 422, "idempotency_key_reused")


def test_what_is_known_inside_is_marked_when_it_comes_again(shared: SharedSite) -> None:
    start = {"issue_title": "T", "workflow_type": "waiting"}
    place = f"{WORKFLOWS}/{post(shared, WORKFLOWS, 'a start', start).json()['id']}/results"
    agent = {"agent_type": "greeter", "agent_id": "marked-1"}
    result = {"result_type": "review", "result_data": 1}
    asked = {"mark r": (place, result), "mark a": ("/api/v1/agents", agent)}
    for key, (target, body) in (("mark s", (WORKFLOWS, start)), *asked.items()):
        first, second = (post(shared, target, key, body) for _ in range(2))
        assert (first.status, second.status) == (201, 201), first.body
        assert "idempotency-replayed" not in first.headers
        assert second.headers["idempotency-replayed"] == "true"


def test_a_change_of_a_workflow_that_comes_again_is_marked(shared: SharedSite) -> None:
    target = f"{WORKFLOWS}/{shared.start('waiting').json()['id']}"
    headers = [("Content-Type", "application/json"), ("Idempotency-Key", "a change")]
    first, second = (
        shared.call("PUT", target, headers=headers, body=[b'{"priority": 1}']) for _ in range(2)
    )
    assert (first.status, second.status) == (200, 200)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"


def test_what_was_refused_may_be_sent_again(shared: SharedSite) -> None:
    body = {"actor": "ann", "text": "at last"}
    address = f"{ISSUES}/repo-later"
    refused(post(shared, f"{address}/comments", "early", body), 404, "not_found")
    post(shared, ISSUES, "chosen", {"title": "T", "actor": "ann", "id": "repo-later"})
    assert post(shared, f"{address}/comments", "early", body).status == 200
    assert comments(shared, address) == 1


def test_a_question_is_asked_each_time(shared: SharedSite) -> None:
    address = f"{WORKFLOWS}/{shared.start('waiting').json()['id']}"
    for number in (1, 2):
        answer = post(shared, f"{address}/query", "question", {"name": "twice", "argument": number})
        assert answer.json() == {"result": 2 * number}


async def test_what_is_being_done_is_not_begun_again() -> None:
    begun, go = trio.Event(), trio.Event()

    class Slow(Actor):
        async def on_receive(self, message: object) -> object:
            if isinstance(message, CommentIssue):
                return self.defer(self._comment())
            return None

        async def _comment(self) -> object:
            begun.set()
            await go.wait()
            return an_issue()

    async with System.open() as system:
        await system.start(ChildSpec(id="nobody", name="nobody", build=Slow))
        app = create_app(replace(nowhere(system), keeps_answers=True))
        target, key = f"{ISSUES}/bd-1/comments", ("Idempotency-Key", "k")
        found: list[Answer] = []

        async def first() -> None:
            found.append(await send_json(app, target, {"actor": "ann", "text": "a"}, key))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(first)
            await begun.wait()
            same = await send_json(app, target, {"actor": "ann", "text": "a"}, key)
            other = await send_json(app, target, {"actor": "ann", "text": "b"}, key)
            go.set()
    assert refused(same, 409, "request_in_progress")["retryable"] is True
    assert same.headers["retry-after"] == "1"
    refused(other, 422, "idempotency_key_reused")
    assert found[0].status == 200


async def test_keys_of_different_principals_are_different_keys() -> None:
    async with System.open() as system:
        app = create_app(nowhere(system))
        keys = []
        for user, via in (("ann", "key"), ("bob", "key"), ("ann", "token"), ("root", "local")):
            async with app.test_request_context("/", headers={"Idempotency-Key": "k"}) as context:
                g.principal = Principal(
                    user_id=user,
                    roles=frozenset({Role.OPERATOR}),
                    permissions=frozenset(),
                    via=via,  # type: ignore[arg-type]
                )
                keys.append(idempotency_key(context.request))
    assert keys[0] == keys[2] != keys[1]
    assert keys[3] == "k"
