"""What POST /api/v1/workflows refuses, and how."""

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from api.app import create_app
from api.body import BODY_LIMIT_BYTES, BadBody, parse_object
from supervision import System
from tests.api.asgi import call
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite, nowhere

BASE = {"issue_title": "a title", "workflow_type": "counting"}


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\xff{}", "not UTF-8: byte 0"),
        ("\ufeff{}".encode(), "BOM"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": 1, "a": 1}', "same key twice"),
        (b'{"b": {"a": 1, "a": 2}}', "same key twice"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udfff": 1}', "half of a surrogate pair"),
        (b'{"a": ' + b"1" * 401 + b"}", "401 digits"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 64"),
        (b'{"a":' * 100_000, "deeper than 64"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"{} {}", "Extra data"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_body_that_is_no_json_object_is_refused(shared: SharedSite, raw: bytes, why: str) -> None:
    body = refused(shared.post(raw), 400, "bad_body")
    assert why in body["detail"]


@pytest.mark.parametrize(
    "target",
    [
        f"{WORKFLOWS}?limit=2&q=%ff",
        "/api/v1/issues/search?q=a%C3",
        "/api/v1/events?topics=%ED%A0%80",
    ],
)
def test_a_parameter_that_is_not_utf_8_is_refused(shared: SharedSite, target: str) -> None:
    body = refused(shared.call("GET", target), 422, "validation_error")
    assert body["errors"][0]["pointer"] in {"/q", "/topics"}
    assert "not UTF-8" in body["detail"]


def test_a_parameter_whose_name_is_not_utf_8_is_refused(shared: SharedSite) -> None:
    refused(shared.call("GET", f"{WORKFLOWS}?%ff=1"), 422, "validation_error")


def test_brackets_inside_strings_do_not_count_as_depth() -> None:
    text = '"[' + "[{" * 100 + '\\"[['
    assert parse_object(b'{"a": ' + text.encode() + b'"}') == {"a": json.loads(text + '"')}


def test_brackets_side_by_side_do_not_count_as_depth() -> None:
    assert parse_object(b'{"a": [' + b"[]," * 500 + b"[]]}") == {"a": [[]] * 501}


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert parse_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_64_levels_are_allowed_and_65_are_not() -> None:
    parse_object(b'{"a":' + b"[" * 63 + b"]" * 63 + b"}")
    with pytest.raises(BadBody, match="deeper"):
        parse_object(b'{"a":' + b"[" * 64 + b"]" * 64 + b"}")


@pytest.mark.parametrize(
    "headers",
    [
        [("X-None", "")],
        [("Content-Type", "text/plain")],
        [("Content-Type", "application/x-www-form-urlencoded")],
        [("Content-Type", "multipart/form-data; boundary=x")],
        [("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
        [("Content-Type", "\xff\xfe")],
    ],
)
def test_a_body_that_does_not_say_it_is_plain_json_is_refused(
    shared: SharedSite, headers: list[tuple[str, str]]
) -> None:
    refused(shared.post(json.dumps(BASE).encode(), *headers), 415, "unsupported_media_type")


def test_a_charset_in_the_content_type_does_no_harm(shared: SharedSite) -> None:
    typed = ("Content-Type", "application/json; charset=utf-8")
    assert shared.post(json.dumps(BASE).encode(), typed).status == 201


def test_a_body_that_says_it_is_too_large_is_refused(shared: SharedSite) -> None:
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(BODY_LIMIT_BYTES + 1)),
    ]
    refused(shared.post(b"{}", *headers), 413, "body_too_large")


def test_a_body_that_turns_out_too_large_is_refused(shared: SharedSite) -> None:
    refused(shared.post(b" " * (BODY_LIMIT_BYTES + 1)), 413, "body_too_large")


def test_a_body_of_the_greatest_size_is_read(shared: SharedSite) -> None:
    raw = json.dumps(BASE).encode()
    assert shared.post(raw + b" " * (BODY_LIMIT_BYTES - len(raw))).status == 201


async def test_a_body_that_does_not_come_to_an_end_is_given_up(autojump_clock: MockClock) -> None:
    async with System.open() as system:
        app = create_app(nowhere(system))
        headers = [("Content-Type", "application/json")]
        answer = await call(app, "POST", WORKFLOWS, headers=headers, body=[b"{"], complete=False)
    refused(answer, 408, "request_timeout")
    assert trio.current_time() == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize(
    ("change", "pointer", "why"),
    [
        ({"issue_title": None}, "/issue_title", "valid string"),
        ({"issue_title": 5}, "/issue_title", "valid string"),
        ({"issue_title": ""}, "/issue_title", "1 to 500 bytes"),
        ({"issue_title": " \n"}, "/issue_title", "1 to 500 bytes"),
        ({"issue_title": "x" * 501}, "/issue_title", "not 501"),
        ({"issue_title": "\u00e9" * 251}, "/issue_title", "not 502"),
        ({"priority": -1}, "/priority", "not -1"),
        ({"priority": 5}, "/priority", "not 5"),
        ({"priority": True}, "/priority", "valid integer"),
        ({"priority": "2"}, "/priority", "valid integer"),
        ({"priority": 2.0}, "/priority", "valid integer"),
        ({"priority": None}, "/priority", "valid integer"),
        ({"priority": 10**399}, "/priority", "priority is 0"),
        ({"variables": []}, "/variables", "valid object"),
        ({"variables": None}, "/variables", "valid object"),
        ({"variables": "x"}, "/variables", "valid object"),
        ({"variables": {"third": 3}}, "/variables/third", "knows: none"),
        ({"agent_type": 1}, "/agent_type", "valid string"),
        ({"agent_type": "x" * 201}, "/agent_type", "at most 200"),
        ({"workflow_type": ["x"]}, "/workflow_type", "valid string"),
        ({"workflow_type": "x" * 201}, "/workflow_type", "at most 200"),
        ({"colour": "red"}, "/colour", "known: issue_title, workflow_type"),
        ({"a/b~c": 1}, "/a~1b~0c", "known: issue_title"),
        ({"x" * 100_000: 1}, "/" + "x" * 200, "known: issue_title"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_field_that_is_wrong_is_named(
    shared: SharedSite, change: dict[str, Any], pointer: str, why: str
) -> None:
    raw = json.dumps({**BASE, **change}).encode()
    body = refused(shared.post(raw), 422, "validation_error")
    assert body["errors"] == [{"pointer": pointer, "msg": body["detail"]}]
    assert why in body["detail"]


@pytest.mark.parametrize("field", ["issue_title", "workflow_type"])
def test_a_field_that_is_missing_is_named(shared: SharedSite, field: str) -> None:
    raw = json.dumps({name: BASE[name] for name in BASE if name != field}).encode()
    body = refused(shared.post(raw), 422, "validation_error")
    assert body["errors"][0]["pointer"] == f"/{field}"


def test_unknown_variables_are_refused_with_the_known_ones_named(shared: SharedSite) -> None:
    answer = shared.start("arithmetic", variables={"first": 1, "third": 3})
    body = refused(answer, 422, "validation_error")
    assert "first, second" in body["detail"]
    assert body["errors"][0]["pointer"] == "/variables/third"


def test_an_unknown_workflow_type_is_not_found_and_the_known_ones_are_named(
    shared: SharedSite,
) -> None:
    body = refused(shared.start("algebra"), 404, "not_found")
    assert "arithmetic" in body["detail"]


def test_an_unknown_agent_type_is_not_found(shared: SharedSite) -> None:
    refused(shared.start("counting", agent_type="nobody"), 404, "not_found")


@pytest.mark.parametrize("title", ["x", "x" * 500, "\u00e9" * 250, "\U0001f600", "<b>&\"'</b>"])
def test_a_title_of_1_to_500_bytes_is_kept_as_it_is(shared: SharedSite, title: str) -> None:
    started = shared.start("counting", issue_title=title).json()
    assert shared.get(f"{WORKFLOWS}/{started['id']}")["title"] == title


@pytest.mark.parametrize(
    ("method", "target", "kind"),
    [
        ("POST", WORKFLOWS, "application/json"),
        ("POST", "/api/v1/issues/import", "application/x-ndjson"),
        ("PUT", f"{WORKFLOWS}/x/artifacts/a", "text/plain"),
    ],
)
def test_a_body_that_is_encoded_is_refused_with_its_encoding(
    shared: SharedSite, method: str, target: str, kind: str
) -> None:
    headers = [("Content-Type", kind), ("Content-Encoding", "gzip")]
    answer = shared.call(method, target, headers=headers, body=[b"{}"])
    body = refused(answer, 415, "unsupported_media_type")
    assert "encoding 'gzip'" in body["detail"]


def test_an_empty_list_and_an_empty_period_count_as_not_given(shared: SharedSite) -> None:
    whole = shared.get(f"{WORKFLOWS}?limit=1").keys()
    assert shared.get(f"{WORKFLOWS}?limit=1&fields=&status=").keys() == whole
    trends = "/api/v1/analytics/trends"
    assert shared.get(f"{trends}?period=")["period"]["seconds"] == 86_400
    for target in (f"{trends}?group_by=", f"{WORKFLOWS}?limit="):
        refused(shared.call("GET", target), 422, "validation_error")
