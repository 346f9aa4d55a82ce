"""The keeper of keys and the writer it needs, with a clock that a test sets."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.auth import signing
from actors.auth.errors import Unauthenticated
from actors.auth.messages import (
    AuditRecord,
    Authenticate,
    CreateKey,
    ExchangeKey,
    NewKey,
    Principal,
    ReadAudit,
    RefreshToken,
    TokenPair,
)
from actors.auth.roles import Role
from actors.auth.settings import AuthSettings
from actors.stores import open_stores
from actors.telemetry import Meters
from actors.tree import World, auth_tree
from actors.workflows.definition import Definitions
from storage.home import DataDir
from supervision import Event, System, ask
from tests.support import prepared

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Calendar:
    """A clock that stands still until it is told to go on."""

    def __init__(self, at: datetime = BEGIN) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def on(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What tests ask of the keeper."""

    system: System
    world: World
    calendar: Calendar
    events: list[Event]

    async def ask(self, message: Any) -> Any:
        return await ask(self.system.named("auth"), message, deadline_s=20.0)

    async def make(self, **given: Any) -> NewKey:
        values = {"user_id": "ada", "roles": (Role.ADMIN,), "by": "local", **given}
        new: NewKey = await self.ask(CreateKey(**values))
        return new

    async def pair(self, **given: Any) -> TokenPair:
        """Tokens of a new key of ada's."""
        key = given.pop("key", None) or (await self.make()).secret
        pair: TokenPair = await self.ask(ExchangeKey(key=key, **given))
        return pair

    async def next(self, pair: TokenPair) -> TokenPair:
        following: TokenPair = await self.ask(RefreshToken(refresh_token=pair.refresh_token))
        return following

    async def who(self, credential: str) -> Principal:
        principal: Principal = await self.ask(Authenticate(credential=credential))
        return principal

    async def opens_nothing(self, *credentials: str) -> None:
        for credential in credentials:
            with pytest.raises(Unauthenticated):
                await self.who(credential)

    async def audit(self, **given: Any) -> tuple[AuditRecord, ...]:
        records: tuple[AuditRecord, ...] = (await self.ask(ReadAudit(**given))).records
        return records

    @property
    def signing_keys(self) -> Path:
        return self.world.data.path / signing.NAME


@asynccontextmanager
async def bench(
    repo: Path,
    *,
    calendar: Calendar | None = None,
    settings: AuthSettings | None = None,
    inline: bool = False,
    **more: Any,
) -> AsyncIterator[Bench]:
    """A keeper until the block ends. With `inline` nothing runs off the trio thread.

    `more` is given to the `World`.
    """
    calendar = calendar or Calendar()
    meters = Meters()
    events: list[Event] = []
    with DataDir.resolve(repo) as data:
        prepared.copy_databases(data)
        chance = random.Random(1)
        opening = open_stores(data, chance=chance, observe=meters.observe_query, inline=inline)
        async with opening as stores, System.open(events.append, inline=inline) as system:
            world = World(
                data=data,
                stores=stores,
                repo=repo,
                definitions=Definitions.of(()),
                agents=(),
                meters=meters,
                clock=calendar,
                chance=chance,
                incarnation="life",
                poison=True,
                auth=settings or AuthSettings(),
                **more,
            )
            await system.start(auth_tree(system, world))
            yield Bench(system=system, world=world, calendar=calendar, events=events)
