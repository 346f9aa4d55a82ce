"""Issue ids: a prefix and a short base-36 hash, made as bd makes them.

The length grows with the number of issues, so that an accidental collision stays unlikely; one
that happens is answered with another nonce, then with a longer hash. Ids are only checked against
the issues known here: another clone may choose the same one, and merging has to live with that.

A child's id is its parent's with a number. Numbers are never used again, also those of children
that were deleted or removed; from 1,000 on they are for children that had to be renamed.

Pure: the caller says which ids are taken.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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
_CHILD = re.compile(r"(.+)\.(\d+)")
_CHOSEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]*(?:-[A-Za-z0-9._]+)+")
_ID_BYTES: Final = 200
MAX_DEPTH: Final = 3
"""Of children: x-1.1.1.1 has none."""
_LONG: Final = 10
RENAMED: Final = 1000
"""The least number of a child that was renamed because two clones had made its id."""


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


def keyed(prefix: str, key: str) -> Iterator[str]:
    """Yield the ids that an issue created with a key may have, the shortest first.

    So it is found again by its key alone, whatever else the repeated request says.
    """
    for length in range(MIN_LENGTH, MAX_LENGTH + 1):
        for nonce in range(NONCES):
            yield f"{prefix}-{hash36(f'{key}|{nonce}', length)}"


def is_chosen_id(text: str) -> bool:
    """Return whether an issue may be given this id: a prefix, a hyphen and a name."""
    return len(text) <= _ID_BYTES and _CHOSEN.fullmatch(text) is not None


def parent_of(issue_id: str) -> str | None:
    """Return the id that a child's id begins with; None for a top-level one."""
    found = _CHILD.fullmatch(issue_id)
    return found[1] if found else None


def root_of(issue_id: str) -> str:
    """Return the top-level id that an id begins with; itself where it is one."""
    parent = parent_of(issue_id)
    return issue_id if parent is None else root_of(parent)


def depth(issue_id: str) -> int:
    """Return how many numbers follow the top-level id."""
    parent = parent_of(issue_id)
    return 0 if parent is None else depth(parent) + 1


def next_child(parent: str, below: Collection[str]) -> str:
    """Return the id of a new child.

    `below` are all ids that ever began with the parent's and a dot.
    """
    taken = {_number(parent, issue_id) for issue_id in below}
    number = max((one for one in taken if one < RENAMED), default=0) + 1
    while number in taken:
        number += 1
    return f"{parent}.{number}"


def _number(parent: str, issue_id: str) -> int:
    first = issue_id[len(parent) + 1 :].partition(".")[0]
    # Others may name issues as they like: what is no number of ours takes none.
    return int(first) if first.isascii() and first.isdecimal() and len(first) < _LONG else 0


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


def prefixes(issue_ids: Iterable[str]) -> Counter[str]:
    """Count the prefixes of top-level issues."""
    return Counter(prefix_of(issue_id) for issue_id in issue_ids if "." not in issue_id)


def commonest(counts: Mapping[str, int]) -> str | None:
    """Return the prefix that most issues have, the first by name among equals."""
    named = [prefix for prefix in counts if prefix]
    return min(named, key=lambda prefix: (-counts[prefix], prefix), default=None)


def prefix_from_name(directory: str) -> str:
    """Return a prefix made from a directory's name."""
    words = re.sub(r"[^a-z0-9]+", "-", directory.lower()).strip("-")
    return words[:_PREFIX_BYTES].strip("-") or FALLBACK_PREFIX
