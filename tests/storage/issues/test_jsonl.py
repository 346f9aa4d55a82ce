"""The codec: what bd wrote comes out as bd wrote it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.issues import jsonl
from storage.issues.checks import BadLineError
from storage.issues.fields import ISSUE, Kind

DATA = Path(__file__).parents[4] / "shared" / "data" / "beads"
STAMPS = '"priority":2,"created_at":"2026-11-22T06:52:24Z","updated_at":"2026-11-22T06:52:24Z"'
WRITTEN_BY_BD = [
    r'{"id":"tt-3ij","title":"Second","description":"desc \u0026 \u003cx\u003e","status":"open","priority":2,"issue_type":"task","owner":"a@b.c","created_at":"2026-11-22T06:52:24.88264461Z","created_by":"tester","updated_at":"2026-11-22T06:52:24.88264461Z","labels":["a","b"],"dependencies":[{"issue_id":"tt-3ij","depends_on_id":"tt-9lw","type":"blocks","created_at":"2026-11-22T06:52:24.960481663Z","created_by":"tester"}]}',  # noqa: E501 - one line of the format
    r'{"id":"tt-9lw","title":"First","priority":2,"created_at":"2026-11-22T06:52:24Z","updated_at":"2026-11-22T06:52:24Z","comments":[{"id":1,"issue_id":"tt-9lw","author":"tester","text":"hello","created_at":"2026-11-22T06:52:25Z"}]}',
    r'{"id":"tt-u71","title":"X","status":"tombstone","priority":2,"created_at":"2026-11-22T06:52:24Z","updated_at":"2026-11-22T06:52:24Z","close_reason":"Closed","deleted_at":"2026-11-22T06:52:26Z","deleted_by":"tester","delete_reason":"delete","original_type":"task"}',
]


def line(extra: str = "") -> str:
    return f'{{"id":"x-1","title":"T",{STAMPS}{extra}}}'


@pytest.mark.parametrize("written", WRITTEN_BY_BD)
def test_a_line_of_bd_survives_reading_and_writing_byte_for_byte(written: str) -> None:
    assert jsonl.encode(jsonl.parse(written)) == written.encode()


def test_every_line_of_the_real_tracker_survives_byte_for_byte() -> None:
    file = DATA / "tracker-5722.jsonl"
    if not file.exists():
        pytest.skip(f"the real data is not at {file}")
    lines = file.read_bytes().splitlines()
    assert [row for row in lines if jsonl.encode(jsonl.parse(row)) != row] == []
    assert len(lines) == 5722


def test_keys_are_written_in_the_order_of_the_format_and_unknown_ones_after_them_as_read() -> None:
    row = jsonl.parse('{"zeta":1,"title":"T","alpha":null,"status":"open","id":"x-1","priority":1}')
    names = list(json.loads(jsonl.encode(row)))
    assert names == [
        *("id", "title", "status", "priority", "created_at", "updated_at"),
        *("zeta", "alpha"),
    ]


@pytest.mark.parametrize(
    "empty",
    [
        '"notes":""',
        '"pinned":false',
        '"labels":[]',
        '"metadata":{}',
        '"assignee":null',
        '"timeout":0',
    ],
)
def test_an_empty_value_is_left_out(empty: str) -> None:
    assert jsonl.encode_text(jsonl.parse(line(f",{empty}"))) == line()


@pytest.mark.parametrize("kept", ['"estimated_minutes":0', '"external_ref":""', '"metadata":[]'])
def test_a_value_that_is_empty_but_set_is_kept(kept: str) -> None:
    assert kept in jsonl.encode_text(jsonl.parse(line(f",{kept}")))


def test_priority_zero_is_written_and_a_missing_one_reads_as_zero() -> None:
    row = jsonl.parse('{"id":"x-1","title":"T"}')
    assert '"priority":0' in jsonl.encode_text(row)


def test_go_escapes_five_characters_and_leaves_the_rest_of_unicode_alone() -> None:
    row = jsonl.parse(line()) | {"title": "<&>\u2028\u2029 é 😀 \x7f\t\x01"}
    text = jsonl.encode_text(row)
    assert r"\u003c\u0026\u003e\u2028\u2029 é 😀 " + "\x7f" + r"\t\u0001" in text


@pytest.mark.parametrize(
    "number", ["1.0", "1e5", "0.1", "1e-7", "1e+21", "-0.0", "-0", "12.50", "3"]
)
def test_a_number_in_metadata_keeps_the_spelling_it_was_read_with(number: str) -> None:
    written = line(f',"metadata":{{"deep":[{{"n":{number}}}]}}')
    assert jsonl.encode_text(jsonl.parse(written)) == written


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    row = jsonl.parse(line(r',"notes":"cut \ud83d off, whole \ud83d\ude00"'))
    assert row["notes"] == "cut \ufffd off, whole 😀"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"{", "JSON"),
        (b"[1]", "object"),
        (b'{"title":"no id"}', "no id"),
        (b'{"id":7}', "id is not text"),
        (b'{"id":"x","title":5}', "title is not text"),
        (b'{"id":"x","pinned":1}', "pinned"),
        (b'{"id":"x","priority":true}', "priority"),
        (b'{"id":"x","priority":9223372036854775808}', "priority"),
        (b'{"id":"x","labels":[1]}', "labels"),
        (b'{"id":"x","created_at":"yesterday"}', "created_at"),
        (b'{"id":"x","created_at":"2026-13-01T00:00:00Z"}', "created_at"),
        (b'{"id":"x","comments":[{"id":"c"}]}', "id is not integer"),
        (b'{"id":"x","more":NaN}', "NaN"),
        (b'{"id":"x","more":1e999}', "larger"),
        (b'{"id":"x","more":' + b"9" * 5000 + b"}", "JSON"),
        (b'{"id":"x","more":' + b"[" * 200 + b"]" * 200 + b"}", "deep"),
        (b'{"id":"x","metadata":' + b"[" * 200 + b"]" * 200 + b"}", "deep"),
        (b'{"id":"x","creator":{"a":' + b"[" * 200 + b"]" * 200 + b"}}", "deep"),
        (b'{"id":"x\\ud800","more":' + b"[" * 200 + b"]" * 200 + b"}", "deep"),
        (b"[" * 100_000, "deep"),
    ],
)
def test_a_line_that_is_no_issue_is_refused_with_a_reason(bad: bytes, reason: str) -> None:
    with pytest.raises(BadLineError, match=reason):
        jsonl.parse(bad)


def test_a_line_of_several_megabytes_is_read() -> None:
    row = jsonl.parse(line()) | {"description": "x" * 3_000_000}
    assert jsonl.parse(jsonl.encode(row)) == row


TEXT_KEYS = [name for name, field in ISSUE.items() if field.kind is Kind.TEXT]
TEXTS = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e15, 1e15) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    known=st.dictionaries(st.sampled_from(TEXT_KEYS), TEXTS),
    unknown=st.dictionaries(TEXTS.filter(lambda name: name not in ISSUE), JSON, max_size=3),
    metadata=JSON,
)
def test_whatever_a_row_holds_writing_it_again_changes_no_byte(
    known: dict[str, str], unknown: dict[str, Any], metadata: Any
) -> None:
    row = known | unknown | {"id": "x-1", "metadata": metadata}
    once = jsonl.encode(row)
    assert jsonl.encode(jsonl.parse(once)) == once
    assert b"\n" not in once
    read = jsonl.parse(once)
    assert {name: read[name] for name in unknown} == unknown


SPECIFIED = """
id title description design acceptance_criteria notes spec_id status priority issue_type assignee
owner estimated_minutes created_at created_by updated_at closed_at close_reason closed_by_session
due_at defer_until external_ref source_system metadata compaction_level compacted_at
compacted_at_commit original_size labels dependencies comments deleted_at deleted_by delete_reason
original_type sender ephemeral wisp_type pinned is_template bonded_from creator validations
quality_score crystallizes await_type await_id timeout waiters holder source_formula source_location
hook_bead role_bead agent_state last_activity role_type rig mol_type work_type event_kind actor
target payload
"""
LEGACY = {
    "content_hash": "c0ffee",
    "source_repo": ".",
    "wisp": True,
    "replies_to": "x-2",
    "relates_to": ["x-3"],
    "duplicate_of": "x-4",
    "superseded_by": "",
}
SAMPLES: dict[Kind, Any] = {
    Kind.TEXT: "t",
    Kind.TIME: "2026-11-22T06:52:24.88264461-08:00",
    Kind.INTEGER: 7,
    Kind.NUMBER: 0.5,
    Kind.FLAG: True,
    Kind.WORDS: ["w"],
    Kind.RECORD: {"z": 1, "a": 2},
    Kind.RAW: {"z": [1.0, None], "a": {}},
}


def whole() -> dict[str, Any]:
    """A row with every key there is."""
    row = {name: SAMPLES.get(field.kind) for name, field in ISSUE.items()}
    row["dependencies"] = [
        {
            "issue_id": "x-1",
            "depends_on_id": "x-2",
            "type": "own type",
            "created_at": "2026-11-22T06:52:24Z",
            "created_by": "me",
            "metadata": '{"gate":"any-children"}',
            "thread_id": "th",
            "unknown": [1],
        }
    ]
    row["comments"] = [
        {
            "id": 2**53 - 1,
            "issue_id": "x-1",
            "author": "me",
            "text": "t",
            "created_at": "2026-11-22T06:52:24Z",
            "unknown": None,
        }
    ]
    row["bonded_from"] = [{"proto_id": "p", "bond_type": "root"}, {"source_id": "s"}]
    row["validations"] = [{"validator": "v", "outcome": "accepted", "score": 0.25}]
    return row


def test_the_keys_and_their_order_are_those_of_the_format() -> None:
    order = SPECIFIED.split()
    assert list(ISSUE) == order
    assert list(json.loads(jsonl.encode(dict(reversed(whole().items()))))) == order


def test_a_row_with_every_key_survives_byte_for_byte() -> None:
    written = json.dumps(whole() | LEGACY, separators=(",", ":"))
    assert jsonl.encode_text(jsonl.parse(written)) == written


def test_keys_of_older_files_are_kept_after_the_known_ones_as_they_were_read() -> None:
    row = jsonl.parse(json.dumps({**LEGACY, "id": "x-1", "title": "T", "status": "deleted"}))
    written = json.loads(jsonl.encode(row))
    assert list(written.items())[-len(LEGACY) :] == list(LEGACY.items())
    assert written["status"] == "deleted"


@pytest.mark.parametrize("odd", ['"status":"parked"', '"issue_type":"ritual"', '"priority":-3'])
def test_a_word_or_number_of_others_never_makes_a_line_unreadable(odd: str) -> None:
    written = f'{{"id":"x-1","title":"T",{odd}}}'
    assert odd in jsonl.encode_text(jsonl.parse(written))
