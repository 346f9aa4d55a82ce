"""Operations on keys, tokens and sessions, and on the audit log."""

from typing import Final

from pydantic import BaseModel

from api.auth_models import (
    AuditLine,
    AuditQuery,
    AuditVerdict,
    KeyRequest,
    KeysQuery,
    KeyView,
    MadeKey,
    PrincipalView,
    RefreshRequest,
    Revoked,
    RevokeRequest,
    SessionRequest,
    SessionView,
    SigningKey,
    TicketView,
    TokenRequest,
    Tokens,
    Why,
    WhyQuery,
)
from api.models import NoBody
from api.operations.operation import Operation
from api.operations.problems import ASKED, WRITTEN


class Keys(BaseModel):
    """All API keys, the newest first."""

    data: list[KeyView]


class SigningKeys(BaseModel):
    """What access tokens are verified with."""

    data: list[SigningKey]


class AuditPage(BaseModel):
    """Lines of the audit log, oldest first; `next_after` is null on the last page."""

    data: list[AuditLine]
    next_after: int | None


LOGIN: Final = ("unauthenticated", "forbidden", "validation_error", *ASKED, *WRITTEN)
"""Of operations for which the body alone says who asks."""

OPERATIONS: Final[dict[str, Operation]] = {
    "auth.token": Operation(
        summary="Exchange an API key for tokens",
        description="The key is in the body, or the Bearer of `Authorization`.",
        body=TokenRequest,
        answer=Tokens,
        codes=LOGIN,
        example={"scopes": ["workflow:read"], "expires_in": 300},
    ),
    "auth.refresh": Operation(
        summary="Get the next tokens",
        description="A refresh token works once; a second time ends all that came of it.",
        body=RefreshRequest,
        answer=Tokens,
        codes=LOGIN,
        example={"refresh_token": "bfr_example"},
    ),
    "auth.revoke": Operation(
        summary="End tokens at once", body=RevokeRequest, answer=Revoked, example={}
    ),
    "auth.ticket": Operation(
        summary="Make a ticket that opens one WebSocket",
        body=NoBody,
        answer=TicketView,
        status=201,
        example={},
    ),
    "auth.me": Operation(summary="Say who asks, and what they may", answer=PrincipalView),
    "auth.why": Operation(
        summary="Explain why a principal may do something, or may not", query=WhyQuery, answer=Why
    ),
    "auth_keys.listing": Operation(summary="List API keys", query=KeysQuery, answer=Keys),
    "auth_keys.create": Operation(
        summary="Make an API key",
        description="Nobody can read its `secret` again.",
        body=KeyRequest,
        answer=MadeKey,
        status=201,
        answer_headers=("Location",),
        example={"user_id": "ann", "roles": ["operator"], "name": "laptop"},
    ),
    "auth_keys.revoke": Operation(
        summary="End an API key, and all tokens that go back to it", answer=KeyView
    ),
    "auth_keys.signing": Operation(
        summary="List the keys that tokens are verified with", answer=SigningKeys
    ),
    "auth_keys.rotate": Operation(
        summary="Sign tokens with a new key",
        body=NoBody,
        answer=SigningKey,
        status=201,
        example={},
    ),
    "sessions.begin": Operation(
        summary="Sign a browser in",
        body=SessionRequest,
        answer=SessionView,
        status=201,
        answer_headers=("Set-Cookie",),
        codes=LOGIN,
        example={"key": "bf_example"},
    ),
    "sessions.show": Operation(
        summary="Show the session of the cookie", answer=SessionView, codes=("not_found",)
    ),
    "sessions.end": Operation(
        summary="Sign a browser out",
        status=204,
        answer_headers=("Set-Cookie",),
        codes=("not_found",),
    ),
    "audit.listing": Operation(summary="Read the audit log", query=AuditQuery, answer=AuditPage),
    "audit.verify": Operation(
        summary="Compute the hashes of the audit log again", answer=AuditVerdict
    ),
}
