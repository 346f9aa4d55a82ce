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
    """Make an API key. Durable, and in the audit log, when it is answered.

    Args:
        expires_at: when it ends, RFC 3339; None for never.
        address: of who asks, for the audit log; so in the other requests.

    Raises:
        ValidationError: a field is not what it must be.
    """

    user_id: str
    roles: tuple[Role, ...]
    by: str
    name: str = ""
    scopes: tuple[Permission, ...] | None = None
    expires_at: str | None = None
    address: str = ""


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
    address: str = ""


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
        ValidationError: `expires_in` is not 1 to what the settings allow.
    """

    key: str = field(repr=False)
    scopes: tuple[Permission, ...] | None = None
    expires_in: int | None = None
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken(Ask[TokenPair]):
    """Give the next pair. A refresh token works once; used twice, its whole family is revoked.

    Raises:
        Unauthenticated: it is none of ours, ended, was used, or was revoked.
    """

    refresh_token: str = field(repr=False)
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeTokens(Ask[int]):
    """End tokens at once: by the jti of one, or all that a user has; exactly one of both is given.

    All that go back to the same exchange of a key end together: whoever has one access token could
    else fetch the next. Answers how many exchanges that were; 0 when none is known that lives.
    """

    by: str
    jti: str | None = None
    user_id: str | None = None
    address: str = ""


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
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One line of the audit log.

    Args:
        seq: rises by one; nothing is ever missing between two.
        id: names the line, so that it is in the log once.
        actor: the user id of who asked, "anonymous", or "beadflow".
        action: the permission or act, such as "workflow:delete" or "key.create".
        target: the address or the id of what it was about.
        previous: hash of the record before, so that none can be changed, removed or put between.
    """

    seq: int
    id: str
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
    """Write a line of the audit log; answers its number, once it is durable.

    Refusals of the same actor, action and address within a minute are two lines: the first, and
    one that says how many more there were. Those are answered 0, at once.
    """

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
    """What keys there are.

    Args:
        has_keys: a key was made once, so that nobody is let in without; it stays so when all of
            them have ended, since a door that opens by itself at night is none.
    """

    has_keys: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck(Ask[Principal]):
    """A principal that was let in before, as it stands now: for what is open for a long time.

    Raises:
        Unauthenticated: its credential has ended since, or was revoked.
    """

    principal: Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Explain(Ask["Explanation"]):
    """Why a principal may do something, or why not.

    Args:
        principal: a user id, the id of an API key, or the jti of an access token.
        action: what is asked about, in the asker's words; it comes back in the answer.
        permission: what that needs; None where nobody has to say who they are.
    """

    principal: str
    action: str
    permission: Permission | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one API key comes to.

    Args:
        granted_by: the roles among its own that hold the permission.
        narrowed: its scopes, or the token's, leave the permission out.
        against: what stands against it, such as "it was revoked on … by …"; "" for nothing.
    """

    key_id: str
    name: str
    roles: tuple[Role, ...]
    scopes: tuple[Permission, ...] | None
    granted_by: tuple[Role, ...]
    narrowed: bool
    against: str

    @property
    def allows(self) -> bool:
        return bool(self.granted_by) and not self.narrowed and not self.against


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Args: why: sentences, the most important first. grants: of each key of the principal."""

    principal: str
    action: str
    permission: Permission | None
    allowed: bool
    why: tuple[str, ...]
    grants: tuple[Grant, ...]
