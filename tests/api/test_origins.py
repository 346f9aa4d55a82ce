"""Names that the server answers to, and pages that may use it."""

import pytest

from api.app import create_app
from api.exposure import Exposure
from api.operations.headers import ANSWERED
from api.origins import METHODS, SHOWN
from supervision import System
from tests.api.asgi import Answer, Header, call, stream
from tests.api.problems import refused
from tests.api.site import nowhere
from tests.api.test_matrix import routes

PAGE = "https://board.example.org"
OPEN = Exposure(allowed_hosts=("flow.example.org", "[2001:db8::1]"), cors_origins=(PAGE,))


async def ask(
    method: str, *headers: Header, host: str = "127.0.0.1:8080", exposure: Exposure = OPEN
) -> Answer:
    async with System.open() as system:
        app = create_app(nowhere(system), exposure=exposure)
        return await call(app, method, "/health/live", headers=headers, host=host)


@pytest.mark.parametrize(
    "host", ["flow.example.org", "FLOW.example.org:443", "[2001:db8::1]:8080", "localhost"]
)
async def test_a_host_that_is_listed_is_answered(host: str) -> None:
    assert (await ask("GET", host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "a.flow.example.org",
        "flow.example.org.evil.example",
        "flow.example.org:",
        "flow.example.org:80:80",
        "flow.example.org@evil.example",
        "flow.example.org.",
        "flow.example.org/",
        "2001:db8::1",
        "[2001:db8::2]",
        "127.1",
        "0x7f000001",
        "2130706433",
        "[::ffff:8.8.8.8]",
        "localhost.",
        "",
    ],
)
async def test_a_host_that_only_looks_like_a_listed_one_is_refused(host: str) -> None:
    refused(await ask("GET", host=host), 403, "foreign_host")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "*",
        "",
        "https://board.example.org:444",
        "http://board.example.org",
        "https://board.example.org.evil.example",
        "https://board.example.org/",
        "https://BOARD.example.org",
        "https://board.example.org, https://board.example.org",
        "https://evil.example#https://board.example.org",
        "https://a@board.example.org",
        "file://",
        "http://localhost:3000",
        "http://127.0.0.1",
        "ftp://127.0.0.1:8080",
    ],
)
async def test_a_page_that_is_not_listed_is_refused_and_told_nothing(origin: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = await ask(method, ("Origin", origin), ("Access-Control-Request-Method", "POST"))
        refused(answer, 403, "foreign_host")
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_listed_page_may_read_the_answer() -> None:
    answer = await ask("GET", ("Origin", PAGE))
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "origin" in answer.headers["vary"].lower()
    assert "RateLimit" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_listed_page_may_read_a_refusal_too() -> None:
    answer = await ask("PUT", ("Origin", PAGE))
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["access-control-allow-origin"] == PAGE


async def test_a_preflight_of_a_listed_page_is_answered_before_anything_else() -> None:
    answer = await ask(
        "OPTIONS",
        ("Origin", PAGE),
        ("Access-Control-Request-Method", "PUT"),
        ("Access-Control-Request-Headers", "authorization, idempotency-key"),
    )
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "PUT" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "idempotency-key" in allowed
    assert "*" not in "".join(answer.headers.values())


async def test_a_preflight_for_a_foreign_host_is_refused() -> None:
    answer = await ask(
        "OPTIONS", ("Origin", PAGE), ("Access-Control-Request-Method", "PUT"), host="evil.example"
    )
    refused(answer, 403, "foreign_host")


async def test_options_that_no_page_asks_for_is_a_method_like_others() -> None:
    refused(await ask("OPTIONS"), 405, "method_not_allowed")
    refused(await ask("OPTIONS", ("Origin", PAGE)), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://localhost:8080", "127.0.0.1:8080"),
        ("http://[::1]:8080", "localhost:8080"),
        ("https://flow.example.org", "flow.example.org"),
    ],
)
async def test_a_page_of_this_server_may(origin: str, host: str) -> None:
    assert (await ask("GET", ("Origin", origin), host=host)).status == 200


async def test_nothing_of_pages_is_said_where_none_is_listed() -> None:
    answer = await ask("GET", ("Origin", "http://127.0.0.1:8080"), exposure=Exposure())
    assert answer.status == 200
    assert "Origin" not in answer.headers["vary"]
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://localhost:3000"])
async def test_a_websocket_of_another_page_is_refused(origin: str) -> None:
    async with System.open() as system:
        app = create_app(nowhere(system), exposure=OPEN)
        async with stream(app, "/api/v1/events", headers=[("Origin", origin)]) as end:
            assert end.refusal is not None
    refused(end.refusal, 403, "foreign_host")


SECURE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
async def test_every_answer_tells_browsers_what_not_to_do(method: str) -> None:
    headers = (await ask(method)).headers
    assert {name: headers[name] for name in SECURE} == SECURE
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "camera=()" in headers["permissions-policy"]
    assert "strict-transport-security" not in headers


async def test_browsers_are_told_to_insist_on_tls_where_there_is_some() -> None:
    answer = await ask("GET", exposure=Exposure(behind_tls=True))
    assert "max-age=" in answer.headers["strict-transport-security"]


def test_pages_are_offered_the_methods_that_routes_have() -> None:
    there = {method for _, method, _ in routes()} - {"WS"}
    assert set(METHODS.split(", ")) == there


def test_pages_may_read_every_header_that_is_described() -> None:
    hidden = {"Set-Cookie"}  # no browser shows it to a page
    assert set(ANSWERED) - hidden <= set(SHOWN.split(", "))
