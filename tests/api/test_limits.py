"""How much one user and one address may ask for, and what does not change it."""

from typing import Any

import pytest
import trio
from quart import g, request
from werkzeug.datastructures import Headers

from actors.auth.errors import Unauthenticated
from actors.auth.messages import Principal, Via
from actors.auth.roles import Role, granted
from actors.errors import ValidationError
from api import limits
from api.addresses import Peer, peer_of
from api.app import App, _app, create_app
from api.credentials import BadCredential
from api.exposure import Exposure, Rate, Rates
from api.limits import RateLimited, RateLimits
from supervision import System
from tests.api.asgi import CLIENT, Answer, call
from tests.api.problems import refused
from tests.api.site import nowhere

STRANGER = ("203.0.113.5", 40000)
FEW = Rates(
    reads=Rate(per_s=1.0, burst=5),
    writes=Rate(per_s=1.0, burst=2),
    address=Rate(per_s=1.0, burst=8),
    logins=Rate(per_s=1.0, burst=3),
)


def somebody(user_id: str = "ann", *, key: str = "k1", via: Via = "key") -> Principal:
    roles = frozenset({Role.OPERATOR})
    may = granted(roles, None)
    return Principal(user_id=user_id, roles=roles, permissions=may, via=via, key_id=key)


def counted(found: RateLimits, principal: Principal, method: str, times: int) -> int:
    """How many of so many requests are let through."""
    through = 0
    for _ in range(times):
        try:
            found.ask(principal, method)
        except RateLimited:
            continue
        through += 1
    return through


async def test_a_user_is_refused_beyond_the_burst_and_served_again_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    found = RateLimits(FEW)
    assert counted(found, somebody(), "GET", 20) == 5
    with pytest.raises(RateLimited) as refusal:
        found.ask(somebody(), "GET")
    await trio.sleep(refusal.value.retry_after_s)
    assert counted(found, somebody(), "GET", 20) == 1


async def test_a_user_s_reads_and_writes_are_counted_apart() -> None:
    found = RateLimits(FEW)
    assert counted(found, somebody(), "POST", 9) == 2
    assert counted(found, somebody(), "GET", 9) == 5


@pytest.mark.parametrize("method", ["post", "PATCH", "DELETE", "PUT", "PRI", "a'b", "get"])
async def test_no_method_is_a_way_around_the_count_of_writes(method: str) -> None:
    found = RateLimits(FEW)
    counted(found, somebody(), "POST", 9)
    assert counted(found, somebody(), method, 3) == 0


async def test_another_key_of_the_same_user_is_no_fresh_start() -> None:
    found = RateLimits(FEW)
    through = [counted(found, somebody(key=f"k{number}"), "GET", 5) for number in range(10)]
    assert sum(through) == 5
    assert counted(found, somebody(via="token"), "GET", 5) == 0
    assert counted(found, somebody("bob"), "GET", 5) == 5


async def test_the_machine_s_own_user_is_not_counted() -> None:
    found = RateLimits(FEW)
    assert counted(found, somebody(via="local"), "POST", 100) == 100


async def test_a_rate_of_0_is_none() -> None:
    found = RateLimits(Rates(reads=Rate(per_s=0.0, burst=1)))
    assert counted(found, somebody(), "GET", 100) == 100


async def test_ten_thousand_users_and_addresses_take_bounded_memory() -> None:
    found = RateLimits(FEW)
    for number in range(12_000):
        found.ask(somebody(f"u{number}"), "GET")
        found.come(Peer(f"203.{number >> 16}.{number >> 8 & 255}.{number & 255}", False))
    policies = (found._reads, found._address)
    assert [len(policy._buckets or ()) for policy in policies] == [10_000, 10_000]


def counting(exposure: Exposure, principal: Principal | None = None) -> App:
    """An app of one route that knows who asks; without a principal it knows nobody."""
    app = _app(exposure)

    async def guard() -> None:
        await trio.lowlevel.checkpoint()
        if principal is None:
            raise (
                BadCredential("no") if "Authorization" in request.headers else Unauthenticated("no")
            )
        g.principal = principal
        limits.count_request(principal, request.method)

    app.before_request(guard)
    app.add_url_rule("/x", "x", lambda: {"x": 1}, methods=["GET", "POST"])
    return app


async def statuses(app: Any, times: int, method: str = "GET", **given: Any) -> list[int]:
    answers = [await call(app, method, "/x", **{"client": STRANGER, **given}) for _ in range(times)]
    return [answer.status for answer in answers]


async def answered(app: Any, **given: Any) -> Answer:
    return await call(app, "GET", "/x", **{"client": STRANGER, **given})


async def test_an_answer_tells_what_is_left() -> None:
    app = counting(Exposure(rates=FEW), somebody())
    headers = [(await answered(app)).headers for _ in range(2)]
    assert [found["ratelimit"] for found in headers] == ['"read";r=4;t=1', '"read";r=3;t=2']
    assert headers[0]["ratelimit-policy"] == '"read";q=5;w=5'


SHOWN = [("Authorization", "Bearer x")]
PAGE = [("Origin", "https://a.example")]


@pytest.mark.parametrize(
    ("asked", "given", "status", "elsewhere", "here"),
    [
        ("GET /x", {}, 401, "address", None),
        ("GET /x", {"headers": SHOWN}, 401, "login", "login"),
        ("GET /health/live", {}, 200, None, None),
        ("GET /openapi.json", {}, 200, "address", None),
        ("POST /openapi.json", {}, 405, "address", None),
        ("GET /openapi.json", {"host": "evil.example"}, 403, "address", None),
        ("GET /openapi.json", {"headers": PAGE}, 403, "address", None),
        ("GET /api/v1/nothing", {}, 404, "address", None),
        ("POST /api/v1/auth/token", {}, 415, "login", "login"),
    ],
)
async def test_an_answer_tells_of_the_bucket_that_was_asked_last_and_else_of_none(
    asked: str,
    given: dict[str, Any],
    status: int,
    elsewhere: str | None,
    here: str | None,
) -> None:
    method, target = asked.split()
    exposure = Exposure(rates=FEW)
    async with System.open() as system:
        app = (
            counting(exposure) if target == "/x" else create_app(nowhere(system), exposure=exposure)
        )
        for client, policy in ((STRANGER, elsewhere), (CLIENT, here)):
            answer = await call(app, method, target, client=client, **given)
            assert answer.status == status
            told = answer.headers.get("ratelimit")
            assert (None if told is None else told.split('"')[1]) == policy


async def test_a_refusal_says_when_to_come_back() -> None:
    app = counting(Exposure(rates=FEW), somebody())
    await statuses(app, 5)
    answer = await answered(app)
    body = refused(answer, 429, "rate_limited")
    assert body["retryable"] is True
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["ratelimit"] == '"read";r=0;t=5'
    assert "'read'" in body["detail"]


async def test_an_address_is_counted_whoever_asks_from_there() -> None:
    app = counting(Exposure(rates=Rates(address=FEW.address)), somebody())
    assert (await statuses(app, 10)).count(200) == 8
    refused(await answered(app), 429, "rate_limited")
    assert (await answered(app, client=("203.0.113.6", 1))).status == 200


async def test_health_is_told_to_an_address_that_has_asked_for_too_much() -> None:
    exposure = Exposure(rates=Rates(address=FEW.address), trusted_proxies=("127.0.0.1",))
    headers = [("X-Forwarded-For", "9.9.9.9")]
    async with System.open() as system:
        app = create_app(nowhere(system), exposure=exposure)
        assert (await statuses(app, 9, client=CLIENT, headers=headers))[-1] == 429
        for target, status in (("/health/live", 200), ("/health/ready", 503), ("/health", 503)):
            answers = [await call(app, "GET", target, headers=headers) for _ in range(20)]
            assert {answer.status for answer in answers} == {status}
        for target in ("/health/nothing", "/x?of=/health/live"):
            refused(await call(app, "GET", target, headers=headers), 429, "rate_limited")


async def test_another_port_is_the_same_address() -> None:
    app = counting(Exposure(rates=Rates(address=FEW.address)), somebody())
    found = [(await answered(app, client=("203.0.113.5", port))).status for port in range(1, 20)]
    assert found.count(200) == 8


async def test_addresses_of_one_ipv6_subscriber_are_one() -> None:
    app = counting(Exposure(rates=Rates(address=FEW.address)), somebody())
    found = [(await answered(app, client=(f"2001:db8::{n:x}", 1))).status for n in range(1, 20)]
    assert found.count(200) == 8
    assert (await answered(app, client=("2001:db8:0:1::1", 1))).status == 200


@pytest.mark.parametrize(
    "header",
    [
        ("X-Forwarded-For", "198.51.100.{}"),
        ("X-Forwarded-For", "127.0.0.{}"),
        ("Forwarded", "for=198.51.100.{}"),
        ("X-Real-IP", "198.51.100.{}"),
        ("True-Client-IP", "198.51.100.{}"),
        ("X-Request-Id", "id{}"),
        ("User-Agent", "agent/{}"),
        ("Cookie", "session={}"),
        ("X-Client-IP", "127.0.0.{}"),
        ("X-HTTP-Method-Override", "{}"),
    ],
)
async def test_no_header_is_a_fresh_start(header: tuple[str, str]) -> None:
    app = counting(Exposure(rates=Rates(address=FEW.address)), somebody())
    name, text = header
    given = [[(name, text.format(number))] for number in range(1, 20)]
    found = [(await answered(app, headers=headers)).status for headers in given]
    assert found.count(200) == 8


@pytest.mark.parametrize(
    "target", ["/x", "/X", "//x", "/x/", "/./x", "/%78", "/x?{}", "/x;{}", "*"]
)
async def test_no_spelling_of_an_address_is_a_fresh_start(target: str) -> None:
    app = counting(Exposure(rates=Rates(address=FEW.address)), somebody())
    found = [
        (await call(app, "GET", target.format(number), client=STRANGER)).status
        for number in range(20)
    ]
    assert found.count(429) == 12


async def test_this_machine_s_addresses_are_not_counted_but_what_they_pass_on_is() -> None:
    app = counting(Exposure(rates=Rates(address=FEW.address)), somebody())
    for client in (("127.0.0.1", 1), ("::1", 1), ("::ffff:127.0.0.1", 1), None):
        assert (await statuses(app, 20, client=client)).count(200) == 20
    passed_on = {"client": ("127.0.0.1", 1), "headers": [("X-Forwarded-For", "198.51.100.1")]}
    assert (await statuses(app, 20, **passed_on)).count(200) == 8


async def test_credentials_that_open_nothing_are_counted_by_address() -> None:
    app = counting(Exposure(rates=FEW))
    shown = {"headers": [("Authorization", "Bearer x")]}
    assert await statuses(app, 5, **shown) == [401, 401, 401, 429, 429]
    refused(await answered(app, **shown), 429, "rate_limited")
    assert (await answered(app, **shown, client=("203.0.113.6", 1))).status == 401


async def test_who_shows_no_credential_is_counted_as_an_address_only() -> None:
    app = counting(Exposure(rates=Rates(logins=FEW.logins)))
    assert await statuses(app, 9) == [401] * 9


async def test_a_good_credential_is_served_where_others_have_failed() -> None:
    exposure = Exposure(rates=Rates(logins=FEW.logins))
    app = counting(exposure)
    good = counting(exposure, somebody())
    good.extensions["entrance"]._limits = app.extensions["entrance"]._limits
    shown = {"headers": [("Authorization", "Bearer x")]}
    assert (await statuses(app, 9, **shown))[-1] == 429
    assert (await answered(good, **shown)).status == 200


async def test_a_door_without_rates_counts_nobody() -> None:
    app = counting(Exposure(rates=None), somebody())
    answer = (await answered(app)).headers
    assert "ratelimit" not in answer
    assert await statuses(app, 20) == [200] * 20


PROXIES = Exposure(trusted_proxies=("10.0.0.0/8", "2001:db8:f::/48", "127.0.0.1")).proxies


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
        ("10.1.1.1", [], "10.1.1.1"),
        ("10.1.1.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["6.6.6.6, 198.51.100.1, 10.2.2.2"], "198.51.100.1"),
        ("10.1.1.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["198.51.100.1, evil"], "10.1.1.1"),
        ("10.1.1.1", ["198.51.100.1, "], "10.1.1.1"),
        ("10.1.1.1", ["127.0.0.1"], "127.0.0.1"),
        ("10.1.1.1", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.1.1.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("2001:db8:f::9", ["2001:db8:1::1"], "2001:db8:1::1"),
        ("10.1.1.1", [", ".join(["10.9.9.9"] * 5000)], "10.9.9.9"),
        ("10.1.1.1", ["198.51.100.1:4711"], "10.1.1.1"),
    ],
)
def test_who_a_proxy_names_is_believed_from_the_end_and_no_further_than_it_is_trusted(
    client: str, forwarded: list[str], address: str
) -> None:
    headers = Headers([("X-Forwarded-For", text) for text in forwarded])
    found = peer_of((client, 1), headers, PROXIES)
    assert (found.address, found.is_this_machine) == (address, False)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("allowed_hosts", ["https://example.org", "a b", "example.org:80", "*", "", "[::1"]),
        (
            "cors_origins",
            [
                *("*", "null", "example.org", "https://a/", "https://*.a", "ftp://a", "https://"),
                *("https://a:443", "https://u@a", "https://A.example", "http://a:x", "https://a?b"),
            ],
        ),
        ("trusted_proxies", ["*", "10.0.0.0/33", "proxy", "10.0.0.1/8", ""]),
    ],
)
def test_a_setting_that_means_nothing_is_refused_by_name(name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(ValidationError) as error:
            Exposure(**{name: (value,)})  # type: ignore[arg-type]
        assert error.value.field == name
