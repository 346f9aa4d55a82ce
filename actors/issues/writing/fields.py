"""Which fields of an issue may be set, and what each must hold.

Whatever comes from outside passes here before it is put into a row: what passes can be written, and
read again. Which types and statuses there are besides the usual ones only the database knows; that
is checked later. Rows that others wrote never come here.

Pure. A refusal is a `ValidationError` that names the field.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from actors.errors import ValidationError
from storage.issues import instants, jsonl
from storage.issues.checks import MAX_DEPTH
from storage.issues.fields import ISSUE, Field, Kind

TITLE_BYTES: Final = 500
TEXT_BYTES: Final = 1_048_576
WORD_BYTES: Final = 255
"""Of a label, a name, a key."""
ACTOR_CHARS: Final = 200

STATUSES: Final = frozenset(
    {"open", "in_progress", "blocked", "deferred", "closed", "pinned", "hooked"}
)
"""What a status may be set to everywhere. A tombstone is made by deleting."""

TYPES: Final = frozenset({
    "agent", "bug", "chore", "convoy", "decision", "epic", "event", "feature", "gate",
    "merge-request", "message", "milestone", "molecule", "rig", "role", "slot", "spike", "story",
    "task",
})  # fmt: skip
"""What any version of bd knows."""
ALIASES: Final = {
    "enhancement": "feature",
    "feat": "feature",
    "dec": "decision",
    "adr": "decision",
    "investigation": "spike",
    "timebox": "spike",
    "user-story": "story",
    "ms": "milestone",
    "mr": "merge-request",
    "mol": "molecule",
}
AGENT_STATES: Final = frozenset(
    {"", "idle", "spawning", "running", "working", "stuck", "done", "stopped", "dead"}
)
PRIORITIES: Final = range(5)

FIXED: Final = frozenset({
    "id", "created_at", "created_by", "updated_at", "closed_at", "dependencies", "comments",
    "deleted_at", "deleted_by", "delete_reason", "original_type", "compaction_level",
    "compacted_at", "compacted_at_commit", "original_size",
})  # fmt: skip
"""What the verbs write, and nobody sets."""
NEEDED: Final = frozenset({"title", "status", "priority", "issue_type"})

_LARGEST: Final = 2**63 - 1
_INTEGER_BITS: Final = 4096
"""Of a number in metadata: Python reads no longer ones from text."""


def checked(fields: object, now: datetime) -> dict[str, Any]:
    """Return the fields as they go into a row; None for each that is to be cleared.

    Raises:
        ValidationError: with the first field that is wrong.
    """
    if not isinstance(fields, Mapping):
        raise ValidationError("fields are an object", field="fields", value=fields)
    return {name: _checked(name, value, now) for name, value in fields.items()}


def _checked(name: object, value: Any, now: datetime) -> Any:
    field = ISSUE.get(name) if isinstance(name, str) else None
    if field is None:
        shown = text("fields", name, most=WORD_BYTES)
        raise ValidationError(f"an issue has no field {shown!r}", field=shown, value=value)
    if field.name in FIXED:
        raise ValidationError(f"{name} cannot be set", field=field.name, value=value)
    if value is None:
        if name in NEEDED:
            raise ValidationError(f"{name} cannot be cleared", field=field.name)
        return None
    special = _SPECIAL.get(field.name)
    if special is not None:
        return special(value)
    if name == "defer_until":
        return future("defer_until", value, now)
    return _of_kind(field, value)


def _of_kind(field: Field, value: Any) -> Any:
    name = field.name
    match field.kind:
        case Kind.TEXT:
            return text(name, value)
        case Kind.TIME:
            return time(name, value)
        case Kind.INTEGER:
            return whole(name, value)
        case Kind.FLAG:
            if not isinstance(value, bool):
                raise ValidationError(f"{name} is true or false", field=name, value=value)
            return value
        case Kind.WORDS:
            return words(name, value)
        case Kind.NUMBER:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValidationError(f"{name} is a number", field=name, value=value)
        case Kind.RECORD:
            if not isinstance(value, Mapping):
                raise ValidationError(f"{name} is an object", field=name, value=value)
        case Kind.RECORDS:
            _records(name, value)
        case Kind.RAW:
            pass
    return json_value(name, value)


def text(name: str, value: object, *, most: int = TEXT_BYTES) -> str:
    """Return a text that can be written."""
    if not isinstance(value, str):
        raise ValidationError(f"{name} is a text", field=name, value=value)
    if "\0" in value:
        raise ValidationError(f"{name} holds a NUL character", field=name, value=value)
    try:
        size = len(value.encode())
    except UnicodeEncodeError as err:
        raise ValidationError(
            f"{name} holds half of a surrogate pair, which is no Unicode", field=name, value=value
        ) from err
    if size > most:
        raise ValidationError(
            f"{name} has {size} bytes of UTF-8, and may have {most}", field=name, value=value
        )
    return value


def filled(name: str, value: object, *, most: int = TEXT_BYTES) -> str:
    """Return a text that says something."""
    if not text(name, value, most=most).strip():
        raise ValidationError(f"{name} needs a text", field=name, value=value)
    return str(value)


def actor(value: object) -> str:
    """Return the name of who asks; it may be empty."""
    named = text("actor", value, most=4 * ACTOR_CHARS).strip()
    if len(named) > ACTOR_CHARS:
        raise ValidationError(
            f"actor has {len(named)} characters, and may have {ACTOR_CHARS}",
            field="actor",
            value=value,
        )
    return named


def words(name: str, value: object) -> list[str]:
    """Return a list of labels or names, each once, in order."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValidationError(f"{name} is a list of texts", field=name, value=value)
    return list(dict.fromkeys(filled(name, word, most=WORD_BYTES) for word in value))


def time(name: str, value: object) -> str:
    """Return a time as the format writes it, which has a date in UTC too."""
    at = known_time(name, value)
    if not instants.has_utc(at):
        raise ValidationError(
            f"{name} {at} is in none of the years 1 to 9999 in UTC", field=name, value=value
        )
    return at


def known_time(name: str, value: object) -> str:
    """Return a time that a row may hold, whoever wrote it there."""
    try:
        instants.to_ns(text(name, value, most=WORD_BYTES))
    except ValueError as err:
        raise ValidationError(
            f"{name}: {err}; write it as 2026-01-31T12:00:00Z", field=name, value=value
        ) from err
    return instants.trim(str(value))


def future(name: str, value: object, now: datetime) -> str:
    """Return a time after now: an issue that is deferred into the past is not deferred."""
    at = time(name, value)
    if instants.to_ns(at) <= instants.to_ns(instants.from_datetime(now)):
        raise ValidationError(
            f"{name} {at} is in the past",
            field=name,
            value=value,
            hint="give a time to come, or clear it (`reopen`) to have the issue back now",
        )
    return at


def whole(name: str, value: object) -> int:
    """Return a whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise ValidationError(f"{name} is a whole number from 0", field=name, value=value)
    return value


def title(value: object) -> str:
    return filled("title", value, most=TITLE_BYTES)


def priority(value: object) -> int:
    """Return a priority, which may be written 2, "2" or "P2"."""
    number = value
    if isinstance(value, str):
        digits = value.strip().upper().removeprefix("P")
        number = int(digits) if len(digits) == 1 and digits in "01234" else value
    if type(number) is not int or number not in PRIORITIES:
        raise ValidationError(
            "a priority is a whole number from 0 (critical) to 4", field="priority", value=value
        )
    return number


def issue_type(value: object) -> str:
    found = filled("issue_type", value, most=50).strip().lower()
    return ALIASES.get(found, found)


def status(value: object) -> str:
    found = filled("status", value, most=50).strip().lower()
    if found in ("tombstone", "deleted"):
        raise ValidationError(
            f"a status cannot be set to {found}", field="status", value=value, hint="delete it"
        )
    return found


def agent_state(value: object) -> str:
    if text("agent_state", value) not in AGENT_STATES:
        known = ", ".join(sorted(AGENT_STATES - {""}))
        raise ValidationError(f"agent_state is one of {known}", field="agent_state", value=value)
    return str(value)


def labels(value: object) -> list[str]:
    return sorted(words("labels", value))


def _records(name: str, value: object) -> None:
    if not isinstance(value, list | tuple) or not all(isinstance(one, Mapping) for one in value):
        raise ValidationError(f"{name} is a list of objects", field=name, value=value)


def json_value(name: str, value: Any) -> Any:
    """Return a value that JSON can say, and this format write and read again."""
    plain = _plain(name, value, 1)
    if len(jsonl.spell(plain)) > TEXT_BYTES:
        raise ValidationError(f"{name} is larger than {TEXT_BYTES} bytes", field=name)
    return plain


def _plain(name: str, value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValidationError(f"{name} is nested deeper than {MAX_DEPTH}", field=name)
    match value:
        case None | bool():
            return value
        case str():
            return text(name, value)
        case int() if value.bit_length() <= _INTEGER_BITS:
            return value
        case float() if math.isfinite(value):
            return value
        case list() | tuple():
            return [_plain(name, inner, depth + 1) for inner in value]
        case Mapping():
            return {text(name, key): _plain(name, one, depth + 1) for key, one in value.items()}
    raise ValidationError(
        f"{name} holds what JSON cannot say: {type(value).__name__}", field=name, value=value
    )


_SPECIAL: Final[Mapping[str, Callable[[object], Any]]] = {
    "title": title,
    "priority": priority,
    "issue_type": issue_type,
    "status": status,
    "labels": labels,
    "agent_state": agent_state,
}
