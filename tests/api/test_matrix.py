"""Each route for each who may ask: what the table says is what comes of it, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest

from actors.auth.roles import GRANTS, Permission, Role
from api.app import create_app
from api.permissions import KNOWN, OPEN, PERMISSIONS
from tests.api.asgi import Header
from tests.api.locked import Locked

PARAMETER = "x"
"""Whatever an address has a place for."""

NOBODY = ("anonymous", "expired", "revoked")


def routes() -> Iterator[tuple[str, str, str]]:
    """Endpoint, method and address of everything that is served."""
    nothing: Any = None
    for rule in create_app(nothing).url_map.iter_rules():
        address = "".join(PARAMETER if is_dynamic else part for is_dynamic, part in rule._trace)
        address = address.partition("|")[2]
        methods = {"WS"} if rule.websocket else (rule.methods or set()) - {"OPTIONS"}
        for method in sorted(methods):
            yield rule.endpoint, method, address


def credential(door: Locked, who: str) -> list[Header]:
    match who:
        case "anonymous":
            return []
        case "revoked":
            return [door.revoked()]
        case "expired":
            return [door.expired()]
        case _:
            return [door.header(Role(who))]


def expected(endpoint: str, who: str) -> str:
    need = PERMISSIONS[endpoint]
    if need is OPEN:
        return "in"
    if who in NOBODY:
        return "unknown"
    if need is KNOWN or need in GRANTS[Role(who)]:
        return "in"
    assert isinstance(need, Permission)
    return f"lacks {need}"


def found(door: Locked, method: str, address: str, headers: list[Header], app: Any) -> str:
    if method == "WS":
        return _of_stream(door.closed_with(address, *headers, app=app))
    answer = door.call(method, address, *headers, app=app)
    challenge = answer.headers.get("www-authenticate", "")
    if answer.status == 401:
        assert challenge.startswith("Bearer")
        return "unknown"
    if answer.status == 403 and "insufficient_scope" in challenge:
        return f"lacks {challenge.rpartition('scope=')[2].strip(chr(34))}"
    assert answer.status < 500, (method, address, answer.body)
    return "in"


def _of_stream(came: int | None) -> str:
    return {None: "in", 401: "unknown", 4401: "unknown"}.get(came, f"refused with {came}")


@pytest.mark.parametrize("who", [*NOBODY, *Role])
def test_everybody_reaches_what_the_table_says_and_nothing_else(door: Locked, who: str) -> None:
    headers = credential(door, who)
    app = door.later if who == "expired" else door.app
    cells = {(method, address): endpoint for endpoint, method, address in routes()}
    table = {cell: expected(endpoint, who) for cell, endpoint in cells.items()}
    came = {cell: found(door, *cell, headers, app) for cell in cells}
    assert {cell: (came[cell], table[cell]) for cell in cells if came[cell] != table[cell]} == {}


def test_only_these_routes_answer_whoever_asks() -> None:
    opened = {endpoint for endpoint, need in PERMISSIONS.items() if need is OPEN}
    assert opened == {
        "auth.refresh",
        "auth.token",
        "docs.asset",
        "docs.page",
        "health.live",
        "health.ready",
        "health.whole",
        "openapi.document",
        "openapi.streams",
        "sessions.begin",
    }


def test_the_matrix_has_all_routes_and_every_one_in_it_several_times(door: Locked) -> None:
    seen = {endpoint for endpoint, _, _ in routes()}
    assert seen == PERMISSIONS.keys()
    assert len(list(routes())) > 90
    assert door.app.guard is not None
