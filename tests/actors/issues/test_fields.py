"""What may be set in an issue: everything else is refused, with the name of the field."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.errors import ValidationError
from actors.issues.writing import fields, revision
from storage.issues import jsonl
from storage.issues.fields import ISSUE, Kind

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CYCLE: list[Any] = []
CYCLE.append(CYCLE)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("title", ""),
        ("title", " \n"),
        ("title", None),
        ("title", 5),
        ("title", "x" * 501),
        ("title", "é" * 251),
        ("title", "nul\0"),
        ("title", "half \ud83d"),
        ("description", "nul\0"),
        ("description", ["text"]),
        ("notes", "half \udc00"),
        ("notes", "x" * (fields.TEXT_BYTES + 1)),
        ("priority", 5),
        ("priority", -1),
        ("priority", 10**30),
        ("priority", 2.0),
        ("priority", math.nan),
        ("priority", True),
        ("priority", "high"),
        ("priority", "P5"),
        ("priority", "²"),
        ("priority", None),
        ("status", "tombstone"),
        ("status", "Deleted"),
        ("status", ""),
        ("status", None),
        ("status", "x" * 51),
        ("issue_type", " "),
        ("issue_type", "x" * 51),
        ("issue_type", None),
        ("estimated_minutes", -1),
        ("estimated_minutes", True),
        ("estimated_minutes", 1.5),
        ("estimated_minutes", 10**30),
        ("timeout", -5),
        ("timeout", "1h"),
        ("due_at", "tomorrow"),
        ("due_at", 1700000000),
        ("due_at", "2026-02-30T00:00:00Z"),
        ("defer_until", "2026-02-28T00:00:00Z"),
        ("defer_until", "2026-03-01T00:00:00Z"),
        ("labels", "one"),
        ("labels", ["ok", " "]),
        ("labels", [None]),
        ("labels", ["x" * 256]),
        ("labels", ["half \ud83d"]),
        ("labels", 5),
        ("waiters", {"a": 1, 5: 2}),
        ("pinned", 1),
        ("pinned", "true"),
        ("ephemeral", "no"),
        ("quality_score", math.nan),
        ("quality_score", math.inf),
        ("quality_score", True),
        ("quality_score", "1"),
        ("metadata", math.nan),
        ("metadata", {"a": [math.inf]}),
        ("metadata", {"a": "half \ud83d"}),
        ("metadata", {"half \ud83d": 1}),
        ("metadata", {"nul\0": 1}),
        ("metadata", {1: "no text"}),
        ("metadata", {"a": {1, 2}}),
        ("metadata", {"a": b"bytes"}),
        ("metadata", {"a": object()}),
        ("metadata", 10**2000),
        ("metadata", deep(200)),
        ("metadata", CYCLE),
        ("metadata", ["x" * 200_000] * 6),
        ("creator", []),
        ("creator", {"name": math.nan}),
        ("validations", {}),
        ("validations", [1]),
        ("validations", "text"),
        ("bonded_from", [{"source_id": "\0"}]),
        ("agent_state", "bored"),
        ("id", "x-1"),
        ("created_at", "2026-01-01T00:00:00Z"),
        ("updated_at", None),
        ("closed_at", "2026-01-01T00:00:00Z"),
        ("dependencies", []),
        ("comments", []),
        ("deleted_at", None),
        ("no_such_field", 1),
        ("Title", "x"),
    ],
)
def test_what_a_field_cannot_hold_is_refused_with_its_name(field: str, bad: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        fields.checked({field: bad}, NOW)
    assert refusal.value.field == field


@pytest.mark.parametrize("bad", [None, "title", [("title", "x")], {5: 1}, {"x" * 300: 1}])
def test_fields_that_are_none_are_refused(bad: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        fields.checked(bad, NOW)
    assert refusal.value.field == "fields"


@pytest.mark.parametrize(
    ("field", "given_as", "kept"),
    [
        ("title", "é" * 250, "é" * 250),
        ("priority", "P0", 0),
        ("priority", "4", 4),
        ("issue_type", "Feat", "feature"),
        ("issue_type", "mr", "merge-request"),
        ("issue_type", "Ritual", "ritual"),
        ("status", "In_Progress", "in_progress"),
        ("labels", ("b", "a", "b"), ["a", "b"]),
        ("estimated_minutes", 0, 0),
        ("due_at", "2020-01-01T00:00:00.500Z", "2020-01-01T00:00:00.5Z"),
        ("defer_until", "2026-03-01T01:00:00.1+01:00", "2026-03-01T01:00:00.1+01:00"),
        ("metadata", {"a": (1, 2.5, None)}, {"a": [1, 2.5, None]}),
        ("metadata", 2**4096 - 1, 2**4096 - 1),
        ("quality_score", 0, 0),
        ("agent_state", "", ""),
        ("description", None, None),
        ("labels", None, None),
    ],
)
def test_what_is_meant_is_kept_as_the_format_says_it(
    field: str, given_as: object, kept: object
) -> None:
    assert fields.checked({field: given_as}, NOW) == {field: kept}


def test_every_field_is_set_by_somebody_or_by_the_verbs() -> None:
    assert ISSUE.keys() >= fields.FIXED
    for name in ISSUE.keys() - fields.FIXED - fields.NEEDED:
        assert fields.checked({name: None}, NOW) == {name: None}


KIND_VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: st.text(max_size=40),
    Kind.TIME: st.just("2027-01-01T00:00:00Z") | st.text(max_size=30),
    Kind.INTEGER: st.integers(),
    Kind.NUMBER: st.floats() | st.integers(),
    Kind.FLAG: st.booleans() | st.none(),
    Kind.WORDS: st.lists(st.text(max_size=10), max_size=3),
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_passes_can_be_written_and_read_again(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(ISSUE)), unique=True, max_size=6))
    row: dict[str, Any] = {"title": "T"}
    for name in names:
        value = data.draw(KIND_VALUES.get(ISSUE[name].kind, ANYTHING) | ANYTHING)
        try:
            row |= fields.checked({name: value}, NOW)
        except ValidationError as err:
            assert err.field == name  # noqa: PT017 - not every value is refused
    row = {name: value for name, value in row.items() if name not in ("status", "close_reason")}
    row.pop("closed_by_session", None)
    born = revision.born(row, issue_id="x-1", actor="me", at="2026-03-01T00:00:00Z")
    line = jsonl.encode(born)
    assert jsonl.encode(jsonl.parse(line)) == line
