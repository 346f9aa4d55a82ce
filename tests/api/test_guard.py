"""The guard of an app: who asks, what they may, and what it remembers."""

import socket
from dataclasses import replace
from typing import Any

import pytest
import trio
from prometheus_client import CollectorRegistry

from actors.auth.messages import Authenticate, GetStanding, Note
from actors.auth.roles import Permission, Role
from api.app import create_app
from api.credentials import REMEMBERED, REMEMBERED_S, Memory
from api.peers import STATE
from api.permissions import PERMISSIONS, UnlistedError, check
from api.server import doors_specs
from supervision import System
from tests.api.asgi import call, send_json, stream
from tests.api.keeper import ELSEWHERE, NOW, Gate, a_principal, gate
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, nowhere

ME = "/api/v1/auth/me"
SYSTEM = "/api/v1/system"


def test_every_route_has_an_entry_and_no_entry_is_without_a_route() -> None:
    nothing: Any = None
    served = {rule.endpoint for rule in create_app(nothing).url_map.iter_rules()}
    assert served == PERMISSIONS.keys()


def test_a_route_without_an_entry_is_a_fault_at_start() -> None:
    with pytest.raises(UnlistedError, match=r"workflows\.surprise"):
        check(["workflows.get", "workflows.surprise"])


async def test_whoever_shows_nothing_is_asked_for_a_credential() -> None:
    async with gate() as there:
        answer = await there.get(SYSTEM)
        refused(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer realm="beadflow"'


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer nobody",
        "bearer nobody",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a,b",
        "Bearer \xff",
        "Bearer " + "a" * 9000,
        "Basic YTpi",
        "Token x",
        "x",
        "",
    ],
)
async def test_what_opens_nothing_is_refused_from_whomever_it_comes(shown: str) -> None:
    async with gate() as there:
        there.has_keys = False
        answer = await there.get(SYSTEM, ("Authorization", shown))
        refused(answer, 401, "unauthenticated")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_two_credentials_are_none() -> None:
    async with gate() as there:
        header = there.add(a_principal(Role.ADMIN))
        refused(await there.get(SYSTEM, header, header), 401, "unauthenticated")


async def test_whoever_is_known_may_do_what_their_role_has() -> None:
    async with gate() as there:
        header = there.add(a_principal(Role.VIEWER))
        assert (await there.get(SYSTEM, header)).status == 200
        assert (await there.get(ME, header)).json()["roles"] == ["viewer"]


async def test_what_is_missing_is_named() -> None:
    async with gate() as there:
        header = there.add(a_principal(Role.VIEWER, "ann"))
        answer = await call(there.app, "DELETE", f"{WORKFLOWS}/w", headers=[header])
        assert "workflow:delete" in refused(answer, 403, "forbidden")["detail"]
        assert 'scope="workflow:delete"' in answer.headers["www-authenticate"]


async def test_nothing_of_a_body_is_read_before_it_is_known_who_sends_it() -> None:
    async with gate() as there:
        body = [b"{", b"x" * 100_000]
        answer = await call(there.app, "POST", WORKFLOWS, body=body, complete=False)
        refused(answer, 401, "unauthenticated")


async def test_a_head_request_needs_what_a_get_needs() -> None:
    async with gate() as there:
        assert (await call(there.app, "HEAD", SYSTEM)).status == 401
        assert (await call(there.app, "HEAD", "/health/live")).status == 200


@pytest.mark.parametrize("name", ["health", "ready", "live", "openapi.json", "metrics", "static"])
async def test_nothing_is_open_for_how_its_address_ends(name: str) -> None:
    async with gate() as there:
        for target in (f"{WORKFLOWS}/{name}", f"/api/v1/issues/{name}", f"{ME}?x=/health/{name}"):
            refused(await there.get(target), 401, "unauthenticated")


# --- this machine


async def test_without_any_key_a_program_of_this_machine_may_do_anything() -> None:
    async with gate() as there:
        there.has_keys = False
        assert (await there.get(ME)).json()["via"] == "local"
        refused(await there.get(ME, client=ELSEWHERE), 401, "unauthenticated")


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
async def test_what_a_proxy_passes_on_is_not_of_this_machine(header: str) -> None:
    async with gate() as there:
        there.has_keys = False
        refused(await there.get(ME, (header, "127.0.0.1")), 401, "unauthenticated")


async def test_from_the_first_key_on_everybody_has_to_show_one() -> None:
    async with gate() as there:
        there.has_keys = False
        assert (await there.get(ME)).status == 200
        there.has_keys = True
        there.epoch.bump()
        refused(await there.get(ME), 401, "unauthenticated")


async def test_whether_there_are_keys_is_asked_once_an_epoch() -> None:
    async with gate() as there:
        there.has_keys = False
        for _ in range(3):
            await there.get(ME)
        assert there.count(GetStanding) == 1


async def test_the_machine_s_own_door_knows_its_user_by_the_socket() -> None:
    async with gate("machine") as there:
        answer = await there.get(ME, client=None, state={STATE: "root"})
        assert (answer.json()["user_id"], answer.json()["via"]) == ("root", "local")
        nobody = await there.get(ME, client=None, state={})
        assert nobody.json()["user_id"] == "local"
        assert there.asked == []


async def test_a_credential_counts_at_the_machine_s_own_door_too() -> None:
    async with gate("machine") as there:
        header = there.add(a_principal(Role.VIEWER, "ann"))
        assert (await there.get(ME, header)).json()["user_id"] == "ann"
        refused(await there.get(ME, ("Authorization", "Bearer x")), 401, "unauthenticated")


async def test_a_keeper_that_is_away_lets_nobody_in() -> None:
    async with System.open() as system:
        app = create_app(nowhere(system), trust="keys")
        for headers in ([], [("Authorization", "Bearer x")]):
            refused(await call(app, "GET", SYSTEM, headers=headers), 503, "unavailable")


# --- what is remembered


async def test_a_credential_is_asked_about_once_a_minute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with gate() as there:
        header = there.add(a_principal(Role.VIEWER))
        for _ in range(3):
            await there.get(ME, header)
        assert there.count(Authenticate) == 1
        await trio.sleep(REMEMBERED_S)
        await there.get(ME, header)
        assert there.count(Authenticate) == 2


async def test_a_revoked_credential_is_refused_from_then_on() -> None:
    async with gate() as there:
        header = there.add(a_principal(Role.VIEWER, "ann"))
        assert (await there.get(ME, header)).status == 200
        there.revoke("ann")
        refused(await there.get(ME, header), 401, "unauthenticated")


async def test_a_credential_that_has_ended_is_refused_also_from_memory() -> None:
    async with gate() as there:
        ends = NOW.timestamp()
        ended = there.add(a_principal(Role.VIEWER, "ann", expires_at=ends))
        living = there.add(a_principal(Role.VIEWER, "bob", expires_at=ends + 1))
        refused(await there.get(ME, ended), 401, "unauthenticated")
        assert (await there.get(ME, living)).status == 200


async def test_the_memory_is_bounded() -> None:
    memory, who = Memory(lambda: 0), a_principal(Role.VIEWER)
    for number in range(REMEMBERED + 5):
        memory.keep(str(number), who, since=0)
    assert len(memory) == REMEMBERED
    assert memory.get("0") is None
    assert memory.get(str(REMEMBERED)) == who


async def test_an_answer_of_an_earlier_epoch_is_not_remembered() -> None:
    epoch = 1
    memory, who = Memory(lambda: epoch), a_principal(Role.VIEWER)
    memory.get("k")
    memory.keep("k", who, since=0)
    assert memory.get("k") is None
    memory.keep("k", who, since=1)
    assert memory.get("k") == who
    epoch = 2
    assert memory.get("k") is None


# --- the audit log


async def test_a_refusal_is_noted_with_whom_it_was_and_what_it_was_about() -> None:
    async with gate() as there:
        header = there.add(a_principal(Role.VIEWER, "ann"))
        await there.get(SYSTEM, client=ELSEWHERE)
        await send_json(there.app, WORKFLOWS, {}, header)
        nobody, ann = await there.noted(2)
        assert (nobody.actor, nobody.action) == ("anonymous", "analytics:read")
        assert (nobody.outcome, nobody.address) == ("refused", ELSEWHERE[0])
        assert (ann.actor, ann.action, ann.target) == ("ann", "workflow:write", f"POST {WORKFLOWS}")


async def test_a_foreign_host_and_a_foreign_page_are_noted() -> None:
    async with gate() as there:
        refused(await there.get(SYSTEM, host="evil.example"), 403, "foreign_host")
        page = ("Origin", "http://evil.example")
        refused(await there.get("/nowhere", page, client=ELSEWHERE), 403, "foreign_host")
        async with stream(there.app, "/api/v1/events", headers=[page]) as client:
            assert client.refusal is not None
        notes = await there.noted(3)
        assert [(note.actor, note.outcome) for note in notes] == [("anonymous", "refused")] * 3
        assert {note.detail["code"] for note in notes} == {"foreign_host"}
        actions = [note.action for note in notes]
        assert actions == ["analytics:read", "foreign_host", "workflow:read"]
        assert notes[1].address == ELSEWHERE[0]


async def test_no_note_holds_a_credential() -> None:
    async with gate() as there:
        await there.get(f"{SYSTEM}?key=canary", ("Authorization", "Bearer canary"))
        (note,) = await there.noted()
        assert "canary" not in repr(replace(note))


async def noted(there: Gate) -> list[str]:
    return [message.action for message in there.asked if isinstance(message, Note)]


async def test_looking_is_not_noted() -> None:
    async with gate() as there:
        header = there.add(a_principal(Role.ADMIN))
        assert (await there.get(SYSTEM, header)).status == 200
        assert there.notes() == []


def test_the_permissions_are_those_that_roles_can_give() -> None:
    needed = {each for each in PERMISSIONS.values() if isinstance(each, Permission)}
    assert needed == set(Permission)


async def test_the_network_is_asked_for_keys_and_the_machine_s_own_socket_is_not() -> None:
    def listening() -> socket.socket:
        return socket.socket()

    async with System.open() as system:
        with listening() as http, listening() as metrics, listening() as local:
            specs = doors_specs(
                nowhere(system), CollectorRegistry(), http=http, metrics=metrics, local=local
            )
            apps = {spec.id: spec.build()._build(trio.Event()) for spec in specs}  # type: ignore[union-attr]
        trusts = {name: app.guard and app.guard.trust for name, app in apps.items()}
        assert trusts == {"http": "keys", "local_http": "machine", "metrics": None}
