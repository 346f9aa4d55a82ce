"""API keys: made once, kept as a hash, opened until they end."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.auth.errors import Unauthenticated
from actors.auth.messages import ExchangeKey, GetStanding, ListKeys, Recheck, RevokeKey
from actors.auth.roles import GRANTS, Permission, Role
from actors.clock import rfc3339
from actors.errors import NotFound, ValidationError
from storage.coordination.standing import Keys, keys_in
from tests.actors.auth.bench import BEGIN, Bench, bench


async def test_a_key_and_its_tokens_open_until_the_key_is_revoked(repo: Path) -> None:
    async with bench(repo) as site:
        new = await site.make()
        pair = await site.pair(key=new.secret)
        for credential in (new.secret, pair.access_token):
            principal = await site.who(credential)
            assert principal.user_id == "ada"
            assert principal.key_id == new.record.id
            assert principal.permissions == GRANTS[Role.ADMIN]
        before = site.world.epoch.number
        await site.ask(RevokeKey(key_id=new.record.id, by="local"))
        assert site.world.epoch.number > before
        await site.opens_nothing(new.secret, pair.access_token)
        with pytest.raises(Unauthenticated):
            await site.next(pair)
        with pytest.raises(Unauthenticated):
            await site.ask(Recheck(principal=principal))
        with pytest.raises(Unauthenticated):
            await site.pair(key=new.secret)


async def test_what_is_told_about_a_key_holds_nothing_that_opens(repo: Path) -> None:
    async with bench(repo) as site:
        new = await site.make(name="laptop", scopes=(Permission.ISSUE_READ,))
        assert new.secret not in repr(new)
        (listed,) = await site.ask(ListKeys())
        assert listed == new.record
        assert new.secret not in repr(listed)
        assert new.secret[-43:] not in repr(await site.audit())


async def test_a_key_that_was_revoked_stays_as_it_was(repo: Path) -> None:
    async with bench(repo) as site:
        new = await site.make()
        first = await site.ask(RevokeKey(key_id=new.record.id, by="ada"))
        site.calendar.on(60)
        assert await site.ask(RevokeKey(key_id=new.record.id, by="bob")) == first
        assert (first.revoked_by, first.revoked_at) == ("ada", rfc3339(BEGIN))
        assert [line.action for line in await site.audit()] == ["key.create", "key.revoke"]
        with pytest.raises(NotFound):
            await site.ask(RevokeKey(key_id="0123456789abcdef", by="ada"))


async def test_a_key_ends_when_it_says_and_its_tokens_with_it(repo: Path) -> None:
    async with bench(repo) as site:
        end = BEGIN + timedelta(seconds=100)
        new = await site.make(expires_at=end.isoformat())
        pair = await site.pair(key=new.secret)
        assert (pair.expires_in, pair.refresh_expires_in) == (100, 100)
        assert (await site.who(new.secret)).expires_at == end.timestamp()
        site.calendar.on(99)
        await site.who(new.secret)
        site.calendar.on(1)
        await site.opens_nothing(new.secret, pair.access_token)
        with pytest.raises(Unauthenticated):
            await site.next(pair)


async def test_nobody_is_let_in_without_a_key_once_there_was_one(repo: Path) -> None:
    async with bench(repo) as site:
        before = await site.ask(GetStanding())
        assert (before.has_keys, standing(site)) == (False, Keys(made=False, opens=False))
        epoch = site.world.epoch.number
        new = await site.make()
        assert site.world.epoch.number > epoch  # what doors have remembered until now
        during = await site.ask(GetStanding())
        assert (during.has_keys, standing(site)) == (True, Keys(made=True, opens=True))
        await site.ask(RevokeKey(key_id=new.record.id, by="local"))
        after = await site.ask(GetStanding())
        assert (after.has_keys, standing(site)) == (True, Keys(made=True, opens=False))


def standing(site: Bench) -> Keys:
    """What a server would find that is about to start."""
    return keys_in(site.world.data.coordination_db, rfc3339(site.calendar()))


async def test_scopes_narrow_what_the_roles_hold(repo: Path) -> None:
    async with bench(repo) as site:
        scopes = (Permission.ISSUE_READ, Permission.WORKFLOW_READ)
        new = await site.make(roles=(Role.OPERATOR, Role.VIEWER), scopes=scopes)
        principal = await site.who(new.secret)
        assert principal.permissions == set(scopes)
        assert principal.roles == {Role.OPERATOR, Role.VIEWER}


BAD: dict[str, dict[str, Any]] = {
    "no user": {"user_id": ""},
    "a user in two lines": {"user_id": "a\nb"},
    "a user of no text": {"user_id": "\ud800"},
    "a reserved user": {"user_id": "anonymous"},
    "a long user": {"user_id": "a" * 101},
    "no role": {"roles": ()},
    "no scope": {"scopes": ()},
    "a scope beyond the roles": {"roles": (Role.VIEWER,), "scopes": (Permission.SYSTEM_ADMIN,)},
    "a name in two lines": {"name": "a\nb"},
    "a long name": {"name": "a" * 101},
    "an end that is past": {"expires_at": "2026-03-01T12:00:00Z"},
    "an end without a zone": {"expires_at": "2026-04-01T12:00:00"},
    "an end beyond time": {"expires_at": "9999-12-31T23:59:59-14:00"},
    "an end that is none": {"expires_at": "soon"},
}


async def test_a_key_that_cannot_be_is_refused_and_leaves_nothing(repo: Path) -> None:
    async with bench(repo) as site:
        for why, given in BAD.items():
            with pytest.raises(ValidationError) as error:
                await site.make(**given)
            assert error.value.field == next(reversed(given)), why
        assert await site.ask(ListKeys()) == ()
        assert await site.audit() == ()


async def test_no_text_that_is_no_key_opens_anything(repo: Path) -> None:
    async with bench(repo) as site:
        secret = (await site.make()).secret
        head, key_id, tail = secret[:3], secret[3:19], secret[20:]
        wrong = [
            "",
            "bf_",
            secret[:-1],
            f"{secret}A",
            f" {secret}",
            f"{secret}\n",
            secret.upper(),
            f"{head}{key_id}_{tail[::-1]}",
            f"{head}{'0' * 16}_{tail}",
            f"{head}{key_id}_{tail[:-1]}{'A' if tail[-1] != 'A' else 'B'}",
            f"{head}{key_id}_" + "_" * 43,
            f"{head}{key_id}_" + "é" * 43,
            f"{head}{key_id}_{tail}\ud800",
            f"{head}{key_id}_" + "A" * 1_000_000,
            f"{head}' OR 1=1 --{'0' * 5}_{tail}",
        ]
        await site.opens_nothing(*wrong)
        await site.who(secret)


async def test_when_a_key_was_used_last_is_written_once_a_minute(
    repo: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with bench(repo, inline=True) as site:
        new = await site.make()
        for _ in range(5):
            await site.who(new.secret)
            site.calendar.on(1)
        (before,) = await site.ask(ListKeys())
        assert before.last_used_at is None
        await trio.sleep(61)
        (after,) = await site.ask(ListKeys())
        assert after == replace(new.record, last_used_at=rfc3339(BEGIN + timedelta(seconds=4)))


async def test_when_a_key_was_used_last_is_written_at_the_end(repo: Path) -> None:
    async with bench(repo) as site:
        new = await site.make()
        await site.ask(ExchangeKey(key=new.secret))
    async with bench(repo) as site:
        (listed,) = await site.ask(ListKeys())
        assert listed.last_used_at == rfc3339(BEGIN)
        await site.who(new.secret)


async def test_keys_are_listed_the_newest_first_and_by_user(repo: Path) -> None:
    async with bench(repo) as site:
        for user_id in ("ada", "bob", "ada"):
            await site.make(user_id=user_id)
            site.calendar.on(1)
        assert [key.user_id for key in await site.ask(ListKeys())] == ["ada", "bob", "ada"]
        assert [key.user_id for key in await site.ask(ListKeys(user_id="bob"))] == ["bob"]
        with pytest.raises(ValidationError):
            await site.ask(ListKeys(user_id="\ud800"))
