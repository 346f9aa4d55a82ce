"""Reading a whole published file, whatever state it is in.

One bad line never costs the others: it is set aside with its number and reason, its bytes kept.
Rows with the same id (a union merge leaves those) and both sides of a committed conflict merge;
a `|||||||` section gives such a merge its base. How two rows merge is the caller's to say.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from storage.issues import jsonl
from storage.issues.checks import BadLineError
from storage.issues.jsonl import Row

Merge = Callable[[Row | None, Row, Row], Row]
Parse = Callable[[bytes], Row]
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SECTIONS = {b"<<<<<<<": "ours", b"|||||||": "base", b"=======": "theirs", b">>>>>>>": "outside"}


@dataclass(frozen=True, slots=True)
class Quarantined:
    line: int
    reason: str
    raw: bytes


@dataclass(slots=True)
class Loaded:
    """What a file holds: rows by id in file order, and everything that was odd about it."""

    rows: dict[str, Row] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    duplicates: int = 0
    conflict_markers: list[int] = field(default_factory=list)


def load(data: bytes, merge: Merge, parse: Parse = jsonl.parse) -> Loaded:
    loaded, bases, section = Loaded(), dict[str, Row](), "outside"
    for number, raw in enumerate(data.removeprefix(_BYTE_ORDER_MARK).split(b"\n"), start=1):
        marker = _marker(raw)
        if marker is not None:
            section = marker
            loaded.conflict_markers.append(number)
        elif raw.strip():
            try:
                row = parse(raw)
            except BadLineError as err:
                loaded.quarantined.append(Quarantined(number, str(err), raw))
            else:
                _take(loaded, bases, section, row, merge)
    return loaded


def _marker(raw: bytes) -> str | None:
    section = _SECTIONS.get(raw[:7])
    return section if section and raw[7:8] in (b"", b" ", b"\r") else None


def _take(loaded: Loaded, bases: dict[str, Row], section: str, row: Row, merge: Merge) -> None:
    issue_id = row["id"]
    if section == "base":
        bases[issue_id] = row
    elif issue_id in loaded.rows:
        loaded.duplicates += 1
        loaded.rows[issue_id] = merge(bases.get(issue_id), loaded.rows[issue_id], row)
    else:
        loaded.rows[issue_id] = row
