"""What may be the name of an artifact. Pure.

It is a relative path of a few parts. It stands in addresses, and somebody will use it as the name
of a file, on whatever system: so what any of these reads in another way is refused.
"""

import re
import unicodedata
from typing import Final

NAME_BYTES: Final = 500
PART_BYTES: Final = 200
PARTS: Final = 10

_FORBIDDEN: Final = frozenset('\\:*?"<>|\ufffd')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def objection(name: str) -> str | None:
    """What speaks against a name, to be read after "the name"; None where nothing does."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is no Unicode text"
    if not 0 < size <= NAME_BYTES:
        return f"is 1 to {NAME_BYTES} bytes, not {size}"
    if unicodedata.normalize("NFC", name) != name:
        return "is in composed form (NFC)"
    parts = name.split("/")
    if len(parts) > PARTS:
        return f"has at most {PARTS} parts"
    return next((why for part in parts if (why := _objection_to_part(part)) is not None), None)


def _objection_to_part(part: str) -> str | None:
    if not part:
        return "is a relative path: it has no empty parts"
    if len(part.encode()) > PART_BYTES:
        return f"has parts of at most {PART_BYTES} bytes"
    if part[0] in ".-~ " or part[-1] in ". ":
        return "has no part that begins with a dot, a hyphen, a tilde or a space, or ends in a dot"
    if bad := next((c for c in part if not _is_plain(c)), None):
        return f"holds no {bad!a}"
    if _DEVICES.fullmatch(part):
        return f"has no part that is a device on some systems, as {part} is"
    return None


def _is_plain(char: str) -> bool:
    """What can be seen, and means nothing to a file system; of spaces the ordinary one."""
    return char == " " or (char.isprintable() and char not in _FORBIDDEN)
