"""A site behind keys, and those who ask it: one of each role, and some who are not let in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import trio

from actors.auth.messages import CreateKey, NewKey, RevokeKey
from actors.auth.roles import Role
from actors.clock import rfc3339, system_clock
from api.app import App, create_app
from supervision import ask
from tests.api.asgi import Answer, Header, call, send_json, stream
from tests.api.site import SharedSite, Site, shared_site

FIRST = CreateKey(user_id="first", roles=(Role.ADMIN,), by="test")
"""From the first key on nobody is let in without one."""

LATER = timedelta(hours=2)
"""What is made with an end here has ended at a door whose clock is so much ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """The same system behind a door that asks for keys, and one at which it is two hours later."""

    shared: SharedSite
    site: Site
    app: App
    later: App

    def ask(self, message: Any) -> Any:
        return self.shared.run(ask, self.site.doors.auth, message, deadline_s=20.0)

    def key(self, role: Role, user_id: str = "", **more: Any) -> NewKey:
        message = CreateKey(user_id=user_id or str(role), roles=(role,), by="test", **more)
        made: NewKey = self.ask(message)
        return made

    def header(self, role: Role, user_id: str = "", **more: Any) -> Header:
        return shows(self.key(role, user_id, **more))

    def revoked(self) -> Header:
        made = self.key(Role.ADMIN, "revoked")
        self.ask(RevokeKey(key_id=made.record.id, by="test"))
        return shows(made)

    def expired(self) -> Header:
        """Of a key that opens nothing at the later door."""
        end = rfc3339(system_clock() + LATER / 2)
        return self.header(Role.ADMIN, "expired", expires_at=end)

    def call(self, method: str, target: str, *headers: Header, **given: Any) -> Answer:
        app = given.pop("app", self.app)
        return self.shared.run(call, app, method, target, headers=headers, **given)

    def post(self, target: str, data: Any, *headers: Header) -> Answer:
        return self.shared.run(send_json, self.app, target, data, *headers)

    def closed_with(self, target: str, *headers: Header, app: App | None = None) -> int | None:
        """What a WebSocket is refused or closed with whose first frame says nothing; None where
        it is let in."""
        return self.shared.run(_closed_with, app or self.app, target, headers)


async def _closed_with(app: App, target: str, headers: tuple[Header, ...]) -> int | None:
    async with stream(app, target, headers=headers, says=["nothing"]) as client:
        if client.refusal is not None:
            return client.refusal.status
        if headers:
            return None
        with trio.fail_after(10):
            await client.until_closed()
        return client.closed_with


def shows(made: NewKey) -> Header:
    return "Authorization", f"Bearer {made.secret}"


@contextmanager
def locked(repo: Path) -> Iterator[Locked]:
    with shared_site(repo) as shared:
        inner = shared.inner
        shared.run(ask, inner.doors.auth, FIRST, deadline_s=20.0)
        ahead = replace(inner.doors, clock=lambda: system_clock() + LATER)
        yield Locked(
            shared=shared,
            site=inner,
            app=create_app(inner.doors, trust="keys"),
            later=create_app(ahead, trust="keys"),
        )
