import json
import math
import re
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import PayloadError
from storage.payload import (
    DEEPEST,
    SHORT_BYTES,
    decode,
    decode_all,
    encode,
    plain_text,
    short_text,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(JSON)
def test_a_value_comes_back_as_it_went_in(value: object) -> None:
    assert decode(encode(value)) == value


@given(JSON)
def test_a_stored_value_is_json_with_its_version_in_front(value: object) -> None:
    assert json.loads(encode(value)) == [1, value]


def test_equal_mappings_have_equal_texts() -> None:
    assert encode({"a": 1, "b": 2}) == encode({"b": 2, "a": 1}) == '[1,{"a":1,"b":2}]'


def test_a_tuple_comes_back_as_a_list() -> None:
    assert decode(encode({"a": (1, (2,))})) == {"a": [1, [2]]}


def test_sql_can_look_inside() -> None:
    conn = sqlite3.connect(":memory:")
    found = conn.execute("SELECT json_extract(?, '$[1].name')", (encode({"name": "ü"}),))
    assert found.fetchone() == ("ü",)
    conn.close()


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (math.nan, r"\$"),
        ({"steps": [0, {"cost": math.inf}]}, r"\$\.steps\[1\]\.cost"),
        ({"a": {1: 2}}, r"\$\.a: the key 1"),
        ({"a": [{None: 2, "b": 3}]}, r"\$\.a\[0\]: the key None"),
        ([{"a": ({2: 2},)}], r"\$\[0\]\.a\[0\]: the key 2"),
        ({"a": {3, 4}}, r"\$\.a: set"),
        (object(), r"\$: object"),
        ({"a": b"bytes"}, r"\$\.a: bytes"),
        ({"a": ["\ud800"]}, r"\$\.a\[0\].*surrogate"),
        ({"\udfff": 1}, r"\$: the key .*surrogate"),
    ],
)
def test_what_is_not_json_is_refused_and_its_place_named(value: object, where: str) -> None:
    with pytest.raises(PayloadError, match=where):
        encode(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: dict[str, object] = {"a": 1}
    value["b"] = [value, value]
    with pytest.raises(PayloadError, match=r"\$\.b\[0\]: the value contains itself"):
        encode(value)


def test_nesting_without_end_is_refused() -> None:
    value: list[object] = []
    for _ in range(DEEPEST + 10):
        value = [value]
    with pytest.raises(PayloadError, match="deep"):
        encode(value)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "[1,2,3]", '"x"', "[NaN,1]", "[1,NaN]", '["1",2]']
)
def test_a_text_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(PayloadError):
        decode(text)


@given(st.lists(JSON))
def test_many_values_come_back_as_each_of_them_does(values: list[object]) -> None:
    assert decode_all([encode(value) for value in values]) == values


@pytest.mark.parametrize("text", ["", "[2,0]", "[1,0],[1,0]", '"1a"', "[1", "[1,NaN]", "7"])
def test_one_of_many_that_is_not_ours_is_refused_as_it_is_alone(text: str) -> None:
    with pytest.raises(PayloadError) as alone:
        decode(text)
    for texts in ([text], [encode(1), text], [text, encode(1)]):
        with pytest.raises(PayloadError, match=re.escape(str(alone.value))):
            decode_all(texts)


def test_spaces_around_a_stored_value_are_nothing() -> None:
    assert decode(" [1,2] ") == decode("[1, 2]\n") == 2


def test_a_form_of_a_newer_program_is_refused_with_its_number() -> None:
    with pytest.raises(PayloadError, match="form 2"):
        decode("[2,{}]")


@given(st.text())
def test_any_text_has_a_form_that_can_be_stored(text: str) -> None:
    assert decode(encode(plain_text(text))) == plain_text(text)


@given(TEXT)
def test_text_that_can_be_stored_stays_as_it_is(text: str) -> None:
    assert plain_text(text) == text


def test_half_of_a_pair_is_written_out_and_what_is_no_text_becomes_one() -> None:
    assert plain_text("a\udcffb") == r"a\udcffb"
    assert plain_text(3) == "3"


@pytest.mark.parametrize("letter", ["y", "é", "🙂", "\udcff"])
def test_a_text_that_is_too_long_is_cut_once_and_says_how_long_it_was(letter: str) -> None:
    whole = plain_text(letter * 100_000)
    cut = short_text(whole)
    assert cut.endswith(f"… ({len(whole)} characters)")
    assert whole.startswith(cut.rpartition("…")[0])
    assert SHORT_BYTES - 4 < len(cut.encode()) <= SHORT_BYTES
    assert short_text(cut) == cut


@pytest.mark.parametrize("text", ["y" * SHORT_BYTES, "é" * (SHORT_BYTES // 2), "", "why"])
def test_a_text_that_is_short_enough_is_not_cut(text: str) -> None:
    assert short_text(text) == text
