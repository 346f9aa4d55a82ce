"""Why somebody may do something, or why not."""

from datetime import timedelta
from pathlib import Path

import pytest

from actors.auth.messages import Explain, Explanation, RevokeKey, RevokeTokens
from actors.auth.roles import GRANTS, Permission, Role
from actors.errors import ValidationError
from tests.actors.auth.bench import BEGIN, Bench, bench


async def why(
    site: Bench, principal: str, permission: Permission | None = Permission.WORKFLOW_WRITE
) -> Explanation:
    message = Explain(principal=principal, action="start it", permission=permission)
    found: Explanation = await site.ask(message)
    assert (found.principal, found.action, found.permission) == (principal, "start it", permission)
    return found


async def test_the_role_that_grants_it_is_named(repo: Path) -> None:
    async with bench(repo) as site:
        new = await site.make(roles=(Role.VIEWER, Role.OPERATOR))
        for principal in ("ada", new.record.id):
            found = await why(site, principal)
            assert found.allowed
            assert found.why == (
                f"key {new.record.id}: workflow:write is among what operator may do",
            )
            assert [grant.granted_by for grant in found.grants] == [(Role.OPERATOR,)]


async def test_what_stands_against_it_is_named(repo: Path) -> None:
    async with bench(repo) as site:
        viewer = await site.make(roles=(Role.VIEWER,))
        narrow = await site.make(scopes=(Permission.ISSUE_READ,))
        end = (BEGIN + timedelta(seconds=10)).isoformat()
        ended = await site.make(expires_at=end)
        revoked = await site.make()
        await site.ask(RevokeKey(key_id=revoked.record.id, by="bob"))
        site.calendar.on(10)
        expected = {
            viewer: "workflow:write is not among what viewer may do",
            narrow: "its scopes leave workflow:write out",
            ended: "it ended at 2026-03-01T12:00:10.000000Z",
            revoked: "it was revoked at 2026-03-01T12:00:00.000000Z by bob",
        }
        for new, sentence in expected.items():
            found = await why(site, new.record.id)
            assert not found.allowed
            assert found.why == (f"key {new.record.id}: {sentence}",)
        assert not (await why(site, "ada")).allowed
        good = await site.make(roles=(Role.OPERATOR,))
        found = await why(site, "ada")
        assert found.allowed
        assert found.why[0].startswith(f"key {good.record.id}: workflow:write is among")
        assert len(found.grants) == 5


async def test_a_token_is_explained_by_its_jti(repo: Path) -> None:
    async with bench(repo) as site:
        key = (await site.make()).secret
        narrow = await site.pair(key=key, scopes=(Permission.ISSUE_READ,))
        wide = await site.pair(key=key)
        assert not (await why(site, narrow.principal.credential)).allowed
        assert (await why(site, narrow.principal.credential, Permission.ISSUE_READ)).allowed
        assert (await why(site, wide.principal.credential)).allowed
        await site.ask(RevokeTokens(by="ada", jti=wide.principal.credential))
        found = await why(site, wide.principal.credential)
        assert "the token was revoked at" in found.why[0]


async def test_a_token_that_has_ended_may_do_nothing_though_its_key_may(repo: Path) -> None:
    async with bench(repo) as site:
        pair = await site.pair(expires_in=60)
        site.calendar.on(59)
        assert (await why(site, pair.principal.credential)).allowed
        site.calendar.on(1)
        await site.opens_nothing(pair.access_token)
        found = await why(site, pair.principal.credential)
        assert not found.allowed
        assert found.why[0].endswith("the token ended at 2026-03-01T12:01:00.000000Z")
        assert (await why(site, pair.principal.key_id)).allowed


async def test_nobody_known_may_do_nothing_but_what_is_open(repo: Path) -> None:
    async with bench(repo) as site:
        found = await why(site, "nobody")
        assert (found.allowed, found.grants) == (False, ())
        assert (await why(site, "nobody", None)).allowed
        assert (await why(site, "local")).allowed
        for principal in ("\ud800", "a" * 201):
            with pytest.raises(ValidationError):
                await why(site, principal)


@pytest.mark.parametrize("role", Role)
async def test_what_is_explained_is_what_is_done(repo: Path, role: Role) -> None:
    async with bench(repo) as site:
        new = await site.make(roles=(role,))
        pair = await site.pair(key=new.secret)
        for permission in Permission:
            for credential, principal in (
                (new.secret, new.record.id),
                (pair.access_token, pair.principal.credential),
            ):
                may = (await site.who(credential)).may(permission)
                assert may == (permission in GRANTS[role])
                assert (await why(site, principal, permission)).allowed == may
