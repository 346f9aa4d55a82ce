"""The routes of sync and of an issue's past, on a whole running system."""

import json
from typing import Any

import pytest

from tests.api.asgi import Answer
from tests.api.problems import refused
from tests.api.site import SharedSite

ISSUES = "/api/v1/issues"
JSON = ("Content-Type", "application/json")


def post(shared: SharedSite, target: str, **body: Any) -> Answer:
    return shared.call("POST", target, headers=[JSON], body=[json.dumps(body).encode()])


def test_without_a_remote_a_sync_is_refused_with_its_reason(shared: SharedSite) -> None:
    refused(post(shared, f"{ISSUES}/sync"), 409, "no_remote")


@pytest.mark.parametrize(
    "body", [{"remote": 1}, {"dry_run": "yes"}, {"force": True}, {"remote": "x" * 201}]
)
def test_a_body_that_is_none_is_refused(shared: SharedSite, body: dict[str, Any]) -> None:
    refused(post(shared, f"{ISSUES}/sync", **body), 422, "validation_error")


@pytest.mark.parametrize("remote", ["", "-x", "--upload-pack=x", "a/../b", "ext::x"])
def test_a_name_that_no_remote_has_is_not_given_to_git(shared: SharedSite, remote: str) -> None:
    refused(post(shared, f"{ISSUES}/sync", remote=remote), 409, "no_remote")


def test_an_issue_that_never_was_has_no_past(shared: SharedSite) -> None:
    refused(shared.call("GET", f"{ISSUES}/nobody-has-this/history"), 404, "not_found")


def test_an_issue_that_was_not_recorded_yet_has_an_empty_past(shared: SharedSite) -> None:
    made = post(shared, ISSUES, title="New", actor="ada").json()["id"]
    assert shared.get(f"{ISSUES}/{made}/history") == {"data": [], "next_before": None}


@pytest.mark.parametrize("before", ["HEAD", "refs/heads/main", "-x", "0" * 39])
def test_only_a_commit_id_goes_on(shared: SharedSite, before: str) -> None:
    answer = shared.call("GET", f"{ISSUES}/x/history?before={before}")
    refused(answer, 422, "validation_error")


def test_a_commit_that_is_not_here_does_not_go_on(shared: SharedSite) -> None:
    made = post(shared, ISSUES, title="New", actor="ada").json()["id"]
    answer = shared.call("GET", f"{ISSUES}/{made}/history?before={'1' * 40}")
    refused(answer, 404, "not_found")
    assert "1" * 40 in answer.json()["detail"]


def test_an_unknown_remote_has_a_hint_that_helps(shared: SharedSite) -> None:
    answer = refused(post(shared, f"{ISSUES}/sync", remote="nowhere"), 409, "no_remote")
    assert "git remote" in answer["hint"]
