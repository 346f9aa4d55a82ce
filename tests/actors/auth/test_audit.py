"""The audit log: every act is in it once, and nothing of it can be changed unnoticed."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.auth import refusals
from actors.auth.audit import hash_of
from actors.auth.messages import (
    AuditVerdict,
    Note,
    ReadAudit,
    RevokeKey,
    VerifyAudit,
)
from actors.errors import StoreDamaged, ValidationError
from tests.actors.auth.bench import Bench, bench

TRIGGERS = (
    "audit_stays",
    "audit_is_kept",
    "audit_goes_on",
    "audit_has_gone_on",
    "audit_head_is_kept",
    "audit_head_goes_on",
)

COPY = "at, actor, action, target, outcome, address, detail, previous, hash"


def copied(seq: int, *, of: int) -> str:
    """A statement that puts a record there a second time, under another number."""
    return f"INSERT INTO audit SELECT {seq}, 'x', {COPY} FROM audit WHERE seq = {of}"  # noqa: S608 - constants


def changed(name: str, value: str, seq: int) -> str:
    return f"UPDATE audit SET {name} = {value} WHERE seq = {seq}"  # noqa: S608 - constants


def note(**given: Any) -> Note:
    values = {"actor": "ada", "action": "workflow:delete", "target": "w", "outcome": "done"}
    return Note(**{**values, **given})


def tamper(site: Bench, *statements: str) -> None:
    """Change the database as somebody can who may write the file."""
    with closing(sqlite3.connect(site.world.data.coordination_db)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for trigger in TRIGGERS:
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def verdict(site: Bench) -> AuditVerdict:
    found: AuditVerdict = await site.ask(VerifyAudit())
    return found


async def test_the_chain_of_what_was_noted_holds(repo: Path) -> None:
    async with bench(repo) as site:
        empty = await verdict(site)
        assert (empty.records, empty.head, empty.broken_at) == (0, "", None)
        numbers = [await site.ask(note(target=str(n), detail={"n": n})) for n in range(5)]
        assert numbers == [1, 2, 3, 4, 5]
        records = await site.audit()
        assert [record.target for record in records] == ["0", "1", "2", "3", "4"]
        assert [record.previous for record in records[1:]] == [r.hash for r in records[:-1]]
        assert all(hash_of(record) == record.hash for record in records)
        found = await verdict(site)
        assert (found.records, found.head, found.broken_at) == (5, records[-1].hash, None)


async def test_the_log_goes_on_after_a_restart(repo: Path) -> None:
    async with bench(repo) as site:
        await site.ask(note())
    async with bench(repo) as site:
        assert await site.ask(note()) == 2
        assert (await verdict(site)).broken_at is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'bob' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 5",
        "DELETE FROM audit",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET seq = 3",
        "UPDATE audit_head SET hash = ''",
        copied(7, of=5),
        copied(6, of=5),
        copied(5, of=5).replace("INSERT", "INSERT OR REPLACE"),
    ],
)
async def test_the_database_itself_only_lets_the_log_grow(repo: Path, statement: str) -> None:
    async with bench(repo) as site:
        await noted(site)
        path = site.world.data.coordination_db
        refused = pytest.raises(sqlite3.IntegrityError, match="the audit log")
        with closing(sqlite3.connect(path)) as connection, refused:
            connection.execute(statement)
        assert (await verdict(site)).broken_at is None


async def noted(site: Bench) -> None:
    for number in range(5):
        await site.ask(note(target=str(number), address="127.0.0.1", detail={"n": number}))


FIELDS = {
    "id": "'x'",
    "at": "'2026-01-01T00:00:00.000000Z'",
    "actor": "'bob'",
    "action": "'workflow:read'",
    "target": "'other'",
    "outcome": "'refused'",
    "address": "'::1'",
    "detail": "'[1,{\"n\":9}]'",
    "previous": "'0'",
    "hash": "'0'",
}
TAMPERED: dict[str, tuple[tuple[str, ...], int]] = {
    **{
        f"{name} of {seq}": ((changed(name, value, seq),), seq)
        for name, value in FIELDS.items()
        for seq in (1, 3, 5)
    },
    "a detail that is none": (("UPDATE audit SET detail = '{' WHERE seq = 2",), 2),
    "a detail of bytes": (("UPDATE audit SET detail = x'ff' WHERE seq = 2",), 2),
    "the first is gone": (("DELETE FROM audit WHERE seq = 1",), 1),
    "one is gone": (("DELETE FROM audit WHERE seq = 3",), 3),
    "the last is gone": (("DELETE FROM audit WHERE seq = 5",), 5),
    "all are gone": (("DELETE FROM audit",), 1),
    "one is gone and the rest moved up": (
        ("DELETE FROM audit WHERE seq = 3", "UPDATE audit SET seq = seq - 1 WHERE seq > 3"),
        3,
    ),
    "one more at the end": (
        (copied(6, of=5),),
        6,
    ),
    "one before the first": (
        (copied(0, of=1),),
        1,
    ),
    "one far before": ((copied(-9, of=1),), 1),
    "one put between": (
        (
            "UPDATE audit SET seq = seq + 100 WHERE seq > 2",
            "UPDATE audit SET seq = seq - 99 WHERE seq > 100",
            copied(3, of=2),
        ),
        3,
    ),
    "two change places": (
        (
            "UPDATE audit SET seq = 99 WHERE seq = 2",
            "UPDATE audit SET seq = 2 WHERE seq = 3",
            "UPDATE audit SET seq = 3 WHERE seq = 99",
        ),
        2,
    ),
    "the end is said to be earlier": (("UPDATE audit_head SET seq = 4",), 5),
    "the end is cut off with its number": (
        ("DELETE FROM audit WHERE seq = 5", "UPDATE audit_head SET seq = 4"),
        4,
    ),
    "the end is said to be none": (("UPDATE audit_head SET seq = 0, hash = ''",), 1),
    "the end is not said": (("DELETE FROM audit_head",), 0),
}


async def test_whatever_is_tampered_with_is_found_and_where(repo: Path, tmp_path: Path) -> None:
    async with bench(repo) as site:
        await noted(site)
        path = site.world.data.coordination_db
        with closing(sqlite3.connect(path)) as whole, closing(sqlite3.connect(":memory:")) as kept:
            whole.execute("PRAGMA synchronous = OFF")
            whole.backup(kept)
            for what, (statements, broken_at) in TAMPERED.items():
                tamper(site, *statements)
                found = await verdict(site)
                assert found.broken_at == broken_at, (what, found)
                assert found.why, what
                kept.backup(whole)
        assert (await verdict(site)).broken_at is None


async def test_a_log_that_nothing_keeps_any_more_is_said_to_be(repo: Path) -> None:
    async with bench(repo) as site:
        await noted(site)
        assert (await verdict(site)).broken_at is None
        tamper(site, "DROP TRIGGER IF EXISTS audit_is_kept")
        found = await verdict(site)
    assert found.broken_at == 0
    assert "audit_is_kept" in found.why


async def test_a_damaged_record_is_said_to_be_and_nobody_crashes(repo: Path) -> None:
    async with bench(repo) as site:
        await noted(site)
        tamper(site, "UPDATE audit SET detail = '{' WHERE seq = 2")
        with pytest.raises(StoreDamaged):
            await site.audit()
        assert (await site.audit(after=2))[0].seq == 3


async def test_the_log_is_read_in_pages_and_by_who_what_and_how(repo: Path) -> None:
    async with bench(repo) as site:
        for number in range(6):
            await site.ask(note(actor="ada" if number % 2 else "bob", action=f"act.{number % 3}"))
        page = await site.ask(ReadAudit(limit=4))
        assert ([r.seq for r in page.records], page.next_after) == ([1, 2, 3, 4], 4)
        page = await site.ask(ReadAudit(limit=4, after=4))
        assert ([r.seq for r in page.records], page.next_after) == ([5, 6], None)
        assert [r.seq for r in await site.audit(actor="ada")] == [2, 4, 6]
        assert [r.seq for r in await site.audit(action="act.0")] == [1, 4]
        assert [r.seq for r in await site.audit(actor="ada", action="act.0")] == [4]
        assert await site.audit(outcome="refused") == ()
        assert [r.seq for r in await site.audit(outcome="done", actor="bob", after=2)] == [3, 5]
        bad: list[dict[str, Any]] = [
            {"limit": 0},
            {"limit": 201},
            {"after": -1},
            {"after": 2**63},
            {"actor": "\ud800"},
            {"action": "a" * 201},
        ]
        for given in bad:
            with pytest.raises(ValidationError):
                await site.audit(**given)


async def test_refusals_of_a_minute_are_two_lines(
    repo: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with bench(repo, inline=True) as site:
        refused = note(actor="eve", outcome="refused", address="10.0.0.1")
        assert await site.ask(refused) == 1
        for number in range(999):
            assert await site.ask(replace(refused, target=f"w-{number}")) == 0
        assert len(await site.audit()) == 1
        await trio.sleep(61)
        first, second = await site.audit()
        assert (first.target, second.target) == ("w", "")
        assert second.detail == {
            "more": 999,
            "targets": ["w-0", "w-1", "w-2", "w-3", "w-4"],
            "within_s": 60,
        }
        assert await site.ask(refused) == 3
        await trio.sleep(61)
        assert len(await site.audit()) == 3


async def test_refusals_of_whoever_many_fill_neither_disk_nor_memory(
    repo: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with bench(repo, inline=True) as site:
        for number in range(1000):
            await site.ask(note(outcome="refused", actor=f"eve{number}", address=str(number)))
        await trio.sleep(61)
        lines = await site.audit(limit=200)
        assert len(lines) == refusals.ROOM + 1
        assert (lines[-1].actor, lines[-1].detail["more"]) == ("others", 900)


async def test_refusals_that_were_counted_are_written_at_the_end(repo: Path) -> None:
    async with bench(repo) as site:
        for _ in range(3):
            await site.ask(note(outcome="refused"))
    async with bench(repo) as site:
        assert [line.detail.get("more") for line in await site.audit()] == [None, 2]


async def test_a_note_of_whatever_somebody_sent_is_a_line_of_the_log(repo: Path) -> None:
    async with bench(repo) as site:
        long, odd = "x" * 100_000, "a\ud800\x00\x1b[31m\r\n"
        for given in (
            {"actor": long, "target": long, "action": long, "address": long},
            {"actor": odd, "target": odd, "action": odd, "address": odd},
            {"detail": {"a": odd}},
            {"detail": {"a": long}},
            {"detail": {"a": float("nan")}},
            {"detail": {"a": object()}},
        ):
            await site.ask(note(**given))
        records = await site.audit()
        assert len(records) == 6
        assert all(len(repr(record)) < 6000 for record in records)
        assert (await verdict(site)).broken_at is None


async def test_acts_are_in_the_log_with_who_did_them_and_from_where(repo: Path) -> None:
    async with bench(repo) as site:
        new = await site.make(by="root", address="10.0.0.9", name="laptop")
        await site.pair(key=new.secret, address="10.0.0.8")
        await site.ask(RevokeKey(key_id=new.record.id, by="root", address="10.0.0.7"))
        made, exchanged, revoked = await site.audit()
        assert (made.actor, made.action, made.address) == ("root", "key.create", "10.0.0.9")
        assert made.detail["user_id"] == "ada"
        assert made.detail["roles"] == ["admin"]
        assert (exchanged.actor, exchanged.action) == ("ada", "token.create")
        assert exchanged.detail == {"key_id": new.record.id}
        assert (revoked.action, revoked.target) == ("key.revoke", new.record.id)
        assert revoked.address == "10.0.0.7"
