"""The guard of an app: says who asks and whether they may, before anything of a body is read.

It is asked of every route by its endpoint, never by its address, and what has no entry in the table
is refused to everybody. A stream is looked at again for as long as it lives: what was taken away
from its principal, or has ended, ends it within LOOK_S.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal

import trio
from quart import Response, g, request, websocket

from actors.auth.errors import Unauthenticated
from actors.auth.messages import (
    Authenticate,
    GetStanding,
    Principal,
    Recheck,
    UseTicket,
)
from api import first_message, noting, peers, problem
from api.authority import authorise, challenge_of, need_of
from api.credentials import BadCredential, Memory, bearer, of_subprotocols, well_formed
from api.doors import Doors
from api.entrance import instead_of
from api.lapsing import while_it_holds
from api.limits import count_request
from api.permissions import OPEN, Need
from api.sessions import Sessions
from supervision import ActorDeadError, ActorRestarting, Ask, AskTimeout, Refused, ask

Trust = Literal["machine", "keys"]
"""Whom an app takes at their word: whoever can reach it, or whoever shows a credential."""

DEADLINE_S: Final = 5.0
LOOK_S: Final = 2.0
"""How long after it was revoked a credential may still keep a stream open, at most."""

LAPSED: Final = 4401
"""Close code of a WebSocket whose principal is not known, or not any more."""

FIRST_FAILURE: Final = 400
MAY_NOT: Final = 4403
"""Of one whose principal was known by its first message, and may not see what it asks for."""

REASON_LIMIT: Final = 100
"""Characters of the reason that a WebSocket is closed with: there is room for 123 bytes."""

NOTHING: Final = "the credential opens nothing"


@dataclass(slots=True)
class Admission:
    """Somebody who was let in.

    Args:
        epoch: in which that was found to hold.
        is_own: they are let in as this machine's own user, who has shown nothing.
        is_over: they have signed out.
    """

    principal: Principal
    epoch: int
    is_own: bool = False
    is_over: bool = False

    @classmethod
    def of_session(cls, found: "Admission") -> "Admission":
        """What a browser's session is begun with, once its credential was let in."""
        return cls(replace(found.principal, via="session"), found.epoch)


class Guard:
    """Of one app. `trust` is whom it takes at their word."""

    def __init__(self, doors: Doors, trust: Trust) -> None:
        self._doors = doors
        self.trust = trust
        self._memory = Memory(lambda: doors.epoch.number)
        self._open_until = -1  # the epoch in which there was no key
        self._silent = trio.CapacityLimiter(first_message.WAITING)
        self.sessions = Sessions()

    async def admit(self) -> None:
        """Let the request in, or raise.

        Raises:
            Unauthenticated: nobody knows who asks.
            Missing: it is known, and they may not.
        """
        need = need_of(request.endpoint)
        if need in (None, OPEN):
            return
        admission = await self._known(request, bearer(request.headers))
        if admission is None:
            raise Unauthenticated("this needs a credential, and the request shows none")
        self._enter(admission, request)

    async def admit_websocket(self) -> None:
        """The same, of a WebSocket, before its handshake wherever that is possible."""
        need = need_of(websocket.endpoint)
        if need in (None, OPEN):
            return
        offered = of_subprotocols(websocket.requested_subprotocols)
        shown = bearer(websocket.headers) or offered
        ticket = websocket.args.get("ticket")
        if shown is None and ticket is not None:
            admission = await self._by_ticket(ticket)
        else:
            admission = await self._known_or_heard(shown)
        self._enter(admission, websocket)

    def _enter(self, admission: Admission, asking: Any) -> None:
        g.principal, g.admission = admission.principal, admission
        count_request(admission.principal, asking.method)
        authorise(admission.principal, need_of(asking.endpoint))

    async def _known_or_heard(self, shown: str | None) -> Admission:
        """Whoever opens the present WebSocket, which may be said in its first message."""
        found = await self._known(websocket, shown)
        if found is not None:
            return found
        heard = await first_message.credential(self._silent)
        return await self.by_credential(heard)

    async def _known(self, asking: Any, shown: str | None) -> Admission | None:
        if shown is not None:
            return await self.by_credential(shown)
        session = self.sessions.of(asking)
        if session is not None:
            await self.look(session.admission)
            admission: Admission = session.admission
            return admission
        if await self._is_own():
            return Admission(peers.own_user(asking.scope), self._doors.epoch.number, is_own=True)
        return None

    async def by_credential(self, shown: str) -> Admission:
        """Whoever has this API key or access token; raises `Unauthenticated`."""
        epoch = self._doors.epoch.number
        found = self._memory.get(shown)
        if found is None:
            message = Authenticate(credential=well_formed(shown))
            found = await self._ask_who(message)
            self._memory.keep(shown, found, since=epoch)
        if self._has_ended(found):
            raise BadCredential(NOTHING)
        return Admission(found, epoch)

    async def _by_ticket(self, ticket: str) -> Admission:
        epoch = self._doors.epoch.number
        found = await self._ask_who(UseTicket(ticket=well_formed(ticket)))
        is_own = found.via == "local"  # who is let in without a key, is so only while others are
        if is_own and not await self._is_own():
            raise BadCredential(NOTHING)
        return Admission(found, epoch, is_own=is_own)

    async def _ask_who(self, message: Ask[Principal]) -> Principal:
        try:
            return await ask(self._doors.auth, message, deadline_s=DEADLINE_S)
        except Unauthenticated as error:
            raise BadCredential(NOTHING) from error

    async def look(self, admission: Admission) -> None:
        """Look again at somebody who was let in, where anything was taken away from anybody since.

        Raises:
            Unauthenticated: they would not be let in now.
        """
        epoch, known = self._doors.epoch.number, admission.principal
        if admission.is_over or self._has_ended(known):
            raise BadCredential(NOTHING)
        if admission.epoch == epoch:
            return
        if not admission.is_own:
            now = await self._ask_who(Recheck(principal=known))
            admission.principal = replace(now, via=known.via)
        elif not await self._is_own():
            raise Unauthenticated("there are keys now")
        admission.epoch = epoch

    async def _is_own(self) -> bool:
        """Whether whoever asks is this machine's own user without having to show anything."""
        if self.trust == "machine":
            return True
        if not g.peer.is_this_machine:
            return False
        epoch = self._doors.epoch.number
        if self._open_until != epoch:
            standing = await ask(self._doors.auth, GetStanding(), deadline_s=DEADLINE_S)
            if standing.has_keys:
                return False
            self._open_until = epoch
        return True

    def _has_ended(self, principal: Principal) -> bool:
        ends = principal.expires_at
        return ends is not None and ends <= self._doors.clock().timestamp()

    async def lapsed(self, admission: Admission, need: Need | None) -> None:
        """Return once a principal may not go on with what it was let in for."""
        with suppress(Refused, ActorDeadError, ActorRestarting, AskTimeout):
            while True:
                await trio.sleep(LOOK_S)
                await self.look(admission)
                authorise(admission.principal, need)

    async def while_admitted(self, serve: Callable[[], Awaitable[Any]]) -> Any:
        """Serve the present WebSocket until it ends, or is not to go on."""
        admission: Admission | None = g.get("admission")
        if admission is None:
            return await serve()
        lapsed = partial(self.lapsed, admission, need_of(websocket.endpoint))
        result, has_lapsed = await while_it_holds(lapsed, serve)
        if has_lapsed:
            await websocket.close(LAPSED, "the credential has ended, or was revoked")
        return result

    async def mark(self, response: Response) -> Response:
        """Have a stream that is about to be sent looked after, and an act of weight noted."""
        admission: Admission | None = g.get("admission")
        if admission is not None:
            need = need_of(request.endpoint)
            if response.timeout is None:
                response.lapsed = partial(self.lapsed, admission, need)  # type: ignore[attr-defined]
            if response.status_code < FIRST_FAILURE:
                await noting.act(self._doors.auth, response.status_code)
        return response

    async def refuse(self, error: Refused) -> Response:
        """The answer to somebody who may not: it is noted, and says what was missing."""
        noting.refusal(self._doors.auth, error)
        if g.get("heard"):  # there is no answer any more but the end
            known = not isinstance(error, Unauthenticated)
            await websocket.close(MAY_NOT if known else LAPSED, str(error)[:REASON_LIMIT])
        told = instead_of(error)
        response = problem.of_refusal(told, str(g.get("request_id", "unknown")))
        if (challenge := challenge_of(told)) is not None:
            response.headers["WWW-Authenticate"] = challenge
        return response
