"""/api/v1/auth and /api/v1/audit on a real site: keys, tokens, tickets, and what the log says."""

from typing import Any

import pytest

from actors.auth.roles import GRANTS, Permission, Role
from tests.api.asgi import Answer, Header, stream
from tests.api.locked import Locked
from tests.api.problems import refused

AUTH = "/api/v1/auth"
AUDIT = "/api/v1/audit"
ME = f"{AUTH}/me"


def made(door: Locked, admin: Header, **given: Any) -> dict[str, Any]:
    body = {"user_id": "ann", "roles": ["viewer"], **given}
    answer = door.post(f"{AUTH}/keys", body, admin)
    assert answer.status == 201, answer.body
    key: dict[str, Any] = answer.json()
    return key


def bearer(credential: str) -> Header:
    return "Authorization", f"Bearer {credential}"


def exchanged(door: Locked, key: str, **body: Any) -> dict[str, Any]:
    answer = door.post(f"{AUTH}/token", body, bearer(key))
    assert answer.status == 200, answer.body
    pair: dict[str, Any] = answer.json()
    return pair


def audited(door: Locked, admin: Header, **given: Any) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        query = "&".join(f"{name}={value}" for name, value in given.items())
        page = door.call("GET", f"{AUDIT}?after={after}&limit=200&{query}", admin).json()
        lines += page["data"]
        after = page["next_after"]
    return lines


def test_a_key_is_made_shown_once_and_opens_what_its_role_has(door: Locked, admin: Header) -> None:
    key = made(door, admin, name="laptop")
    answer = door.call("GET", ME, bearer(key["secret"]))
    assert (answer.json()["user_id"], answer.json()["via"]) == ("ann", "key")
    assert set(answer.json()["permissions"]) == GRANTS[Role.VIEWER]
    listed = door.call("GET", f"{AUTH}/keys?user_id=ann", admin)
    assert key["id"] in [each["id"] for each in listed.json()["data"]]
    assert key["secret"] not in listed.body.decode()
    assert listed.headers["cache-control"] == "no-store"


def test_a_key_gives_no_more_than_its_maker_holds(door: Locked, admin: Header) -> None:
    narrow = made(door, admin, user_id="nora", roles=["admin"], scopes=["system:admin"])
    body: dict[str, Any] = {"user_id": "nora", "roles": ["admin"]}
    for more in ({}, {"scopes": ["system:admin", "issue:read"]}, {"roles": ["viewer"]}):
        answer = door.post(f"{AUTH}/keys", body | more, bearer(narrow["secret"]))
        assert "issue:read" in refused(answer, 403, "forbidden")["detail"]
    same = door.post(f"{AUTH}/keys", body | {"scopes": ["system:admin"]}, bearer(narrow["secret"]))
    assert same.status == 201
    (line,) = audited(door, admin, actor="nora", outcome="refused")
    assert (line["action"], line["detail"]["code"]) == ("system:admin", "forbidden")


def test_a_key_that_was_revoked_opens_nothing_and_neither_do_its_tokens(
    door: Locked, admin: Header
) -> None:
    key = made(door, admin)
    pair = exchanged(door, key["secret"])
    assert door.call("GET", ME, bearer(pair["access_token"])).status == 200
    answer = door.call("DELETE", f"{AUTH}/keys/{key['id']}", admin)
    assert (answer.status, answer.json()["revoked_by"]) == (200, "root")
    for credential in (key["secret"], pair["access_token"]):
        refused(door.call("GET", ME, bearer(credential)), 401, "unauthenticated")
    body = {"refresh_token": pair["refresh_token"]}
    refused(door.post(f"{AUTH}/refresh", body), 401, "unauthenticated")


def test_a_key_is_exchanged_for_a_token_that_may_do_less(door: Locked, admin: Header) -> None:
    key = made(door, admin, roles=["operator"])
    pair = exchanged(door, key["secret"], scopes=["workflow:read"], expires_in=60)
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 60)
    token = bearer(pair["access_token"])
    assert door.call("GET", "/api/v1/workflows", token).status == 200
    refused(door.call("GET", "/api/v1/issues", token), 403, "forbidden")


def test_no_token_may_do_more_than_its_key(door: Locked, admin: Header) -> None:
    key = made(door, admin, roles=["operator"], scopes=["workflow:read"])
    body = {"scopes": ["workflow:write"]}
    refused(door.post(f"{AUTH}/token", body, bearer(key["secret"])), 403, "forbidden")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({}, []),
        ({"key": "a"}, [bearer("a")]),
        ({"key": "a", "more": 1}, []),
        ({"key": "a", "expires_in": 0}, []),
        ({"key": "a", "scopes": ["everything"]}, []),
        ({"key": 1}, []),
    ],
)
def test_a_request_for_a_token_that_is_odd_is_refused(
    door: Locked, body: dict[str, Any], headers: list[Header]
) -> None:
    refused(door.post(f"{AUTH}/token", body, *headers), 422, "validation_error")


def test_a_large_body_is_refused_where_anybody_may_send_one(door: Locked) -> None:
    answer = door.post(f"{AUTH}/token", {"key": "k" * 70_000}, ("Content-Length", "70010"))
    refused(answer, 413, "body_too_large")


def test_a_refresh_token_works_once_and_takes_all_with_it_when_it_comes_again(
    door: Locked, admin: Header
) -> None:
    first = exchanged(door, made(door, admin)["secret"])
    again = {"refresh_token": first["refresh_token"]}
    second = door.post(f"{AUTH}/refresh", again)
    assert second.status == 200
    token = bearer(second.json()["access_token"])
    assert door.call("GET", ME, token).status == 200
    refused(door.post(f"{AUTH}/refresh", again), 401, "unauthenticated")
    refused(door.call("GET", ME, token), 401, "unauthenticated")


def test_whoever_has_a_token_can_end_it_and_nobody_else_s(door: Locked, admin: Header) -> None:
    ann = exchanged(door, made(door, admin)["secret"])
    bob = exchanged(door, made(door, admin, user_id="bob")["secret"])
    token = bearer(ann["access_token"])
    for body in ({"user_id": "bob"}, {"jti": bob["principal"]["credential"]}):
        refused(door.post(f"{AUTH}/revoke", body, token), 403, "forbidden")
    assert door.call("GET", ME, bearer(bob["access_token"])).status == 200
    assert door.post(f"{AUTH}/revoke", {}, token).json() == {"revoked": 1}
    refused(door.call("GET", ME, token), 401, "unauthenticated")


def test_an_administrator_ends_all_tokens_of_a_user(door: Locked, admin: Header) -> None:
    token = bearer(exchanged(door, made(door, admin, user_id="eve")["secret"])["access_token"])
    assert door.call("GET", ME, token).status == 200
    assert door.post(f"{AUTH}/revoke", {"user_id": "eve"}, admin).json() == {"revoked": 1}
    refused(door.call("GET", ME, token), 401, "unauthenticated")


def test_a_ticket_opens_a_stream_once(door: Locked, admin: Header) -> None:
    ticket = door.post(f"{AUTH}/tickets", {}, admin).json()["ticket"]

    async def came() -> Answer | None:
        async with stream(door.app, f"/api/v1/events?ticket={ticket}") as client:
            return client.refusal

    assert door.shared.run(came) is None
    again = door.shared.run(came)
    assert again is not None
    refused(again, 401, "unauthenticated")


def test_tokens_of_the_key_before_are_good_after_a_rotation(door: Locked, admin: Header) -> None:
    key = made(door, admin)["secret"]
    before = exchanged(door, key)
    answer = door.post(f"{AUTH}/signing-keys", {}, admin)
    assert (answer.status, answer.json()["signs"]) == (201, True)
    for pair in (before, exchanged(door, key)):
        assert door.call("GET", ME, bearer(pair["access_token"])).status == 200
    listed = door.call("GET", f"{AUTH}/signing-keys", admin).json()["data"]
    assert [each["signs"] for each in listed].count(True) == 1


@pytest.mark.parametrize(
    ("action", "permission", "allowed"),
    [
        ("workflow:read", "workflow:read", True),
        ("workflow:delete", "workflow:delete", False),
        ("DELETE /api/v1/workflows/w", "workflow:delete", False),
        ("get /api/v1/workflows", "workflow:read", True),
        ("GET /health/live", None, True),
        ("WS /api/v1/events", "workflow:read", True),
    ],
)
def test_why_somebody_may_or_may_not_is_explained(
    door: Locked, admin: Header, action: str, permission: str | None, allowed: bool
) -> None:
    key = made(door, admin, user_id="wendy")
    target = f"{AUTH}/why?principal={key['id']}&action={action.replace(' ', '%20')}"
    for asks in (admin, bearer(key["secret"])):
        found = door.call("GET", target, asks).json()
        assert (found["permission"], found["allowed"]) == (permission, allowed)
        assert found["why"]


@pytest.mark.parametrize("kind", ["key", "access_token", "refresh_token", "a slip"])
def test_a_secret_is_no_principal_and_is_not_repeated(
    door: Locked, admin: Header, kind: str
) -> None:
    key = made(door, admin)["secret"]
    secret = {"key": key, "a slip": f"{key}x", **exchanged(door, key)}[kind]
    target = f"{AUTH}/why?action=workflow:read&principal={secret}"
    for asks in (admin, bearer(key)):
        answer = door.call("GET", target, asks)
        assert "id of the key" in refused(answer, 422, "validation_error")["detail"]
        assert secret not in f"{answer}"


def test_why_is_told_of_others_to_administrators_only(door: Locked, admin: Header) -> None:
    key = made(door, admin, user_id="wendy")
    target = f"{AUTH}/why?principal=root&action=workflow:read"
    refused(door.call("GET", target, bearer(key["secret"])), 403, "forbidden")


@pytest.mark.parametrize("action", ["everything", "GET", "GET /nope", "FOO /api/v1/workflows"])
def test_an_action_that_is_none_is_refused(door: Locked, admin: Header, action: str) -> None:
    target = f"{AUTH}/why?principal=root&action={action.replace(' ', '%20')}"
    refused(door.call("GET", target, admin), 422, "validation_error")


def test_the_audit_log_says_who_did_what_and_what_was_refused(door: Locked, admin: Header) -> None:
    key = made(door, admin, user_id="mallory")
    mallory = bearer(key["secret"])
    refused(door.call("DELETE", "/api/v1/workflows/w", mallory), 403, "forbidden")
    assert door.post("/api/v1/reconcile", {"repair": False}, admin).status == 200
    lines = audited(door, admin)
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    seen = {(line["actor"], line["action"], line["outcome"]) for line in lines}
    assert ("root", "key.create", "done") in seen
    assert ("root", str(Permission.SYSTEM_ADMIN), "done") in seen
    assert ("mallory", str(Permission.WORKFLOW_DELETE), "refused") in seen
    (refusal,) = audited(door, admin, actor="mallory", outcome="refused")
    assert (refusal["address"], refusal["target"]) == ("127.0.0.1", "DELETE /api/v1/workflows/w")
    assert refusal["detail"]["code"] == "forbidden"


def test_the_audit_log_names_the_address_of_its_next_page(door: Locked, admin: Header) -> None:
    for name in ("one", "two"):
        made(door, admin, name=name)
    whole = audited(door, admin)
    target, found = f"{AUDIT}?limit=2", []
    while target and len(found) < len(whole):
        answer = door.call("GET", target, admin)
        found += answer.json()["data"]
        target = answer.headers.get("link", "").partition("<")[2].partition(">")[0]
    assert found[: len(whole)] == whole


def test_the_audit_log_holds_and_has_no_secret_in_it(door: Locked, admin: Header) -> None:
    key = made(door, admin)
    pair = exchanged(door, key["secret"])
    door.call("GET", f"{ME}x", bearer(key["secret"]))
    door.call("GET", "/api/v1/audit", bearer(pair["access_token"]))
    lines = audited(door, admin)
    for secret in (key["secret"], pair["access_token"], pair["refresh_token"], admin[1][7:]):
        assert secret not in str(lines)
    verdict = door.call("GET", f"{AUDIT}/verify", admin).json()
    assert verdict["broken_at"] is None
    assert verdict["records"] >= len(lines)  # nobody waits for the lines of refusals
