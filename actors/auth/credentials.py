"""The secrets that are given out: what they look like, and what is kept of them.

A key or refresh token is 256 random bits, so a plain SHA-256 is enough: nobody can try them out.
The text is hashed, not the bytes it stands for, so that one secret has one spelling.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final, NamedTuple

Entropy = Callable[[int], bytes]
"""Answers so many bytes that nobody can guess."""

SECRET_BYTES: Final = 32
ID_BYTES: Final = 8

_KEY = re.compile(r"bf_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)
_REFRESH = re.compile(r"bfr_[A-Za-z0-9_-]{43}", re.ASCII)
_TICKET = re.compile(r"bft_[A-Za-z0-9_-]{43}", re.ASCII)

_LONG = re.compile(r"[A-Za-z0-9._~-]{30,}", re.ASCII)
_OURS = re.compile(r"bf[rt]?_|eyJ", re.ASCII)
"""How keys, refresh tokens and tickets begin, and each part of a token that is JSON."""

NOBODYS: Final = "0" * 64
"""Compared with where there is no such key, so that it takes as long."""


class KeyParts(NamedTuple):
    """An API key: where it stands, and what opens it."""

    key_id: str
    sha256: str


def new_id(entropy: Entropy) -> str:
    return entropy(ID_BYTES).hex()


def new_key(key_id: str, entropy: Entropy) -> str:
    return f"bf_{key_id}_{_random(entropy)}"


def new_refresh(entropy: Entropy) -> str:
    return f"bfr_{_random(entropy)}"


def new_ticket(entropy: Entropy) -> str:
    return f"bft_{_random(entropy)}"


def looks_like_key(text: str) -> bool:
    return text.startswith("bf_")


def parse_key(text: str) -> KeyParts | None:
    """None for what is no key of ours; whether there is such a key it does not know."""
    found = _KEY.fullmatch(text)
    return None if found is None else KeyParts(found[1], sha256(text))


def parts_of(key: str) -> KeyParts:
    """Of a key that was just made."""
    return KeyParts(key.split("_")[1], sha256(key))


def is_refresh(text: str) -> bool:
    return _REFRESH.fullmatch(text) is not None


def is_ticket(text: str) -> bool:
    return _TICKET.fullmatch(text) is not None


def masked(text: str) -> str:
    """The same without what may be a secret: somebody may put one where it does not belong.

    One with a slip in it is masked, too.
    """
    return _LONG.sub(lambda found: "***" if _OURS.search(found[0]) else found[0], text)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def same(left: str, right: str) -> bool:
    """In the same time, however much of it is the same."""
    return hmac.compare_digest(left.encode(), right.encode())


def _random(entropy: Entropy) -> str:
    return urlsafe_b64encode(entropy(SECRET_BYTES)).rstrip(b"=").decode()
