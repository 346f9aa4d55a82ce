"""What clients send and get about keys, tokens, sessions and the audit log, as models."""

from dataclasses import asdict
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from actors.auth import messages
from actors.auth.messages import (
    AuditRecord,
    Explanation,
    KeyRecord,
    Principal,
    SigningKeyRecord,
    TokenPair,
)
from actors.auth.roles import Permission, Role
from api.models import NAME_LIMIT, Strict

CREDENTIAL_LIMIT = 8192
ACTION_LIMIT = 1000
SEQ_LIMIT = 2**62


class TokenRequest(Strict):
    """Body of POST /api/v1/auth/token."""

    key: str | None = Field(default=None, strict=True, max_length=CREDENTIAL_LIMIT, repr=False)
    scopes: list[Permission] | None = None
    expires_in: int | None = Field(default=None, strict=True, ge=1)


class RefreshRequest(Strict):
    """Body of POST /api/v1/auth/refresh."""

    refresh_token: str = Field(strict=True, max_length=CREDENTIAL_LIMIT, repr=False)


class RevokeRequest(Strict):
    """Body of POST /api/v1/auth/revoke."""

    jti: str | None = Field(default=None, strict=True, max_length=NAME_LIMIT)
    user_id: str | None = Field(default=None, strict=True, max_length=NAME_LIMIT)


class SessionRequest(Strict):
    """Body of POST /api/v1/auth/session."""

    key: str = Field(strict=True, max_length=CREDENTIAL_LIMIT, repr=False)


class KeyRequest(Strict):
    """Body of POST /api/v1/auth/keys."""

    user_id: str = Field(strict=True, max_length=NAME_LIMIT)
    roles: list[Role] = Field(min_length=1, max_length=len(Role))
    name: str = Field(default="", strict=True, max_length=NAME_LIMIT)
    scopes: list[Permission] | None = None
    expires_at: str | None = Field(default=None, strict=True)


class KeysQuery(Strict):
    """Query of GET /api/v1/auth/keys."""

    user_id: str | None = None


class WhyQuery(Strict):
    """Query of GET /api/v1/auth/why."""

    principal: str = Field(max_length=NAME_LIMIT)
    action: str = Field(min_length=1, max_length=ACTION_LIMIT)


class AuditQuery(Strict):
    """Query of GET /api/v1/audit."""

    after: int = Field(default=0, ge=0, le=SEQ_LIMIT)
    limit: int = Field(default=100, ge=1, le=200)
    actor: str | None = Field(default=None, max_length=NAME_LIMIT)
    action: str | None = Field(default=None, max_length=NAME_LIMIT)
    outcome: messages.Outcome | None = None


class PrincipalView(BaseModel):
    """Whoever asks. `expires_at` is in seconds of the Unix clock."""

    user_id: str
    roles: list[Role]
    permissions: list[Permission]
    via: messages.Via
    credential: str
    key_id: str
    expires_at: float | None

    @classmethod
    def of(cls, who: Principal) -> Self:
        return cls.model_validate(
            asdict(who) | {"roles": sorted(who.roles), "permissions": sorted(who.permissions)}
        )


class Tokens(BaseModel):
    """Answer of POST /api/v1/auth/token and refresh."""

    access_token: str = Field(repr=False)
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the kind, not a secret
    expires_in: int
    refresh_token: str = Field(repr=False)
    refresh_expires_in: int
    principal: PrincipalView

    @classmethod
    def of(cls, pair: TokenPair) -> Self:
        return cls(
            access_token=pair.access_token,
            expires_in=pair.expires_in,
            refresh_token=pair.refresh_token,
            refresh_expires_in=pair.refresh_expires_in,
            principal=PrincipalView.of(pair.principal),
        )


class Revoked(BaseModel):
    """Answer of POST /api/v1/auth/revoke."""

    revoked: int


class TicketView(BaseModel):
    """Answer of POST /api/v1/auth/tickets."""

    ticket: str = Field(repr=False)
    expires_in: int


class SessionView(BaseModel):
    """Answer of POST and GET /api/v1/auth/session."""

    csrf_token: str = Field(repr=False)
    expires_in: int
    principal: PrincipalView


class KeyView(BaseModel):
    """An API key, without what opens anything. Times are RFC 3339, UTC."""

    id: str
    name: str
    user_id: str
    roles: list[Role]
    scopes: list[Permission] | None
    created_at: str
    created_by: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    revoked_by: str | None

    @classmethod
    def of(cls, record: KeyRecord) -> Self:
        return cls.model_validate(asdict(record))


class MadeKey(KeyView):
    """Answer of POST /api/v1/auth/keys."""

    secret: str = Field(repr=False)


class SigningKey(BaseModel):
    """A key that tokens are signed or verified with."""

    kid: str
    algorithm: str
    created_at: str
    signs: bool
    retires_at: str | None

    @classmethod
    def of(cls, record: SigningKeyRecord) -> Self:
        return cls.model_validate(asdict(record))


class GrantView(BaseModel):
    """What one key of a principal comes to."""

    key_id: str
    name: str
    roles: list[Role]
    scopes: list[Permission] | None
    granted_by: list[Role]
    narrowed: bool
    against: str


class Why(BaseModel):
    """Answer of GET /api/v1/auth/why."""

    principal: str
    action: str
    permission: Permission | None
    allowed: bool
    why: list[str]
    grants: list[GrantView]

    @classmethod
    def of(cls, found: Explanation) -> Self:
        return cls.model_validate(asdict(found))


class AuditLine(BaseModel):
    """A line of the audit log. `at` is RFC 3339, UTC."""

    seq: int
    id: str
    at: str
    actor: str
    action: str
    target: str
    outcome: messages.Outcome
    address: str
    detail: dict[str, Any]
    previous: str
    hash: str

    @classmethod
    def of(cls, record: AuditRecord) -> Self:
        return cls.model_validate(asdict(record))


class AuditVerdict(BaseModel):
    """Answer of GET /api/v1/audit/verify."""

    records: int
    head: str
    broken_at: int | None
    why: str
