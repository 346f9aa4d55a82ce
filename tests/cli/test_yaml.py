"""JSON values as YAML: no text is taken for anything else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import yaml


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (
            {"a": {}, "b": [], "c": None, "d": True, "e": 1.5},
            "a: {}\nb: []\nc: null\nd: true\ne: 1.5\n",
        ),
        ([[1, 2], {"a": [3]}], "- - 1\n  - 2\n- a:\n    - 3\n"),
        ({"k": "two words"}, "k: two words\n"),
        ({"k": "12"}, 'k: "12"\n'),
        ({"k": "Yes"}, 'k: "Yes"\n'),
        ({"k": "a: b"}, 'k: "a: b"\n'),
        ({"k": "a #b"}, 'k: "a #b"\n'),
        ({"k": "a\nb"}, 'k: "a\\nb"\n'),
        ({"k": ""}, 'k: ""\n'),
        ({"k": "2026-01-02"}, 'k: "2026-01-02"\n'),
        ({"k: x": "- a"}, '"k: x": "- a"\n'),
        ({"k": "\x1b\x9b\u202e"}, 'k: "\\u001b\\x9b\\u202e"\n'),
        ("größe", '"größe"\n'),
        ([], "[]\n"),
    ],
)
def test_a_value_is_written(value: Any, written: str) -> None:
    assert yaml.dump(value) == written


@given(st.text())
def test_a_text_is_one_line_that_steers_no_terminal(text: str) -> None:
    line = yaml.dump({"k": text}).removesuffix("\n")
    assert not any(ch < " " or "\x7f" <= ch <= "\x9f" for ch in line)
    line.encode()
