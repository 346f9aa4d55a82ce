"""Tickets: each opens once, for half a minute, in the name of who asked for it."""

from pathlib import Path

import pytest
import trio
import trio.testing

from actors.auth.errors import Unauthenticated
from actors.auth.messages import MakeTicket, Principal, RevokeKey, RevokeTokens, UseTicket
from actors.auth.roles import Permission, Role
from actors.auth.tickets import ALL, EACH, LIFE_S, Tickets
from actors.errors import Overloaded
from tests.actors.auth.bench import Bench, bench


async def ticket(site: Bench, principal: Principal) -> str:
    made = await site.ask(MakeTicket(principal=principal))
    assert made.ticket not in repr(made)
    return str(made.ticket)


async def test_a_ticket_opens_once(repo: Path) -> None:
    async with bench(repo) as site:
        pair = await site.pair(scopes=(Permission.WORKFLOW_READ,))
        made = await ticket(site, pair.principal)
        assert await site.ask(UseTicket(ticket=made)) == pair.principal
        for text in (made, "", "bft_", made[:-1], made.swapcase(), "é", "\ud800", "a" * 10**6):
            with pytest.raises(Unauthenticated):
                await site.ask(UseTicket(ticket=text))


async def test_a_ticket_is_too_old_after_half_a_minute(
    repo: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with bench(repo, inline=True) as site:
        pair = await site.pair()
        early, late = [await ticket(site, pair.principal) for _ in range(2)]
        await trio.sleep(LIFE_S - 1)
        await site.ask(UseTicket(ticket=early))
        await trio.sleep(1.5)
        with pytest.raises(Unauthenticated):
            await site.ask(UseTicket(ticket=late))


async def test_a_ticket_of_what_was_revoked_opens_nothing(repo: Path) -> None:
    async with bench(repo) as site:
        new = await site.make()
        of_key = await ticket(site, await site.who(new.secret))
        pair = await site.pair(key=new.secret)
        of_token = await ticket(site, pair.principal)
        await site.ask(RevokeTokens(by="ada", jti=pair.principal.credential))
        with pytest.raises(Unauthenticated):
            await site.ask(UseTicket(ticket=of_token))
        await site.ask(RevokeKey(key_id=new.record.id, by="ada"))
        with pytest.raises(Unauthenticated):
            await site.ask(UseTicket(ticket=of_key))


def test_tickets_are_bounded_for_each_user_and_in_all() -> None:
    count = iter(range(10**6))
    tickets = Tickets(lambda size: next(count).to_bytes(size, "big"))

    def of(user_id: str) -> Principal:
        return Principal(
            user_id=user_id, roles=frozenset({Role.VIEWER}), permissions=frozenset(), via="key"
        )

    for _ in range(EACH):
        tickets.make(of("eve"), 0.0)
    with pytest.raises(Overloaded):
        tickets.make(of("eve"), 0.0)
    for number in range(ALL - EACH):
        tickets.make(of(f"user{number}"), 0.0)
    with pytest.raises(Overloaded):
        tickets.make(of("ada"), 0.0)
    made = tickets.make(of("ada"), float(LIFE_S))
    assert tickets.use(made.ticket, float(LIFE_S)).user_id == "ada"
