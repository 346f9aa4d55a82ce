"""Access tokens: JSON Web Tokens of one algorithm, made and read here alone.

What is read is held to the exact form that is written: three parts in the one spelling that base64
has for them, a header of three names, each claim there and of its type. The key is the one that the
header's `kid` names among ours; nothing else in a token says how it is to be checked. That a token
is sound does not mean that it still opens something: see the keeper.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import jwt

from actors.auth.errors import Unauthenticated
from actors.auth.roles import Permission, Role, granted
from actors.auth.settings import LONGEST_TOKEN_S, AuthSettings
from actors.auth.signing import Keys, SigningKey, living

TYPE: Final = "at+jwt"
LONGEST: Final = 4096
LEEWAY_S: Final = 30
"""So far may the clock have been set back since a token was made. Its end is its end."""

CLAIMS: Final = frozenset(
    {"iss", "aud", "sub", "user_id", "roles", "permissions", "jti", "iat", "nbf", "exp"}
)
HEADER: Final = frozenset({"alg", "kid", "typ"})
_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a sound token says.

    Args:
        expires_at: seconds of the Unix clock.
    """

    jti: str
    user_id: str
    roles: frozenset[Role]
    permissions: frozenset[Permission]
    expires_at: int


class Tokens:
    """Makes and reads tokens.

    Args:
        keys: those of now; the last signs.
    """

    def __init__(self, settings: AuthSettings, keys: Callable[[], Keys]) -> None:
        self._settings = settings
        self._keys = keys

    def make(
        self,
        *,
        user_id: str,
        roles: Collection[Role],
        permissions: Collection[Permission],
        jti: str,
        at: datetime,
        expires_in: int,
    ) -> str:
        key = self._keys()[-1]
        now = int(at.timestamp())
        claims = {
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "sub": user_id,
            "user_id": user_id,
            "roles": sorted(roles),
            "permissions": sorted(permissions),
            "jti": jti,
            "iat": now,
            "nbf": now,
            "exp": now + expires_in,
        }
        headers = {"kid": key.kid, "typ": TYPE}
        return jwt.encode(claims, _signs(key), algorithm=key.algorithm, headers=headers)

    def read(self, token: str, at: datetime) -> Claims:
        """What a token says.

        Raises:
            Unauthenticated: it is none of ours, or not good now; which of these is not said.
        """
        try:
            return self._read(token, at)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError, OverflowError):
            raise nobody() from None

    def _read(self, token: str, at: datetime) -> Claims:
        header = _header_of(token)
        algorithm = self._settings.algorithm
        key = next((key for key in living(self._keys(), at) if key.kid == header["kid"]), None)
        if key is None or key.algorithm != algorithm or header["alg"] != algorithm:
            raise ValueError("it is signed with no key of ours")
        claims = jwt.decode(
            token,
            _verifies(key),
            algorithms=[algorithm],
            issuer=self._settings.issuer,
            audience=self._settings.audience,
            options={
                "require": sorted(CLAIMS),
                "strict_aud": True,
                # of the clock that was given, below
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        _check(claims, at)
        return _said(claims)


def nobody() -> Unauthenticated:
    """The one answer to all that opens nothing."""
    return Unauthenticated("this credential opens nothing")


def _header_of(token: str) -> Mapping[str, str]:
    """The header of a text that has the exact form of a token."""
    if len(token) > LONGEST:
        raise ValueError("it is too long")
    header, claims, _ = (_bytes(part) for part in _three(token))
    _strict(claims)
    found = _strict(header)
    if found.keys() != HEADER or found["typ"] != TYPE:
        raise ValueError("it is no access token of ours")
    if any(type(value) is not str for value in found.values()):
        raise ValueError("its header holds what is no text")
    return found


def _three(token: str) -> tuple[str, str, str]:
    header, claims, signature = token.split(".")
    return header, claims, signature


def _bytes(part: str) -> bytes:
    if not _PART.fullmatch(part):
        raise ValueError("it is not base64")
    found = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if urlsafe_b64encode(found).rstrip(b"=").decode() != part:
        raise ValueError("it is spelled in another way")
    return found


def _strict(text: bytes) -> dict[str, Any]:
    found = json.loads(
        text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_none, parse_float=_none
    )
    if type(found) is not dict:
        raise ValueError("it is no object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _none(text: str) -> Any:
    raise ValueError(f"{text} is not what we write")


def _check(claims: Mapping[str, Any], at: datetime) -> None:
    if claims.keys() != CLAIMS:
        raise ValueError("its claims are not ours")
    if any(type(claims[name]) is not int for name in ("iat", "nbf", "exp")):
        raise ValueError("its times are no whole numbers")
    if any(type(claims[name]) is not str for name in ("iss", "aud", "sub", "user_id", "jti")):
        raise ValueError("its names are no texts")
    issued, begins, ends, now = claims["iat"], claims["nbf"], claims["exp"], at.timestamp()
    if begins != issued or not issued < ends <= issued + LONGEST_TOKEN_S:
        raise ValueError("it is good for longer than any of ours")
    if not issued - LEEWAY_S <= now < ends:
        raise ValueError("it is not good now")


def _said(claims: Mapping[str, Any]) -> Claims:
    if claims["sub"] != claims["user_id"]:
        raise ValueError("it is of two people")
    roles = frozenset(map(Role, _names(claims["roles"])))
    permissions = frozenset(map(Permission, _names(claims["permissions"])))
    return Claims(
        jti=claims["jti"],
        user_id=claims["user_id"],
        roles=roles,
        permissions=granted(roles, permissions),
        expires_at=claims["exp"],
    )


def _names(found: Any) -> list[str]:
    if type(found) is not list or any(type(name) is not str for name in found):
        raise ValueError("it is no list of names")
    return found


def _signs(key: SigningKey) -> Any:
    return _pair(key) if key.algorithm == "EdDSA" else key.secret


def _verifies(key: SigningKey) -> Any:
    return _pair(key).public_key() if key.algorithm == "EdDSA" else key.secret


def _pair(key: SigningKey) -> Any:
    # an extra, and slow to import: only who wants it has it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    return Ed25519PrivateKey.from_private_bytes(key.secret)
