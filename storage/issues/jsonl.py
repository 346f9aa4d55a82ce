"""The codec of the published file: one issue, one JSON line, byte for byte as bd v0.49.6 has it.

What is read is kept: unknown keys, legacy keys, the text of every time, the spelling of every
number. What is written is bd's: its key order, its rules for leaving empty values out, and the
escapes of Go's encoder (`&`, `<`, `>`, U+2028 and U+2029), everything else outside ASCII raw.
A line that is no issue is refused with a reason (`BadLineError`), never a crash; `published.py`
decides what becomes of it. Row order, duplicates and files are not this module's business.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from storage.issues import instants, numbers
from storage.issues.checks import BadLineError, checked, mended
from storage.issues.fields import ISSUE, PARTS, Field, Keep, Kind

Row = dict[str, Any]
"""One issue as its published record: known keys, then whatever else its line held."""

_ESCAPES = {
    "&": "\\u0026",
    "<": "\\u003c",
    ">": "\\u003e",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_ESCAPED = re.compile("[&<>\u2028\u2029]")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_ZERO: Final[dict[Kind, Any]] = {Kind.TEXT: "", Kind.TIME: instants.ZERO, Kind.INTEGER: 0}


def parse(line: bytes | str) -> Row:
    """Read one line.

    Raises:
        BadLineError: it is not UTF-8, not JSON, not an object with an id, nested deeper than
            `checks.MAX_DEPTH`, or a known key holds a value of another kind.
    """
    try:
        text = line.decode() if isinstance(line, bytes) else line
        value = _DECODER.decode(text.strip(" \t\r\n"))
    except UnicodeDecodeError as err:
        raise BadLineError("it is not UTF-8") from err
    except RecursionError as err:
        raise BadLineError("it is nested too deep") from err
    except ValueError as err:
        raise BadLineError(f"it is not JSON: {err}") from err
    return checked(mended(value, text))


def parse_written(line: str) -> Row:
    """Read a line that `encode` wrote, to be written again: its row was checked before.

    Raises:
        ValueError: it is damaged.
    """
    row: Row = _DECODER.decode(line)
    return row


def parse_stored(line: str) -> Row:
    """Read a line that `encode` wrote: many times faster, since it was checked before.

    Numbers may be spelled in another way than they were; what is read so is not written again.
    """
    row: Row = json.loads(line)
    return row


def encode(row: Mapping[str, Any]) -> bytes:
    """Write one row as a line without its newline."""
    return encode_text(row).encode()


def encode_text(row: Mapping[str, Any]) -> str:
    shaped = shape(row)
    if shaped.keys() <= _PLAIN:
        return _escape(_ENCODER.encode(shaped))
    return spell(shaped)


def spell(value: Any) -> str:
    """Write any JSON value as it stands inside a line."""
    return _escape("".join(_spell(value)))


def shape(row: Mapping[str, Any]) -> Row:
    """Return the row as it will be written: keys in order, empty values left out."""
    shaped = _ordered(row, ISSUE)
    for name, table in PARTS.items():
        if name in shaped:
            shaped[name] = [_ordered(part, table) for part in shaped[name]]
    return shaped


def _ordered(record: Mapping[str, Any], table: Mapping[str, Field]) -> Row:
    ordered = {}
    for name, field in table.items():
        if name not in record and field.keep is not Keep.ALWAYS:
            continue  # most are not
        value = record.get(name)
        if field.keep is Keep.ALWAYS and value is None:
            value = _ZERO[field.kind]
        if _is_written(field, value):
            ordered[name] = value
    ordered.update((name, value) for name, value in record.items() if name not in table)
    return ordered


def _is_written(field: Field, value: Any) -> bool:
    match field.keep:
        case Keep.ALWAYS:
            return True
        case Keep.SET:
            return value is not None
        case Keep.FILLED:
            return bool(value) or (field.kind is Kind.RAW and value is not None and value != {})


def _escape(text: str) -> str:
    # These characters occur in JSON only inside strings, so the whole line can be replaced at once.
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], text)


_PLAIN = {name for name, field in ISSUE.items() if field.kind not in (Kind.RAW, Kind.NUMBER)} - {
    "bonded_from",
    "creator",
    "validations",
}
"""Keys whose values hold no fraction: the C encoder writes them as Go does, and much faster."""


def _spell(value: Any) -> Iterator[str]:
    """Write any JSON value with Go's numbers, which the C encoder cannot be taught."""
    match value:
        case dict():
            for index, (name, inner) in enumerate(value.items()):
                yield ("," if index else "{") + _ENCODER.encode(name) + ":"
                yield from _spell(inner)
            yield "}" if value else "{}"
        case list() | tuple():
            for index, inner in enumerate(value):
                yield "," if index else "["
                yield from _spell(inner)
            yield "]" if value else "[]"
        case float():
            yield numbers.spell(value)
        case _:
            yield _ENCODER.encode(value)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(
    parse_float=numbers.read, parse_int=numbers.read_whole, parse_constant=_refuse_constant
)
