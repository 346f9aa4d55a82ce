"""What requests must hold. Pure."""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final, TypeVar

from actors.auth.messages import CreateKey, ReadAudit, RevokeTokens
from actors.auth.records import narrowed
from actors.auth.roles import Permission
from actors.clock import rfc3339
from actors.coordination.reading import check_limit
from actors.errors import Forbidden, ValidationError

N = TypeVar("N", str, str | None)

PAGE_LIMIT: Final = 200
HIGHEST: Final = 2**63
NAME_LENGTH: Final = 100
LOOKED_FOR_LENGTH: Final = 200
RESERVED: Final = frozenset({"anonymous", "beadflow", "local", "others"})
"""What the audit log calls those who are no users."""

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+~-]{0,99}", re.ASCII)


def checked_key(request: CreateKey, at: datetime) -> str | None:
    """When a key that is asked for ends, in the form that is stored.

    Raises:
        ValidationError: with the field that is wrong.
    """
    if not _USER.fullmatch(request.user_id) or request.user_id in RESERVED:
        raise ValidationError(
            "a user id is 1 to 100 letters, digits and . _ @ + ~ -, begins with a letter or a "
            f"digit, and is none of {', '.join(sorted(RESERVED))}",
            field="user_id",
            value=request.user_id,
        )
    if len(request.name) > NAME_LENGTH or not request.name.isprintable():
        raise ValidationError(
            f"a key's name is one line of at most {NAME_LENGTH} characters",
            field="name",
            value=request.name,
        )
    if not request.roles:
        raise ValidationError("a key has one role at least", field="roles", value=[])
    _check_scopes_of_key(request)
    return None if request.expires_at is None else _checked_end(request.expires_at, at)


def _check_scopes_of_key(request: CreateKey) -> None:
    if request.scopes is None:
        return
    more = set(request.scopes) - narrowed(request.roles)
    if more or not request.scopes:
        raise ValidationError(
            "scopes are one at least of the permissions that the roles hold"
            + (f"; they do not hold {', '.join(sorted(more))}" if more else ""),
            field="scopes",
            value=list(request.scopes),
        )


def _checked_end(text: str, at: datetime) -> str:
    try:
        end = datetime.fromisoformat(text)
        if end.tzinfo is None:
            raise ValueError("it has no zone")
        end = end.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValidationError(
            f"expires_at is a moment with its zone, as RFC 3339 has it: {error}",
            field="expires_at",
            value=text,
        ) from error
    if end <= at:
        raise ValidationError("expires_at is in the past", field="expires_at", value=text)
    return rfc3339(end)


def checked_scopes(
    scopes: Collection[Permission] | None, held: frozenset[Permission]
) -> tuple[Permission, ...] | None:
    """What a token is narrowed to.

    Raises:
        Forbidden: the key does not hold one of them.
        ValidationError: there is none.
    """
    if scopes is None:
        return None
    if not scopes:
        raise ValidationError("scopes are one permission at least", field="scopes", value=[])
    more = set(scopes) - held
    if more:
        raise Forbidden(f"the key does not hold {', '.join(sorted(more))}")
    return tuple(sorted(set(scopes)))


def checked_life(expires_in: int | None, longest_s: int) -> int:
    """Seconds that an access token is good for. Raises `ValidationError`."""
    if expires_in is None:
        return longest_s
    if not 1 <= expires_in <= longest_s:
        raise ValidationError(
            f"expires_in is 1 to {longest_s} seconds, not {expires_in}",
            field="expires_in",
            value=expires_in,
        )
    return expires_in


def checked_one(request: RevokeTokens) -> tuple[str | None, str | None]:
    """The token or the user that is meant. Raises `ValidationError` unless it is one of both."""
    if (request.jti is None) == (request.user_id is None):
        raise ValidationError("either jti or user_id is given", field="jti", value=request.jti)
    return checked_name(request.jti, "jti"), checked_name(request.user_id, "user_id")


def checked_name(text: N, field: str) -> N:
    """What somebody looks for, where it can be looked for. Raises `ValidationError`."""
    if text is None:
        return text
    if len(text) > LOOKED_FOR_LENGTH or not text.isprintable():
        raise ValidationError(
            f"{field} is one line of at most {LOOKED_FOR_LENGTH} characters",
            field=field,
            value=text,
        )
    return text


def check_audit(request: ReadAudit) -> None:
    """Raises `ValidationError`."""
    for field in ("actor", "action"):
        checked_name(getattr(request, field), field)
    if not 0 <= request.after < HIGHEST:
        raise ValidationError("after is 0 or more", field="after", value=request.after)
    check_limit(request.limit, PAGE_LIMIT)
