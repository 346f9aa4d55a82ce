"""What holds the answers of all tests to the description finds what is not described."""

import json
from typing import Any

import pytest

from api.app import create_app
from api.operations.examples import EXAMPLES
from tests.api.asgi import Answer
from tests.api.described import NotDescribedError, hold

PATH = "/api/v1/workflows/research-1"
HEADERS = {"x-request-id": "r", "content-type": "application/json", "etag": '"1"'}
PROBLEM = HEADERS | {"content-type": "application/problem+json"}
WORKFLOW = EXAMPLES["Workflow"]


@pytest.fixture(scope="module")
def app() -> Any:
    nothing: Any = None
    return create_app(nothing)


def answer(body: Any, status: int = 200, headers: dict[str, str] = HEADERS) -> Answer:
    return Answer(status=status, headers=headers, body=json.dumps(body).encode())


def test_what_is_described_is_held_to_be_so(app: Any) -> None:
    hold(app, "GET", PATH, answer(WORKFLOW))
    hold(app, "GET", PATH, answer(EXAMPLES["Problem"], 404, PROBLEM))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer({**WORKFLOW, "more": 1}), "more"),
        (answer({name: WORKFLOW[name] for name in WORKFLOW if name != "title"}), "title"),
        (answer({**WORKFLOW, "priority": "high"}), "priority"),
        (answer(WORKFLOW, 203), "203"),
        (answer(WORKFLOW, headers={"content-type": "application/json"}), "x-request-id"),
        (answer(WORKFLOW, headers={**HEADERS, "content-type": "text/plain"}), "text/plain"),
        (answer({**EXAMPLES["Problem"], "code": "mine"}, 404, PROBLEM), "mine"),
        (answer({**EXAMPLES["Problem"], "trace": ""}, 404, PROBLEM), "trace"),
    ],
    ids=["more", "less", "other", "status", "header", "type", "code", "problem"],
)
def test_what_is_not_described_is_found(app: Any, given: Answer, said: str) -> None:
    with pytest.raises(NotDescribedError, match=said):
        hold(app, "GET", PATH, given)


def test_less_is_only_held_to_be_enough_where_fields_were_named(app: Any) -> None:
    title = {"title": WORKFLOW["title"]}
    hold(app, "GET", PATH, answer(title), whole=False)
    with pytest.raises(NotDescribedError, match="required"):
        hold(app, "GET", PATH, answer(title))
    with pytest.raises(NotDescribedError, match="more"):
        hold(app, "GET", PATH, answer({**title, "more": 1}), whole=False)


def test_of_what_is_no_route_nothing_is_said(app: Any) -> None:
    hold(app, "GET", "/nowhere", answer({}, 404))
    hold(app, "PATCH", PATH, answer({}, 405))
