"""Sessions of browsers: a cookie that no page can read, in place of a credential that one could.

They are in the memory of the door alone: when it is restarted, people sign in again. A session ends
with the credential that it was begun with. What a session writes has to carry its second secret in
a header, which only a page of ours can know.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

import trio
from werkzeug.datastructures import Headers

from actors.errors import Forbidden
from api.authority import READING
from api.credentials import BadCredential

COOKIE: Final = "__Host-beadflow"
CSRF_HEADER: Final = "X-CSRF-Token"
IDLE_S: Final = 3600.0
LONGEST_S: Final = 12 * 3600.0
SESSIONS: Final = 1000
"""At a time; the one that was begun first ends when another begins."""

SESSIONS_EACH: Final = 50
"""Of one user, whose own ones end then: nobody signs the others out."""

_SECRET_BYTES: Final = 32


class ForeignPage(Forbidden):
    """A page of somebody else made the browser ask, or ours did not show the session's token."""

    code = "csrf_failed"
    hint = f"send {CSRF_HEADER} with the csrf_token of GET /api/v1/auth/session"


@dataclass(slots=True)
class Session:
    """One browser's.

    Args:
        admission: of whoever has begun it, as the guard let them in.
        csrf_token: what each write has to show.
        begun: seconds of trio's clock, and so is `used`.
    """

    admission: Any
    csrf_token: str = field(repr=False)
    begun: float
    used: float

    @property
    def ends(self) -> float:
        return min(self.begun + LONGEST_S, self.used + IDLE_S)


class Sessions:
    """Of one app."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, admission: Any) -> tuple[str, Session]:
        """A new session, and what its cookie holds."""
        name, now = secrets.token_urlsafe(_SECRET_BYTES), trio.current_time()
        session = Session(admission, secrets.token_urlsafe(_SECRET_BYTES), now, now)
        self._make_room(admission.principal.user_id)
        self._sessions[_hash(name)] = session
        return name, session

    def _make_room(self, user_id: str) -> None:
        everybody = self._sessions.items()
        own = [name for name, each in everybody if each.admission.principal.user_id == user_id]
        if len(own) >= SESSIONS_EACH:
            self._drop(own[0])
        elif len(self._sessions) >= SESSIONS:
            self._drop(next(iter(self._sessions)))

    def of(self, asking: Any) -> Session | None:
        """The session of a request or WebSocket, None where its cookie names none.

        Raises:
            BadCredential: the session has ended, or there was none.
            ForeignPage: another page is behind it.
        """
        name = asking.cookies.get(COOKIE) if "Cookie" in asking.headers else None
        if name is None:
            return None
        session, now = self._sessions.get(_hash(name)), trio.current_time()
        if session is None or session.ends <= now:
            self.end(name)
            raise BadCredential("the session has ended")
        _refuse_foreign(asking, session)
        session.used = now
        return session

    def end(self, name: str) -> None:
        """End a session, if it is one, and the streams that were opened with it."""
        self._drop(_hash(name))

    def _drop(self, name: bytes) -> None:
        session = self._sessions.pop(name, None)
        if session is not None:
            session.admission.is_over = True

    def __len__(self) -> int:
        return len(self._sessions)


def _refuse_foreign(asking: Any, session: Session) -> None:
    if asking.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise ForeignPage("another site made the browser ask")
    if asking.scope["type"] == "websocket":
        _refuse_foreign_origin(asking.headers)
    elif asking.method not in READING:
        shown = asking.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(shown.encode(), session.csrf_token.encode()):
            raise ForeignPage(f"a session that writes shows its token in {CSRF_HEADER}")


def _refuse_foreign_origin(headers: Headers) -> None:
    """A WebSocket carries no headers of a page's choice, but the browser says whose page it is."""
    origin = headers.get("Origin", "").partition("://")[2]
    if origin.lower() != headers.get("Host", "").lower():
        raise ForeignPage("a WebSocket with a cookie is one of this server's own pages")


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
