"""What can be asked of the actor that knows who is who, and its answers.

Moments are RFC 3339 in UTC with microseconds, as in all records. A secret is in an answer once, in
the moment it is made, and never in the record of what it opens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from actors.auth.roles import Permission, Role
from supervision import Ask

Via = Literal["local", "key", "token", "session"]
"""How a principal was known: as this machine's own user, by an API key, a token, or a session."""

Outcome = Literal["allowed", "refused", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks, and what they may.

    Args:
        user_id: the person or worker; of an agent that works elsewhere, its agent id.
        permissions: what the roles hold, narrowed to the credential's scopes.
        credential: id of the key or of the token (jti); "" for the machine's own user.
        key_id: the API key that it all goes back to; "" for the machine's own user.
        expires_at: seconds of the Unix clock at which the credential ends; None for never.
    """

    user_id: str
    roles: frozenset[Role]
    permissions: frozenset[Permission]
    via: Via
    credential: str = ""
    key_id: str = ""
    expires_at: float | None = None

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate(Ask[Principal]):
    """Whose credential this is: an API key or an access token, as it came.

    Raises:
        Unauthenticated: it is none of ours, ended, or was revoked; which of these is not said.
    """

    credential: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """An API key, without what opens anything.

    Args:
        scopes: what it is narrowed to; None for all that the roles hold.
    """

    id: str
    name: str
    user_id: str
    roles: tuple[Role, ...]
    scopes: tuple[Permission, ...] | None
    created_at: str
    created_by: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    revoked_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made; nobody can read `secret` again."""

    record: KeyRecord
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKey(Ask[NewKey]):
    """Make an API key. Durable, and in the audit log, when it is answered."""

    user_id: str
    roles: tuple[Role, ...]
    by: str
    name: str = ""
    scopes: tuple[Permission, ...] | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKeys(Ask[tuple[KeyRecord, ...]]):
    """All keys, the newest first, revoked and ended ones among them."""

    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeKey(Ask[KeyRecord]):
    """End a key and all tokens that go back to it, at once.

    Raises:
        NotFound: there is no such key. One that was revoked before stays as it was.
    """

    key_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """An access token and what gets the next one. Times are seconds from now."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    principal: Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeKey(Ask[TokenPair]):
    """Give a token for an API key, for all of its permissions or some.

    Raises:
        Unauthenticated: the key opens nothing.
        Forbidden: a permission is asked for that the key does not hold.
    """

    key: str = field(repr=False)
    scopes: tuple[Permission, ...] | None = None
    expires_in: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken(Ask[TokenPair]):
    """Give the next pair. A refresh token works once; used twice, its whole family is revoked.

    Raises:
        Unauthenticated: it is none of ours, ended, was used, or was revoked.
    """

    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeTokens(Ask[int]):
    """End tokens at once: one by its jti, or all that a user has. Answers how many known ones."""

    by: str
    jti: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Opens one WebSocket, once, within `expires_in` seconds."""

    ticket: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeTicket(Ask[Ticket]):
    """A ticket in the name of a principal; it is not durable."""

    principal: Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class UseTicket(Ask[Principal]):
    """Whose ticket this was.

    Raises:
        Unauthenticated: it is none of ours, was used, or is too old.
    """

    ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRecord:
    """A key that signs or verifies tokens, without its secret."""

    kid: str
    algorithm: str
    created_at: str
    signs: bool
    retires_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSigningKeys(Ask[tuple[SigningKeyRecord, ...]]):
    """The keys that tokens are verified with; one of them signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateSigningKey(Ask[SigningKeyRecord]):
    """Sign with a new key from now on; the old one verifies until the last of its tokens ends."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One line of the audit log.

    Args:
        seq: rises by one; nothing is ever missing between two.
        actor: the user id of who asked, "anonymous", or "beadflow".
        action: the permission or act, such as "workflow:delete" or "key.create".
        target: the address or the id of what it was about.
        previous: hash of the record before, so that none can be changed, removed or put between.
    """

    seq: int
    at: str
    actor: str
    action: str
    target: str
    outcome: Outcome
    address: str
    detail: Mapping[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Ask[int]):
    """Write a line of the audit log; answers its number, once it is durable."""

    actor: str
    action: str
    target: str
    outcome: Outcome
    address: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    records: tuple[AuditRecord, ...]
    next_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAudit(Ask[AuditPage]):
    """The audit log from a number on, oldest first."""

    after: int = 0
    limit: int = 100
    actor: str | None = None
    action: str | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """Whether the chain holds; if not, the first number at which it breaks, and how."""

    records: int
    head: str
    broken_at: int | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyAudit(Ask[AuditVerdict]):
    """Compute the whole chain again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStanding(Ask["Standing"]):
    """Whether anybody has to say who they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Args: has_keys: there is a key that opens something, so that nobody is let in without."""

    has_keys: bool
