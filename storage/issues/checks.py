"""What a line must be to be an issue: an object with an id, its known keys of the right kinds.

Unknown keys may hold anything that is not nested too deep to be written again. Called by the codec
on each line it reads; which keys are known is `fields.py`'s to say.
"""

import re
from typing import Any, Final

from storage.issues import instants
from storage.issues.fields import ISSUE, PARTS, Field, Kind

MAX_DEPTH: Final = 100
_LARGEST = 2**63 - 1
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class BadLineError(ValueError):
    """The line cannot be read as an issue; the text says why."""


def mended(value: Any, text: str) -> Any:
    r"""Replace halves of surrogate pairs (`\ud83d` alone) by U+FFFD, as Go's decoder does."""
    if "\\ud" not in text.lower():
        return value
    return _mend(value, 0)


def _mend(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise BadLineError("it is nested too deep")
    match value:
        case str():
            return _LONE_SURROGATE.sub("\ufffd", value)
        case list():
            return [_mend(inner, depth + 1) for inner in value]
        case dict():
            return {_mend(k, depth + 1): _mend(v, depth + 1) for k, v in value.items()}
        case _:
            return value


def checked(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadLineError("it is not an object")
    if not value.get("id"):
        raise BadLineError("it has no id")
    for name, inner in value.items():
        field = ISSUE.get(name)
        if field is None or field.kind is Kind.RAW:
            _check_depth(inner, 1)
        elif inner is not None:
            _check(field, inner)
    for name, table in PARTS.items():
        for part in value.get(name) or ():
            for key, inner in part.items():
                if key not in table:
                    _check_depth(inner, 2)
                elif inner is not None:
                    _check(table[key], inner)
    return value


def _check(field: Field, value: Any) -> None:
    if not _fits(field.kind, value):
        raise BadLineError(f"{field.name} is not {field.kind.value}")
    if field.kind in (Kind.RECORD, Kind.RECORDS):
        _check_depth(value, 1)


def _fits(kind: Kind, value: Any) -> bool:
    match kind:
        case Kind.TEXT:
            return isinstance(value, str)
        case Kind.TIME:
            return isinstance(value, str) and _is_time(value)
        case Kind.INTEGER:
            return _is_int(value) and abs(value) <= _LARGEST
        case Kind.NUMBER:
            return _is_int(value) or isinstance(value, float)
        case Kind.FLAG:
            return isinstance(value, bool)
        case Kind.WORDS:
            return isinstance(value, list) and all(isinstance(word, str) for word in value)
        case Kind.RECORDS:
            return isinstance(value, list) and all(isinstance(part, dict) for part in value)
        case Kind.RECORD:
            return isinstance(value, dict)
        case Kind.RAW:
            return True


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time(text: str) -> bool:
    try:
        instants.to_ns(text)
    except ValueError:
        return False
    return True


def _check_depth(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BadLineError("it is nested too deep")
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return
    for inner in value:
        _check_depth(inner, depth + 1)
