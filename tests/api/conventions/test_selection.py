"""Only the fields that a client names come back."""

import json

import pytest

from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite

ISSUES = "/api/v1/issues"


def test_only_the_fields_that_are_named_come_back(shared: SharedSite) -> None:
    workflow_id = shared.done("arithmetic", variables={"first": 1})
    page = shared.get(f"{WORKFLOWS}?type=arithmetic&fields=status,id,id")
    assert page["data"][0] == {"status": "completed", "id": workflow_id}
    assert "next_cursor" in page
    one = shared.call("GET", f"{WORKFLOWS}/{workflow_id}?fields=title")
    assert one.json() == {"title": "a title"}
    assert one.headers["etag"] != shared.call("GET", f"{WORKFLOWS}/{workflow_id}").headers["etag"]
    results = shared.get(f"{WORKFLOWS}/{workflow_id}/results?fields=step")["data"]
    assert {"step": "output"} in results
    lines = shared.call(
        "GET",
        f"{WORKFLOWS}/{workflow_id}/results?fields=step",
        headers=[("Accept", "application/x-ndjson")],
    )
    assert [json.loads(line) for line in lines.body.splitlines()] == results


def test_issues_may_be_asked_for_any_field(shared: SharedSite) -> None:
    issue_id = shared.start("waiting").json()["beads_issue_id"]
    found = shared.get(f"{ISSUES}?fields=id,created_by,of_another_tool&limit=1000")["data"]
    assert {"id": issue_id, "created_by": "beadflow"} in found
    assert set(shared.get(f"{ISSUES}/{issue_id}?fields=children,claim")) == {"children", "claim"}


@pytest.mark.parametrize(
    "target",
    [
        f"{WORKFLOWS}?fields=none",
        f"{WORKFLOWS}?fields=id,none",
        "/api/v1/results?fields=none",
        "/api/v1/agents?fields=none",
        "/api/v1/assignments?fields=none",
    ],
)
def test_a_field_that_there_is_not_is_refused(shared: SharedSite, target: str) -> None:
    shared.done("greeting", variables={"name": "Ada"})
    body = refused(shared.call("GET", target), 422, "validation_error")
    assert body["errors"][0]["pointer"] == "/fields"
    assert "'none'" in body["detail"]
