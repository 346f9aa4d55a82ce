"""An app behind a guard, and a keeper of keys that knows whom a test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import trio

from actors.auth.epoch import AuthEpoch
from actors.auth.errors import Unauthenticated
from actors.auth.messages import (
    Authenticate,
    GetStanding,
    MakeTicket,
    Note,
    Principal,
    Recheck,
    Standing,
    Ticket,
    UseTicket,
)
from actors.auth.roles import GRANTS, Role
from api.app import create_app
from supervision import Actor, ChildSpec, System
from tests.api.asgi import Answer, Header, call
from tests.api.site import nowhere

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ELSEWHERE = ("192.0.2.7", 50000)


def a_principal(role: Role, user_id: str = "", **more: Any) -> Principal:
    user_id = user_id or str(role)
    known = {"credential": f"k-{user_id}", "key_id": f"k-{user_id}", "permissions": GRANTS[role]}
    roles = frozenset({role})
    return Principal(user_id=user_id, roles=roles, **{"via": "key", **known, **more})


class FakeKeeper(Actor):
    def __init__(self, gate: "Gate") -> None:
        super().__init__()
        self._gate = gate

    async def on_receive(self, message: object) -> object:
        self._gate.asked.append(message)
        match message:
            case Authenticate(credential=credential):
                return self._gate.find(credential)
            case Recheck(principal=principal):
                return self._gate.find(principal.user_id)
            case MakeTicket(principal=principal):
                self._gate.tickets["t1"] = principal
                return Ticket(ticket="t1", expires_in=30)
            case UseTicket(ticket=ticket) if ticket in self._gate.tickets:
                return self._gate.tickets.pop(ticket)
            case GetStanding():
                return Standing(has_keys=self._gate.has_keys)
            case Note():
                return len(self._gate.asked)
            case _:
                raise Unauthenticated("it opens nothing")


@dataclass(kw_only=True)
class Gate:
    """The app; those who have a credential, which is their user id; and what was asked."""

    app: Any = None
    epoch: AuthEpoch = field(default_factory=AuthEpoch)
    has_keys: bool = True
    now_s: float = NOW.timestamp()
    known: dict[str, Principal] = field(default_factory=dict)
    tickets: dict[str, Principal] = field(default_factory=dict)
    asked: list[object] = field(default_factory=list)

    def find(self, credential: str) -> Principal:
        if credential not in self.known:
            raise Unauthenticated("it opens nothing")
        return self.known[credential]

    def add(self, principal: Principal) -> Header:
        """Let somebody have a credential; answers the header that shows it."""
        self.known[principal.user_id] = principal
        return "Authorization", f"Bearer {principal.user_id}"

    def revoke(self, user_id: str) -> None:
        del self.known[user_id]
        self.epoch.bump()

    def count(self, kind: type) -> int:
        return sum(isinstance(message, kind) for message in self.asked)

    def notes(self) -> list[Note]:
        return [message for message in self.asked if isinstance(message, Note)]

    async def get(self, target: str, *headers: Header, **given: Any) -> Answer:
        return await call(self.app, "GET", target, headers=headers, **given)

    async def noted(self, count: int = 1) -> list[Note]:
        """The notes, once there are so many: nobody waits for those of refusals."""
        with trio.fail_after(5):
            while len(self.notes()) < count:
                await trio.lowlevel.checkpoint()
        return self.notes()


@asynccontextmanager
async def gate(trust: Any = "keys", **parts: Any) -> AsyncIterator[Gate]:
    """An app whose guard asks a fake keeper. `parts` are other doors, by name."""
    found = Gate()
    async with System.open() as system:
        spec = ChildSpec(id="auth", name="auth", build=lambda: FakeKeeper(found))
        await system.start(spec)
        doors = replace(
            nowhere(system),
            auth=system.named("auth"),
            epoch=found.epoch,
            clock=lambda: datetime.fromtimestamp(found.now_s, UTC),
            **parts,
        )
        found.app = create_app(doors, trust=trust)
        yield found
