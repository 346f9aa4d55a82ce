"""Histories as documents: written, read back, and refused with the place."""

import json
from pathlib import Path
from typing import Any

import pytest

from actors.workflows.document import (
    DamagedDocument,
    DocumentError,
    ForeignDocument,
    NewerDocument,
    read,
    write,
)
from actors.workflows.history import Kind
from tests.support import histories

GOLDEN = histories.files()
TEXT = (histories.GOLDEN / "golden_runs-v1.json").read_text("utf-8")


def changed(**fields: Any) -> dict[str, Any]:
    return {**json.loads(TEXT), **fields}


def with_event(number: int, **fields: Any) -> dict[str, Any]:
    found = json.loads(TEXT)
    found["events"][number - 1].update(fields)
    return dict(found)


def without(where: str, name: str) -> dict[str, Any]:
    found = json.loads(TEXT)
    place = found if not where else found["events"][1] if where == "event" else found[where]
    del place[name]
    return dict(found)


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
def test_what_is_written_is_read_back_the_same_to_the_byte(path: Path) -> None:
    text = path.read_text("utf-8")
    assert write(read(text)) == text


def test_the_last_run_begins_where_the_workflow_continued_as_new_for_the_last_time() -> None:
    found = read(TEXT)
    assert found.run == 3
    assert found.last_run[0].kind is Kind.WORKFLOW_CONTINUED_AS_NEW
    assert [e.kind for e in found.last_run].count(Kind.WORKFLOW_CONTINUED_AS_NEW) == 1


def test_a_document_holds_one_event_a_line() -> None:
    lines = [line for line in TEXT.splitlines() if '"seq":' in line]
    assert len(lines) == len(read(TEXT).events)
    assert json.loads(lines[0].rstrip(","))["payload"]["version"] == 1


def test_a_field_that_a_later_program_adds_is_passed_over() -> None:
    assert read(json.dumps(with_event(1, colour="red") | {"colour": "red"})) == read(TEXT)


@pytest.mark.parametrize(
    ("found", "kind", "words"),
    [
        ("", ForeignDocument, "no JSON"),
        ("[" * 100_000, ForeignDocument, "no JSON"),
        ([], ForeignDocument, "beadflow-history"),
        (changed(format="other"), ForeignDocument, "beadflow-history"),
        (TEXT[:500], DamagedDocument, "cut off or broken"),
        (changed(version=2), NewerDocument, "version 2, this program reads up to 1"),
        (changed(version=0), DamagedDocument, "its version is 0"),
        (changed(version=True), DamagedDocument, "no whole number"),
        (changed(events={}), DamagedDocument, "no list"),
        (changed(events=[]), DamagedDocument, "its first event is not workflow_started"),
        (changed(events=[3]), DamagedDocument, "event 1 is no object"),
        (with_event(1, kind="workflow_failed"), DamagedDocument, "its first event is not"),
        (with_event(3, kind="workflow_dreamt"), NewerDocument, "event 3 is of the kind"),
        (with_event(3, seq=4), DamagedDocument, "event 3 has the number 4"),
        (with_event(3, op=1), DamagedDocument, "event 3: 'op' is 1, no text"),
        (without("event", "payload"), DamagedDocument, "event 2 lacks 'payload'"),
        (without("event", "at"), DamagedDocument, "event 2 lacks 'at'"),
        (without("workflow", "input"), DamagedDocument, "its workflow lacks 'input'"),
        (without("workflow", "name"), DamagedDocument, "its workflow lacks 'name'"),
        (without("", "events"), DamagedDocument, "the document lacks 'events'"),
        (TEXT.replace('"parent": null', '"parent": {"id": 1, "op": ""}'), DamagedDocument, "'id'"),
        (TEXT.replace('"message_id": "letter', '"message_id": "\\ud800'), DamagedDocument, "event"),
    ],
)
def test_what_is_no_history_is_refused_with_the_place(
    found: Any, kind: type[DocumentError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        read(found if isinstance(found, str) else json.dumps(found))
