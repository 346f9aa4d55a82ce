"""Access and refresh tokens: how they are given, given again, and end."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
import trio

from actors.auth.errors import Unauthenticated
from actors.auth.messages import Recheck, RefreshToken, RevokeTokens, TokenPair
from actors.auth.roles import Permission, Role
from actors.auth.settings import AuthSettings
from actors.errors import Forbidden, ValidationError
from tests.actors.auth.bench import BEGIN, Bench, bench


def claims(pair: TokenPair) -> dict[str, object]:
    said: dict[str, object] = jwt.decode(pair.access_token, options={"verify_signature": False})
    return said


async def test_a_token_says_who_what_and_until_when(repo: Path) -> None:
    async with bench(repo) as site:
        pair = await site.pair(scopes=(Permission.ISSUE_READ,), expires_in=60)
        now = int(BEGIN.timestamp())
        said = claims(pair)
        jti = said.pop("jti")
        assert said == {
            "iss": "beadflow",
            "aud": "beadflow",
            "sub": "ada",
            "user_id": "ada",
            "roles": ["admin"],
            "permissions": ["issue:read"],
            "iat": now,
            "nbf": now,
            "exp": now + 60,
        }
        assert jwt.get_unverified_header(pair.access_token)["typ"] == "at+jwt"
        principal = await site.who(pair.access_token)
        assert principal == pair.principal
        assert (principal.via, principal.credential) == ("token", jti)
        assert principal.permissions == {Permission.ISSUE_READ}
        assert principal.expires_at == now + 60
        assert pair.access_token not in repr(pair)
        assert pair.refresh_token not in repr(pair)


async def test_a_token_ends_when_it_says(repo: Path) -> None:
    async with bench(repo) as site:
        pair = await site.pair()
        site.calendar.on(899)
        await site.who(pair.access_token)
        site.calendar.on(1)
        await site.opens_nothing(pair.access_token)
        with pytest.raises(Unauthenticated):
            await site.ask(Recheck(principal=pair.principal))
        following = await site.next(pair)
        await site.who(following.access_token)


async def test_a_clock_that_was_set_back_a_little_ends_no_token(repo: Path) -> None:
    async with bench(repo) as site:
        pair = await site.pair()
        site.calendar.on(-30)
        await site.who(pair.access_token)
        site.calendar.on(-1)
        await site.opens_nothing(pair.access_token)


async def test_a_token_is_given_for_some_of_what_the_key_holds_and_never_for_more(
    repo: Path,
) -> None:
    async with bench(repo) as site:
        key = (await site.make(roles=(Role.VIEWER,))).secret
        with pytest.raises(Forbidden, match="system:admin"):
            await site.pair(key=key, scopes=(Permission.SYSTEM_ADMIN, Permission.ISSUE_READ))
        for given in ({"scopes": ()}, {"expires_in": 0}, {"expires_in": 901}):
            with pytest.raises(ValidationError):
                await site.pair(key=key, **given)
        pair = await site.pair(key=key, scopes=(Permission.ISSUE_READ,))
        following = await site.next(pair)
        assert following.principal.permissions == {Permission.ISSUE_READ}


async def test_a_refresh_token_used_twice_ends_all_that_came_of_it(repo: Path) -> None:
    async with bench(repo) as site:
        key = (await site.make()).secret
        other = await site.pair(key=key)
        first = await site.pair(key=key)
        second = await site.next(first)
        third = await site.next(second)
        epoch = site.world.epoch.number
        with pytest.raises(Unauthenticated):
            await site.next(first)
        assert site.world.epoch.number > epoch
        await site.opens_nothing(first.access_token, second.access_token, third.access_token)
        with pytest.raises(Unauthenticated):
            await site.next(third)
        await site.who(other.access_token)
        await site.who(key)
        reuse = [line for line in await site.audit() if line.action == "token.reuse"]
        assert [(line.actor, line.outcome) for line in reuse] == [("ada", "refused")]


async def test_of_many_who_use_one_refresh_token_at_once_one_gets_a_pair_and_it_is_worthless(
    repo: Path,
) -> None:
    async with bench(repo) as site:
        pair = await site.pair()
        won: list[TokenPair] = []

        async def use() -> None:
            with suppress(Unauthenticated):
                won.append(await site.next(pair))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(use)
        assert len(won) == 1
        await site.opens_nothing(won[0].access_token)


async def test_no_text_that_is_no_refresh_token_gets_anything(repo: Path) -> None:
    async with bench(repo) as site:
        pair = await site.pair()
        good = pair.refresh_token
        wrong = ("", "bfr_", good[:-1], f"{good}A", good.swapcase(), "bfr_" + "é" * 43, "\ud800")
        for text in (*wrong, pair.access_token):
            with pytest.raises(Unauthenticated):
                await site.ask(RefreshToken(refresh_token=text))
        await site.next(pair)


async def test_a_refresh_token_ends_when_it_says(repo: Path) -> None:
    async with bench(repo, settings=AuthSettings(refresh_s=1000)) as site:
        pair = await site.pair()
        site.calendar.on(999)
        following = await site.next(pair)
        site.calendar.on(999)
        await site.next(following)
        late = await site.pair()
        site.calendar.on(1000)
        with pytest.raises(Unauthenticated):
            await site.next(late)


async def test_a_token_that_is_revoked_ends_with_all_of_its_exchange(repo: Path) -> None:
    async with bench(repo) as site:
        key = (await site.make()).secret
        other = await site.pair(key=key)
        first = await site.pair(key=key)
        second = await site.next(first)
        revoke = RevokeTokens(by="ada", jti=first.principal.credential)
        epoch = site.world.epoch.number
        assert await site.ask(revoke) == 1
        assert site.world.epoch.number > epoch
        assert await site.ask(revoke) == 0
        assert await site.ask(RevokeTokens(by="ada", jti="unknown")) == 0
        await site.opens_nothing(first.access_token, second.access_token)
        with pytest.raises(Unauthenticated):
            await site.next(second)
        await site.who(other.access_token)
        ended = [line.detail for line in await site.audit() if line.action == "token.revoke"]
        assert ended == [{"ended": 1}, {"ended": 0}, {"ended": 0}]


async def test_all_tokens_of_a_user_end_at_once_and_nobody_elses(repo: Path) -> None:
    async with bench(repo) as site:
        bobs = await site.pair(key=(await site.make(user_id="bob")).secret)
        adas = [await site.pair() for _ in range(3)]
        assert await site.ask(RevokeTokens(by="local", user_id="ada")) == 3
        await site.opens_nothing(*(pair.access_token for pair in adas))
        await site.who(bobs.access_token)
        await site.who((await site.pair()).access_token)  # a new one is none of them


async def test_either_a_token_or_a_user_is_revoked(repo: Path) -> None:
    async with bench(repo) as site:
        for given in ({}, {"jti": "a", "user_id": "b"}, {"jti": "\ud800"}, {"user_id": "a\n"}):
            with pytest.raises(ValidationError):
                await site.ask(RevokeTokens(by="ada", **given))


async def test_what_was_revoked_stays_so_after_a_restart(repo: Path) -> None:
    async with bench(repo) as site:
        gone, stays = await site.pair(), await site.pair()
        await site.ask(RevokeTokens(by="ada", jti=gone.principal.credential))
    async with bench(repo) as site:
        await site.opens_nothing(gone.access_token)
        await site.who(stays.access_token)
        await site.next(stays)


async def test_ended_tokens_do_not_pile_up(repo: Path) -> None:
    async with bench(repo, settings=AuthSettings(refresh_s=900)) as site:
        key = (await site.make()).secret
        for _ in range(12):
            await site.next(await site.pair(key=key))
        assert rows(site) == (24, 12)
        site.calendar.on(901)
        for _ in range(3):
            await site.pair(key=key)
        assert rows(site) == (3, 3)


def rows(site: Bench) -> tuple[int, int]:
    sql = "SELECT (SELECT count(*) FROM refresh_tokens), (SELECT count(*) FROM token_families)"
    pairs, families = site.world.stores.coordination.inline.execute(sql).fetchone()
    return pairs, families


async def test_a_key_that_ends_ends_its_tokens_a_moment_of_time_before(repo: Path) -> None:
    async with bench(repo) as site:
        end = BEGIN + timedelta(milliseconds=500)
        pair = await site.pair(key=(await site.make(expires_at=end.isoformat())).secret)
        await site.who(pair.access_token)
        site.calendar.on(0.5)
        await site.opens_nothing(pair.access_token)
