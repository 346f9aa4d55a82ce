"""The routes of issues: what each asks of the tracker, and how its answers look."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.errors import Conflict, NotFound, ValidationError
from actors.issues.questions import (
    BlockedIssues,
    Cause,
    ClaimReady,
    CountIssues,
    DependencyCycles,
    DependencyTree,
    Edge,
    ExplainIssue,
    IssueFilter,
    IssueStats,
    QueryIssues,
    ReadyIssues,
    ShowIssue,
    TreeNode,
)
from actors.issues.verbs import (
    AddDependency,
    AlreadyClaimed,
    AmbiguousId,
    Blocked,
    Claim,
    ClaimIssue,
    CloseIssue,
    CommentIssue,
    DeferIssue,
    DeleteIssue,
    DependencyCycle,
    HeartbeatClaim,
    IssueChanged,
    NewIssue,
    NothingReady,
    ReleaseClaim,
    RemoveDependency,
    ReopenIssue,
    RestoreIssue,
    StaleClaim,
    UpdateIssue,
)
from tests.api import described
from tests.api.desk import AT, Desk, a_page, an_issue, desk, explained, shown
from tests.api.problems import refused

WHO = {"actor": "ann"}
ISSUE = an_issue()
CLAIM = Claim(issue=ISSUE, holder="ann", token=7, expires_at=AT)


@pytest.fixture
async def at() -> AsyncIterator[Desk]:
    async with desk() as running:
        yield running


WRITES: list[tuple[str, dict[str, Any], Any]] = [
    ("/bd-1/close", {}, CloseIssue(issue_id="bd-1", actor="ann")),
    (
        "/bd-1/close",
        {"reason": "Done", "force": True, "token": 3},
        CloseIssue(issue_id="bd-1", actor="ann", reason="Done", force=True, token=3),
    ),
    ("/bd-1/reopen", {"reason": "r"}, ReopenIssue(issue_id="bd-1", actor="ann", reason="r")),
    ("/bd-1/defer", {}, DeferIssue(issue_id="bd-1", actor="ann")),
    ("/bd-1/defer", {"until": AT}, DeferIssue(issue_id="bd-1", actor="ann", until=AT)),
    ("/bd-1/restore", {}, RestoreIssue(issue_id="bd-1", actor="ann")),
    ("/bd-1/comments", {"text": "t"}, CommentIssue(issue_id="bd-1", actor="ann", text="t")),
    (
        "/bd-1/labels",
        {"add": ["a"], "remove": ["b"]},
        UpdateIssue(
            issue_id="bd-1", actor="ann", fields={}, add_labels=("a",), remove_labels=("b",)
        ),
    ),
    (
        "/bd-1/dependencies",
        {"depends_on": "bd-2"},
        AddDependency(issue_id="bd-1", depends_on_id="bd-2", actor="ann"),
    ),
    (
        "/bd-1/dependencies",
        {"depends_on": "external:a:b", "type": "waits-for", "metadata": "m"},
        AddDependency(
            issue_id="bd-1",
            depends_on_id="external:a:b",
            actor="ann",
            type="waits-for",
            metadata="m",
        ),
    ),
    ("/bd-1/release", {}, ReleaseClaim(issue_id="bd-1", actor="ann")),
    ("/bd-1/release", {"token": 7}, ReleaseClaim(issue_id="bd-1", actor="ann", token=7)),
]


@pytest.mark.parametrize(("path", "body", "message"), WRITES)
async def test_a_write_asks_the_tracker_and_answers_the_issue(
    at: Desk, path: str, body: dict[str, Any], message: Any
) -> None:
    at.answers[type(message)] = ISSUE
    answer = await at.post(path, {**WHO, **body})
    assert (answer.status, at.asked) == (200, [message])
    assert answer.json()["id"] == "bd-1"
    assert answer.headers["etag"] == f'"{AT}"'


CLAIMS: list[tuple[str, dict[str, Any], Any]] = [
    ("/bd-1/claim", WHO, ClaimIssue(issue_id="bd-1", actor="ann")),
    (
        "/bd-1/claim",
        {**WHO, "ttl_s": 60, "force": True},
        ClaimIssue(issue_id="bd-1", actor="ann", ttl_s=60, force=True),
    ),
    ("/bd-1/heartbeat", {"token": 7}, HeartbeatClaim(issue_id="bd-1", token=7)),
    ("/ready/claim", WHO, ClaimReady(actor="ann")),
    (
        "/ready/claim",
        {**WHO, "labels": ["a,b"], "priority": [0, 1], "policy": "oldest", "ttl_s": 5.5},
        ClaimReady(
            actor="ann",
            filter=IssueFilter(labels=("a,b",), priority=(0, 1)),
            policy="oldest",
            ttl_s=5.5,
        ),
    ),
]


@pytest.mark.parametrize(("path", "body", "message"), CLAIMS)
async def test_a_claim_is_answered_with_its_token(
    at: Desk, path: str, body: dict[str, Any], message: Any
) -> None:
    at.answers[type(message)] = CLAIM
    answer = await at.post(path, body)
    assert (answer.status, at.asked) == (200, [message])
    found = answer.json()
    assert (found["holder"], found["token"], found["expires_at"]) == ("ann", 7, AT)
    assert found["issue"]["id"] == "bd-1"


# --- one issue


async def test_an_issue_is_created_with_its_fields_its_parent_and_its_dependencies(
    at: Desk,
) -> None:
    at.answers[NewIssue] = ISSUE
    body = {
        **WHO,
        "title": "A title",
        "priority": 0,
        "labels": ["a"],
        "notes": None,
        "parent": "bd-0",
        "depends_on": [{"id": "bd-2"}, {"type": "discovered-from", "id": "bd-3"}],
        "id": "bd-9",
    }
    answer = await at.post("", body, ("Idempotency-Key", "k"))
    assert answer.status == 201
    assert answer.headers["location"] == "/api/v1/issues/bd-1"
    assert at.asked == [
        NewIssue(
            fields={"title": "A title", "priority": 0, "labels": ["a"]},
            actor="ann",
            parent="bd-0",
            depends_on=(("blocks", "bd-2"), ("discovered-from", "bd-3")),
            issue_id="bd-9",
            key="k",
        )
    ]


async def test_an_update_sets_what_it_names_and_clears_what_is_null(at: Desk) -> None:
    at.answers[UpdateIssue] = ISSUE
    body = {"title": "T", "assignee": None, "add_labels": ["x"], "append_notes": "n", "token": 4}
    answer = await at.put("/bd-1", json.dumps({**WHO, **body}).encode())
    assert answer.status == 200
    assert at.asked == [
        UpdateIssue(
            issue_id="bd-1",
            actor="ann",
            fields={"title": "T", "assignee": None},
            add_labels=("x",),
            append_notes="n",
            token=4,
        )
    ]


@pytest.mark.parametrize(
    ("tag", "expected"), [(f'"{AT}"', AT), (f'"{AT}~0123456789abcdef"', AT), ("*", None)]
)
async def test_if_match_says_which_state_the_client_has_seen(
    at: Desk, tag: str, expected: str | None
) -> None:
    at.answers[UpdateIssue] = ISSUE
    await at.put("/bd-1", json.dumps(WHO).encode(), ("If-Match", tag))
    assert at.asked[0].expected == expected


@pytest.mark.parametrize(
    "tag", ["x", 'W/"x"', '"a", "b"', '""', '"', f'"{"x" * 99}"', '"\xff\x7f"']
)
async def test_an_if_match_that_no_answer_gave_is_refused(at: Desk, tag: str) -> None:
    answer = await at.put("/bd-1", json.dumps(WHO).encode(), ("If-Match", tag))
    refused(answer, 422, "validation_error")
    assert at.asked == []


async def test_an_issue_is_shown_with_what_surrounds_it(at: Desk) -> None:
    row = an_issue("bd-1", metadata={"a": 1}, new_key=[1])
    at.answers[ShowIssue] = shown(
        row,
        depends_on=(Edge(id="bd-2", type="blocks", issue=an_issue("bd-2")),),
        dependents=(Edge(id="gone", type="related", issue=None),),
        children=(an_issue("bd-1.1"),),
        claim={"holder": "ann", "token": 1, "expires_at": AT},
    )
    answer = await at.get("/bd-1")
    body = answer.json()
    assert answer.headers["etag"].startswith(f'"{AT}~')
    assert body["issue"]["metadata"] == {"a": 1}
    assert body["issue"]["new_key"] == [1]
    assert body["depends_on"][0]["issue"]["id"] == "bd-2"
    assert body["dependents"] == [{"id": "gone", "type": "related", "issue": None}]
    assert [child["id"] for child in body["children"]] == ["bd-1.1"]
    assert body["claim"]["holder"] == "ann"


async def test_an_issue_always_has_the_fields_that_people_look_for(at: Desk) -> None:
    at.answers[CloseIssue] = an_issue()
    body = (await at.post("/bd-1/close", WHO)).json()
    assert list(body)[:5] == ["id", "title", "description", "status", "priority"]
    assert (body["labels"], body["assignee"], body["closed_at"]) == ([], "", None)
    assert body["created_by"] == "ann"


async def test_a_deletion_answers_all_that_was_deleted(at: Desk) -> None:
    at.answers[DeleteIssue] = (an_issue("bd-1"), an_issue("bd-2"))
    answer = await at.delete("/bd-1?actor=ann&reason=old&cascade=true&force=false")
    assert [found["id"] for found in answer.json()["data"]] == ["bd-1", "bd-2"]
    assert at.asked == [DeleteIssue(issue_id="bd-1", actor="ann", reason="old", cascade=True)]


async def test_a_dependency_is_removed_by_both_ids(at: Desk) -> None:
    at.answers[RemoveDependency] = ISSUE
    assert (await at.delete("/bd-1/dependencies/external:a:b?actor=ann")).status == 200
    message = RemoveDependency(issue_id="bd-1", depends_on_id="external:a:b", actor="ann")
    assert at.asked == [message]


# --- many issues


async def test_a_list_takes_filters_a_sort_order_and_a_cursor(at: Desk) -> None:
    at.answers[QueryIssues] = a_page(ISSUE, more="next")
    query = (
        "?status=open,in_progress&type=bug&priority=0,1&assignee=&labels=a,b&any_labels=c"
        "&without_labels=d&parent=bd-0&created_by=ann&updated_before=x&updated_after=y"
        "&sort=priority&reverse=true&limit=3&cursor=c&closed=true"
    )
    body = (await at.get(query)).json()
    assert [found["id"] for found in body["data"]] == ["bd-1"]
    assert (body["next_cursor"], body["total"]) == ("next", 1)
    wanted = IssueFilter(
        status=("open", "in_progress"),
        issue_type=("bug",),
        priority=(0, 1),
        assignee="",
        labels=("a", "b"),
        any_labels=("c",),
        without_labels=("d",),
        parent="bd-0",
        created_by="ann",
        updated_before="x",
        updated_after="y",
    )
    assert at.asked == [
        QueryIssues(filter=wanted, sort="priority", reverse=True, limit=3, cursor="c", closed=True)
    ]


async def test_a_search_is_a_list_with_a_text(at: Desk) -> None:
    at.answers[QueryIssues] = a_page()
    assert (await at.get("/search?q=two+words&closed=1")).json()["data"] == []
    assert at.asked == [QueryIssues(filter=IssueFilter(text="two words"), closed=True)]


async def test_ready_issues_come_with_their_reasons(at: Desk) -> None:
    cause = Cause(kind="blocks", path=("bd-1", "bd-2"), text="bd-2 is closed")
    at.answers[ReadyIssues] = (explained(ISSUE, cause, ready=True),)
    body = (await at.get("/ready?limit=2&policy=hybrid&classic=true&labels=a")).json()
    assert body["data"][0]["ready"] is True
    assert body["data"][0]["causes"] == [
        {"kind": "blocks", "path": ["bd-1", "bd-2"], "text": "bd-2 is closed"}
    ]
    wanted = IssueFilter(labels=("a",))
    assert at.asked == [ReadyIssues(filter=wanted, policy="hybrid", classic=True, limit=2)]


async def test_blocked_issues_and_why_one_waits(at: Desk) -> None:
    found = explained(ISSUE, Cause(kind="deferred", path=("bd-1",), text="until tomorrow"))
    at.answers.update({BlockedIssues: (found,), ExplainIssue: found})
    assert (await at.get("/blocked?limit=5")).json()["data"][0]["issue"]["id"] == "bd-1"
    assert (await at.get("/bd-1/why")).json()["causes"][0]["kind"] == "deferred"
    assert at.asked == [BlockedIssues(limit=5), ExplainIssue(issue_id="bd-1")]


async def test_a_tree_holds_each_node_with_those_below(at: Desk) -> None:
    leaf = TreeNode(issue=None, id="gone", type="blocks", seen=True, children=())
    at.answers[DependencyTree] = TreeNode(
        issue=ISSUE, id="bd-1", type="", seen=False, children=(leaf, leaf)
    )
    body = (await at.get("/bd-1/tree?direction=up&depth=3")).json()
    assert body["issue"]["id"] == "bd-1"
    below = {"id": "gone", "type": "blocks", "seen": True, "issue": None, "children": []}
    assert body["children"] == [below, below]
    assert at.asked == [DependencyTree(issue_id="bd-1", direction="up", depth=3)]


async def test_cycles_and_counts(at: Desk) -> None:
    at.answers[DependencyCycles] = (("bd-1", "bd-2"),)
    at.answers[CountIssues] = IssueStats(
        total=2,
        by_status={"open": 2},
        by_type={"task": 2},
        by_priority={0: 2},
        ready=1,
        blocked=1,
        epics_to_close=0,
        lead_time_h=None,
    )
    assert (await at.get("/cycles")).json() == {"data": [["bd-1", "bd-2"]]}
    stats = (await at.get("/stats")).json()
    assert (stats["by_priority"], stats["lead_time_h"]) == ({"0": 2}, None)


# --- refusals


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("no"), 404, "not_found"),
        (AmbiguousId("bd-1, bd-10"), 409, "ambiguous_id"),
        (Blocked("by bd-2"), 409, "issue_blocked"),
        (DependencyCycle("a → b → a"), 409, "dependency_cycle"),
        (AlreadyClaimed("by bob"), 409, "already_claimed"),
        (StaleClaim("over"), 409, "stale_claim"),
        (NothingReady("none"), 409, "nothing_ready"),
        (Conflict("no"), 409, "conflict"),
        (IssueChanged("no"), 412, "issue_changed"),
        (ValidationError("no", field="priority"), 422, "validation_error"),
    ],
)
async def test_a_refusal_of_the_tracker_is_a_problem_with_its_code(
    at: Desk, error: Exception, status: int, code: str
) -> None:
    at.answers[CloseIssue] = error
    at.app.config[described.INVENTED] = True
    assert refused(await at.post("/bd-1/close", WHO), status, code)["detail"] == str(error)


BAD_BODIES: list[tuple[str, dict[str, Any]]] = [
    ("", {**WHO}),
    ("", {"title": "T"}),
    ("", {**WHO, "title": 1}),
    ("", {**WHO, "title": "T", "status": "closed"}),
    ("", {**WHO, "title": "T", "created_at": AT}),
    ("", {**WHO, "title": "T", "priority": "0"}),
    ("", {**WHO, "title": "T", "priority": True}),
    ("", {**WHO, "title": "T", "labels": "a"}),
    ("", {**WHO, "title": "T", "estimated_minutes": 10**30}),
    ("", {**WHO, "title": "T", "depends_on": ["bd-2"]}),
    ("", {"actor": " ", "title": "T"}),
    ("", {"actor": "a" * 201, "title": "T"}),
    ("/bd-1/close", {}),
    ("/bd-1/close", {**WHO, "force": 1}),
    ("/bd-1/close", {**WHO, "token": 10**30}),
    ("/bd-1/close", {**WHO, "token": "7"}),
    ("/bd-1/claim", {**WHO, "ttl_s": 0}),
    ("/bd-1/claim", {**WHO, "ttl_s": 1e9}),
    ("/bd-1/heartbeat", {}),
    ("/bd-1/comments", {**WHO}),
    ("/ready/claim", {**WHO, "policy": "best"}),
    ("/bd-1/labels", {**WHO, "add": [1]}),
]


@pytest.mark.parametrize(("path", "body"), BAD_BODIES)
async def test_a_body_that_is_not_the_route_s_is_refused(
    at: Desk, path: str, body: dict[str, Any]
) -> None:
    refused(await at.post(path, body), 422, "validation_error")
    assert at.asked == []


@pytest.mark.parametrize(
    "target",
    [
        "?limit=0",
        "?limit=1001",
        "?sort=best",
        "?x=1",
        "?priority=high",
        "?limit=1&limit=2",
        "/search",
        "/search?q=",
        "/search?q=%20",
        "/ready?limit=-1",
        "/ready?policy=x",
        "/bd-1/tree?direction=left",
        "/bd-1/tree?depth=0",
        "/bd-1?x=1",
        "/stats?x=1",
        f"?status={'a,' * 101}",
    ],
)
async def test_a_query_that_is_not_the_route_s_is_refused(at: Desk, target: str) -> None:
    refused(await at.get(target), 422, "validation_error")
    assert at.asked == []


async def test_who_asks_must_be_said_where_something_is_removed(at: Desk) -> None:
    refused(await at.delete("/bd-1"), 422, "validation_error")
    refused(await at.delete("/bd-1/dependencies/bd-2"), 422, "validation_error")
