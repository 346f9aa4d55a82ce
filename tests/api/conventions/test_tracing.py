"""A request's trace comes back with its answer, and is in the log and in problems."""

import re

import pytest
import structlog

from api.conventions import tracing
from tests.api.asgi import Header
from tests.api.site import WORKFLOWS, SharedSite

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT: Header = ("traceparent", f"00-{TRACE}-{SPAN}-01")


def test_a_trace_comes_back_with_a_span_of_its_own(shared: SharedSite) -> None:
    answer = shared.call("GET", f"{WORKFLOWS}/types", headers=[PARENT, ("tracestate", "a=1,b=2")])
    found = re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-01", answer.headers["traceparent"])
    assert found
    assert found[1] != SPAN
    assert answer.headers["tracestate"] == "a=1,b=2"


def test_a_problem_names_the_trace(shared: SharedSite) -> None:
    body = shared.call("GET", f"{WORKFLOWS}/none", headers=[PARENT]).json()
    assert (body["code"], body["trace_id"]) == ("not_found", TRACE)


def test_the_log_says_which_workflow_a_trace_has_started(
    shared: SharedSite, logged: list[structlog.typing.EventDict]
) -> None:
    workflow_id = shared.start("listed", PARENT).json()["id"]
    (line,) = [each for each in logged if each.get("workflow_id") == workflow_id]
    assert (line["event"], line["trace_id"]) == ("workflow asked for", TRACE)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "none",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f" 00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_what_names_no_trace_is_passed_over(given: str) -> None:
    assert tracing.of({"traceparent": given}) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    found = tracing.of({"traceparent": f"cc-{TRACE}-{SPAN}-00-what=ever"})
    assert found is not None
    assert found.parent == f"00-{TRACE}-{found.span_id}-00"


@pytest.mark.parametrize("state", ["a" * 513, "a=\xff", "a\tb"])
def test_a_state_that_cannot_be_given_back_is_left_out(state: str) -> None:
    found = tracing.of({"traceparent": PARENT[1], "tracestate": state})
    assert found is not None
    assert found.state == ""


def test_without_a_trace_nothing_is_said_of_one(shared: SharedSite) -> None:
    answer = shared.call("GET", f"{WORKFLOWS}/none")
    assert "traceparent" not in answer.headers
    assert "trace_id" not in answer.json()
