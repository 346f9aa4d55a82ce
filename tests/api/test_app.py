"""What all requests have in common: ids, host names, methods, addresses."""

from typing import Any

import pytest

from api.app import create_app
from supervision import System
from tests.api.asgi import Answer, call
from tests.api.problems import problem_of, refused
from tests.api.site import WORKFLOWS, SharedSite, nowhere


async def ask_nobody(method: str, target: str, **given: Any) -> Answer:
    """A request to an app with no system behind it."""
    async with System.open() as system:
        return await call(create_app(nowhere(system)), method, target, **given)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/nope",
        "/api/v1",
        "/api/v1/workflows/",
        "/api/v1//workflows",
        "/health/live/",
        "/health/../health/live",
        "/static/app.py",
        "/static/../app.py",
        "/api/v1/workflows/a/b",
        "/api/v1/workflows/a%2fb",
        "/API/v1/workflows",
        "*",
        "?a=1",
        "x:",
        "evil:443",
    ],
)
async def test_an_address_that_is_not_served_is_a_problem_and_never_a_redirect(
    target: str,
) -> None:
    body = refused(await ask_nobody("GET", target), 404, "not_found")
    assert body["hint"]


async def test_an_absolute_target_is_served_by_its_path() -> None:
    assert (await ask_nobody("GET", "http://127.0.0.1:8080/health/live")).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/health/live",
        "http://127.0.0.1@evil.example/health/live",
        "http://evil.example@127.0.0.1/health/live",
        "http://127.0.0.1%2F@evil.example/health/live",
        "http://[::1%5D/health/live",
        "http:///health/live",
        "HTTPS://EVIL.example:8080/health/live",
        "x://[",
    ],
)
async def test_an_absolute_target_that_names_a_foreign_host_is_refused(target: str) -> None:
    refused(await ask_nobody("GET", target), 403, "foreign_host")


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("DELETE", WORKFLOWS, "GET, HEAD, POST"),
        ("OPTIONS", WORKFLOWS, "GET, HEAD, POST"),
        ("POST", f"{WORKFLOWS}/x", "DELETE, GET, HEAD, PUT"),
        ("PUT", f"{WORKFLOWS}/x/logs", "GET, HEAD"),
        ("TRACE", "/health/live", "GET, HEAD"),
        ("FOO!", "/health/ready", "GET, HEAD"),
        ("PATCH", "/api/v1/system", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_served_is_refused_with_those_that_are(
    method: str, target: str, allowed: str
) -> None:
    answer = await ask_nobody(method, target)
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


async def test_a_head_request_is_answered_like_a_get() -> None:
    answer = await ask_nobody("HEAD", "/health/live")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert problem_of(await ask_nobody("HEAD", "/nope"))["status"] == 404


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.org",
        "example.org:8080",
        "localhost.example.org",
        "localhost:8080:1",
        "127.0.0.1.example.org",
        "192.168.1.1:8080",
        "0.0.0.0",
        "[::]:8080",
        "::1",
        "user@localhost",
        "127...0.0.1",
        "a" * 64,
        ".",
        "xn--a",
        "localhost ",
        "local\xffhost",
    ],
)
async def test_a_request_for_a_foreign_host_is_refused(host: str) -> None:
    answer = await ask_nobody("GET", "/health/live", host=host)
    body = refused(answer, 403, "foreign_host")
    assert "loopback" in body["detail"]


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:1", "127.0.0.1:65535", "127.0.0.2:8080", "[::1]", "[::1]:8080"],
)
async def test_a_request_for_a_loopback_name_is_served(host: str) -> None:
    assert (await ask_nobody("GET", "/health/live", host=host)).status == 200


@pytest.mark.parametrize("origin", ["http://example.org", "null", "https://127.0.0.1.example.org"])
async def test_a_request_from_a_page_elsewhere_is_refused(origin: str) -> None:
    answer = await ask_nobody("GET", "/health/live", headers=[("Origin", origin)])
    refused(answer, 403, "foreign_host")


async def test_a_request_from_a_page_of_this_machine_is_served() -> None:
    headers = [("Origin", "http://localhost:8080")]
    assert (await ask_nobody("GET", "/health/live", headers=headers)).status == 200


async def test_a_request_keeps_the_id_it_came_with() -> None:
    answer = await ask_nobody("GET", "/nope", headers=[("X-Request-Id", "my-id.1_a")])
    assert problem_of(answer)["request_id"] == "my-id.1_a"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "\xe9", '"><script>'])
async def test_an_id_that_could_do_harm_is_replaced(given: str) -> None:
    answer = await ask_nobody("GET", "/nope", headers=[("X-Request-Id", given)])
    assert problem_of(answer)["request_id"] not in {"", given}


async def test_two_requests_have_two_ids() -> None:
    first, second = await ask_nobody("GET", "/nope"), await ask_nobody("GET", "/nope")
    assert problem_of(first)["request_id"] != problem_of(second)["request_id"]


@pytest.mark.parametrize("target", [WORKFLOWS, f"{WORKFLOWS}/x", f"{WORKFLOWS}/types"])
async def test_a_part_that_is_away_is_a_503_that_may_be_repeated(target: str) -> None:
    answer = await ask_nobody("GET", target)
    body = refused(answer, 503, "unavailable")
    assert body["retryable"] is True
    assert answer.headers["retry-after"] == "1"


async def test_a_fault_of_ours_shows_nothing_but_an_id_and_is_logged(
    logged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret reason")

    monkeypatch.setattr("api.routes.workflows.ask", fail)
    answer = await ask_nobody("GET", f"{WORKFLOWS}/x")
    body = refused(answer, 500, "internal_error")
    assert b"secret" not in answer.body
    (entry,) = [entry for entry in logged if entry["event"] == "request failed"]
    assert entry["request_id"] == body["request_id"]
    assert isinstance(entry["exc_info"], ZeroDivisionError)


def test_where_the_system_keeps_its_data_is_told(shared: SharedSite) -> None:
    body = shared.get("/api/v1/system")
    assert set(body) == {"data_dir", "repo", "issues_file", "issues_ref"}
    assert body["issues_file"] == f"{body['repo']}/.beads/issues.jsonl"
    assert body["issues_ref"].startswith("refs/beadflow/")
