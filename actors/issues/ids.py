"""Issue ids: a prefix and a short base-36 hash, made as bd makes them.

The length grows with the number of issues, so that an accidental collision stays unlikely; one
that happens is answered with another nonce, then with a longer hash. Ids are only checked against
the issues known here: another clone may choose the same one, and merging has to live with that.

Pure: the caller says which ids are taken.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from storage.issues import instants

MIN_LENGTH: Final = 3
MAX_LENGTH: Final = 8
MAX_COLLISION: Final = 0.25
NONCES: Final = 10
FALLBACK_PREFIX: Final = "bd"
_BYTES: Final = {3: 2, 4: 3, 5: 4, 6: 4, 7: 5, 8: 5}
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_HASH_LIKE = re.compile(r"[0-9a-z]{3}|(?=.*[0-9])[0-9a-z]{4,8}", re.IGNORECASE)
_PREFIX_BYTES: Final = 32


class IdsExhaustedError(Exception):
    """Every id that could be made for an issue is taken."""


def mint(
    *,
    prefix: str,
    title: str,
    description: str,
    creator: str,
    created_at: str,
    count: int,
    taken: Callable[[str], bool],
) -> str:
    """Return the first id that is not taken.

    `created_at` is RFC 3339 (its nanoseconds are hashed); `count` is the number of top-level issues
    with this prefix, which decides the length.

    Raises:
        IdsExhaustedError: all of them are.
    """
    text = f"{title}|{description}|{creator}|{instants.to_ns(created_at)}"
    for length in range(adaptive_length(count), MAX_LENGTH + 1):
        for nonce in range(NONCES):
            candidate = f"{prefix}-{hash36(f'{text}|{nonce}', length)}"
            if not taken(candidate):
                return candidate
    raise IdsExhaustedError(f"no free id with prefix {prefix!r} could be made")


def hash36(text: str, length: int) -> str:
    """Return the last `length` base-36 digits of the first bytes of the text's SHA-256."""
    digest = hashlib.sha256(text.encode(errors="replace")).digest()
    number = int.from_bytes(digest[: _BYTES[length]], "big")
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


def adaptive_length(count: int) -> int:
    """Return the least length at which one more collision among `count` ids is unlikely."""
    for length in range(MIN_LENGTH, MAX_LENGTH):
        if 1 - math.exp(-(count**2) / (2 * 36**length)) <= MAX_COLLISION:
            return length
    return MAX_LENGTH


def prefix_of(issue_id: str) -> str:
    """Return the prefix of an id, or "" where it shows none.

    Prefixes may hold hyphens: the last one ends the prefix when what follows looks like a hash or
    a number (a word of four letters or more does not), else the first one does.
    """
    head, hyphen, tail = issue_id.rpartition("-")
    suffix = tail.partition(".")[0]
    if not hyphen or not suffix:
        return head
    if suffix.isdecimal() or _HASH_LIKE.fullmatch(suffix):
        return head
    return issue_id.partition("-")[0]


def majority_prefix(issue_ids: Iterable[str]) -> str | None:
    """Return the commonest prefix of top-level issues, the first by name among equals."""
    counts = Counter(prefix_of(issue_id) for issue_id in issue_ids if "." not in issue_id)
    counts.pop("", None)
    return min(counts, key=lambda prefix: (-counts[prefix], prefix), default=None)


def prefix_from_name(directory: str) -> str:
    """Return a prefix made from a directory's name."""
    words = re.sub(r"[^a-z0-9]+", "-", directory.lower()).strip("-")
    return words[:_PREFIX_BYTES].strip("-") or FALLBACK_PREFIX
