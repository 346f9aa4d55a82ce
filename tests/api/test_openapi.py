"""The description of the API: it is whole, it says of each operation what is true, and no more."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from actors.auth.roles import Permission
from api.app import create_app
from api.entrance import ALWAYS
from api.operations import examples, operation
from api.operations.openapi import build, path_of
from api.operations.problems import STATUSES
from api.operations.table import OPERATIONS
from api.permissions import PERMISSIONS, Open
from tests.api.asgi import call
from tests.api.described import component
from tests.docs.pages import names, rows, section

DESCRIBED = [(name, each) for name, each in OPERATIONS.items() if each.example is not None]


@pytest.fixture(scope="module")
def app() -> Any:
    nothing: Any = None
    return create_app(nothing)


@pytest.fixture(scope="module")
def document(app: Any) -> dict[str, Any]:
    return build(app.url_map.iter_rules(), OPERATIONS, PERMISSIONS)


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def test_routes_operations_and_permissions_are_the_same_set(app: Any) -> None:
    routes = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert sorted(routes) == sorted(OPERATIONS)
    assert sorted(routes) == sorted(PERMISSIONS)


def test_a_route_that_nothing_describes_fails_the_build(app: Any) -> None:
    known = {name: each for name, each in OPERATIONS.items() if name != "workflows.get"}
    with pytest.raises(KeyError, match=r"workflows\.get"):
        build(app.url_map.iter_rules(), known, PERMISSIONS)


def test_each_operation_has_its_own_id_and_a_tag_that_is_described(
    document: dict[str, Any],
) -> None:
    ids = [each["operationId"] for each in operations(document)]
    assert len(ids) == len(set(ids))
    used = {tag for each in operations(document) for tag in each["tags"]}
    assert {tag["name"] for tag in document["tags"]} == used


def test_every_reference_leads_somewhere_and_every_component_is_used(
    document: dict[str, Any],
) -> None:
    text = json.dumps(document)
    for kind, named in document["components"].items():
        if kind != "securitySchemes":
            unused = [name for name in named if f'"#/components/{kind}/{name}"' not in text]
            assert unused == []
    for place in references(document):
        _, _, kind, name = place.split("/")
        assert name in document["components"][kind], place


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


@pytest.mark.parametrize(("name", "each"), DESCRIBED, ids=[name for name, _ in DESCRIBED])
def test_the_example_of_a_body_would_be_taken(name: str, each: operation.Operation) -> None:
    TypeAdapter(each.body).validate_python(each.example)


def test_every_json_body_has_an_example() -> None:
    without = [
        name
        for name, each in OPERATIONS.items()
        if each.body is not None and each.body_type == operation.JSON and each.example is None
    ]
    assert without == []


def test_the_examples_of_things_are_in_the_document(document: dict[str, Any]) -> None:
    found = {
        name: schema["examples"][0]
        for name, schema in document["components"]["schemas"].items()
        if "examples" in schema
    }
    assert found == examples.EXAMPLES


@pytest.mark.parametrize(("name", "example"), examples.EXAMPLES.items())
def test_the_example_of_a_thing_is_one(name: str, example: Any) -> None:
    is_open = name == "Issue"  # it may hold whatever other tools wrote into it
    assert list(component(name).iter_errors(example)) == []
    assert component(name).is_valid({**example, "more": 1}) == is_open


def test_what_is_served_is_what_is_described(app: Any, document: dict[str, Any]) -> None:
    served = {
        (method.lower(), path_of(rule.rule))
        for rule in app.url_map.iter_rules()
        if not rule.websocket
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {(each, path) for path, found in document["paths"].items() for each in found} == served


def test_every_code_that_comes_out_of_a_route_is_described_at_one(
    document: dict[str, Any],
) -> None:
    table = section("docs/http.md", "Codes").partition("These codes are declared inside")[0]
    documented = {names(row[0])[0] for row in rows(table)}
    described = {
        code
        for each in operations(document)
        for answer in each["responses"].values()
        for code in answer.get("x-codes", ())
    }
    of_no_route = {"http_error", "method_not_allowed", "unexpected_message", "websocket_mismatch"}
    of_parts = {"no_such_part"}  # of a batch, whose answer holds it
    assert documented - described - of_parts == of_no_route
    assert described - documented == set()


def test_the_statuses_of_codes_are_those_of_the_page() -> None:
    documented = {
        names(row[0])[0]: row[1]
        for row in rows(section("docs/http.md", "Codes"))
        if row[1].isdigit()
    }
    wrong = {c: s for c, s in STATUSES.items() if c in documented and documented[c] != str(s)}
    assert wrong == {}


def test_only_health_is_never_refused_for_asking_too_much(document: dict[str, Any]) -> None:
    never = {each["operationId"] for each in operations(document) if "429" not in each["responses"]}
    assert never == {endpoint.replace(".", "_") for endpoint in ALWAYS}


def test_what_needs_no_permission_says_so(document: dict[str, Any]) -> None:
    by_id = {each["operationId"]: each for each in operations(document)}
    for endpoint, needed in PERMISSIONS.items():
        described = by_id.get(endpoint.replace(".", "_"))
        if described is None:
            continue
        if isinstance(needed, Open):
            assert described["security"] == []
        else:
            told = f"`{needed}`" if isinstance(needed, Permission) else "any credential"
            assert "security" not in described
            assert f"Needs {told}." in described["description"]


async def test_the_document_is_served_and_known_by_its_tag(app: Any) -> None:
    first = await call(app, "GET", "/openapi.json")
    assert (first.status, first.headers["content-type"]) == (200, "application/json")
    assert first.json()["openapi"].startswith("3.1.")
    tag = first.headers["etag"]
    again = await call(app, "GET", "/openapi.json", headers=[("If-None-Match", tag)])
    assert (again.status, again.body) == (304, b"")
