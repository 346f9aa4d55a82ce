"""Specs are checked when they are made, and the error names the bad value."""

from typing import Any

import pytest

from supervision import Actor, ChildSpec, SpecError, supervisor

from .support import probe


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("id", "", "id must be text without a slash, not ''"),
        ("id", "a/b", "id must be text without a slash, not 'a/b'"),
        ("build", 3, "build must be callable, not 3"),
        (
            "restart",
            "always",
            "restart must be one of permanent, transient, temporary, not 'always'",
        ),
        ("shutdown_s", 0, "shutdown_s must be above 0, not 0"),
        ("shutdown_s", float("nan"), "shutdown_s must be above 0, not nan"),
        ("name", "", "name must be text or None, not ''"),
        ("significant", True, "a permanent child cannot be significant"),
    ],
)
def test_a_bad_value_in_a_child_spec_is_named(field: str, value: Any, text: str) -> None:
    good: dict[str, Any] = {"id": "a", "build": Actor}
    with pytest.raises(SpecError, match=text):
        ChildSpec(**{**good, field: value})


def test_an_unknown_strategy_is_named() -> None:
    strategy: Any = "all_for_one"
    with pytest.raises(SpecError, match=r"strategy must be one of .*, not 'all_for_one'"):
        supervisor("top", strategy, [])


def test_an_unknown_auto_shutdown_is_named() -> None:
    auto: Any = "sometimes"
    with pytest.raises(SpecError, match=r"auto_shutdown must be one of .*, not 'sometimes'"):
        supervisor("top", "one_for_one", [], auto_shutdown=auto)


def test_siblings_must_not_share_an_id() -> None:
    twins = [ChildSpec(id="a", build=Actor), ChildSpec(id="a", build=Actor)]
    with pytest.raises(SpecError, match="supervisor top: id 'a' occurs 2 times"):
        supervisor("top", "one_for_one", twins)


def test_a_name_must_not_occur_twice_in_a_tree() -> None:
    below = supervisor("below", "one_for_one", [probe("a")])
    with pytest.raises(SpecError, match="supervisor top: name 'a' occurs 2 times"):
        supervisor("top", "one_for_one", [probe("a"), below])
