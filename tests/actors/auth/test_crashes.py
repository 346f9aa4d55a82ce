"""What is acknowledged counts, and counts once, wherever the writer or the keeper dies."""

from pathlib import Path
from typing import Any

import pytest

from actors.auth import keeper
from actors.auth.commands import (
    RecordFamily,
    RecordKey,
    RecordKeyRevoked,
    RecordLines,
    RecordRefresh,
    RecordRevoked,
)
from actors.auth.errors import Unauthenticated
from actors.auth.messages import (
    ListSigningKeys,
    Note,
    Recheck,
    RevokeKey,
    RevokeTokens,
    RotateSigningKey,
    VerifyAudit,
)
from actors.errors import DatabaseUnavailable, Overloaded, StorageFull
from actors.writer import DatabaseWriter
from supervision import ActorRestarted, Delivery
from tests.actors.auth.bench import Bench, bench
from tests.support.faults import until

ACTS = [
    "key.create",
    "token.create",
    "token.revoke",
    "signing_key.rotate",
    "token.create",
    "token.reuse",
    "test",
    "key.revoke",
]


async def all_of_it(site: Bench) -> None:
    """Everything that is written, each with what it comes to."""
    new = await site.make()
    first = await site.pair(key=new.secret)
    second = await site.next(first)
    assert await site.ask(RevokeTokens(by="ada", jti=second.principal.credential)) == 1
    await site.opens_nothing(first.access_token, second.access_token)
    await site.ask(RotateSigningKey(by="ada"))
    third = await site.pair(key=new.secret)
    fourth = await site.next(third)
    await site.who(fourth.access_token)
    with pytest.raises(Unauthenticated):
        await site.next(third)
    await site.opens_nothing(fourth.access_token)
    note = Note(actor="ada", action="test", target="", outcome="done")
    assert await site.ask(note) == 7
    await site.ask(RevokeKey(key_id=new.record.id, by="ada"))
    await site.opens_nothing(new.secret)
    assert [line.action for line in await site.audit()] == ACTS
    assert (await site.ask(VerifyAudit())).broken_at is None


@pytest.mark.parametrize(
    "lost",
    [RecordKey, RecordFamily, RecordRefresh, RecordRevoked, RecordLines, RecordKeyRevoked],
    ids=lambda kind: kind.__name__,
)
async def test_an_answer_that_is_lost_after_its_commit_changes_nothing(
    repo: Path, monkeypatch: pytest.MonkeyPatch, lost: type
) -> None:
    """The command comes a second time."""
    times = 0
    answer = DatabaseWriter._answer

    def die_once(writer: DatabaseWriter, delivery: Delivery, outcome: object) -> None:
        nonlocal times
        if type(delivery.message) is lost:
            times += 1
            if times == 1:
                raise OSError("died before it could answer")
        answer(writer, delivery, outcome)

    monkeypatch.setattr(DatabaseWriter, "_answer", die_once)
    async with bench(repo) as site:
        await all_of_it(site)
    assert times > 1


async def test_what_nobody_knows_the_end_of_is_told_so_and_makes_the_doors_forget(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = keeper.write
    lost: set[type] = set()

    async def write_and_lose(writer: Any, command: Any, **given: Any) -> Any:
        came_to = await write(writer, command, **given)
        if type(command) in lost:
            lost.remove(type(command))
            raise DatabaseUnavailable("nobody knows", operation="test")
        return came_to

    monkeypatch.setattr(keeper, "write", write_and_lose)
    async with bench(repo) as site:
        new = await site.make()
        pair = await site.pair(key=new.secret)
        revokes: list[tuple[type, Any]] = [
            (RecordRevoked, RevokeTokens(by="ada", user_id="ada")),
            (RecordKeyRevoked, RevokeKey(key_id=new.record.id, by="ada")),
        ]
        for command, message in revokes:
            before = site.world.epoch.number
            lost.add(command)
            with pytest.raises(Overloaded):
                await site.ask(message)
            assert site.world.epoch.number > before
            await site.opens_nothing(pair.access_token)
            await site.ask(message)
        assert not any(isinstance(event, ActorRestarted) for event in site.events)
        assert (await site.ask(VerifyAudit())).broken_at is None


async def test_a_keeper_that_dies_knows_all_that_it_has_acknowledged(repo: Path) -> None:
    async with bench(repo) as site:
        gone, stays = await site.pair(), await site.pair()
        await site.ask(RevokeTokens(by="ada", jti=gone.principal.credential))
        await site.ask(RotateSigningKey(by="ada"))
        before = site.world.epoch.number
        site.system.named("auth").tell(Recheck(principal=None))  # type: ignore[arg-type]
        await until(lambda: site.world.epoch.number > before)
        await site.opens_nothing(gone.access_token)
        await site.who(stays.access_token)
        assert len(await site.ask(ListSigningKeys())) == 2


async def test_a_full_disk_takes_nothing_away_and_lets_all_in_who_have_a_key(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(writer: Any, command: Any, **given: Any) -> Any:
        raise StorageFull("the disk is full")

    async with bench(repo) as site:
        new = await site.make()
        pair = await site.pair(key=new.secret)
        with monkeypatch.context() as patch:
            patch.setattr(keeper, "write", full)
            for message in (
                RevokeKey(key_id=new.record.id, by="ada"),
                RotateSigningKey(by="ada"),
                Note(actor="ada", action="test", target="", outcome="refused"),
            ):
                with pytest.raises(StorageFull):
                    await site.ask(message)
            await site.who(new.secret)
            await site.who(pair.access_token)
        assert len(await site.ask(ListSigningKeys())) == 1
        await site.next(pair)
