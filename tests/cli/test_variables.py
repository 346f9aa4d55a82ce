import pytest

from cli import variables
from cli.exits import ExitCode
from cli.problem import Problem


def test_a_value_is_text_even_when_it_looks_like_something_else() -> None:
    assert variables.parse(["count=3", "candidates=a,b"]) == {"count": "3", "candidates": "a,b"}


def test_only_the_first_equals_sign_separates() -> None:
    assert variables.parse(["url=http://x/?a=b"]) == {"url": "http://x/?a=b"}


def test_a_value_may_be_empty() -> None:
    assert variables.parse(["note="]) == {"note": ""}


def test_a_colon_before_the_equals_sign_announces_json() -> None:
    assert variables.parse(['depth:={"max": 3}', "fast:=true"]) == {
        "depth": {"max": 3},
        "fast": True,
    }


def test_a_repeated_name_makes_a_list() -> None:
    assert variables.parse(["c=a", "c=b", "c:=1"]) == {"c": ["a", "b", 1]}


@pytest.mark.parametrize("wrong", ["question", "=x", ":=1", "", "n:=NaN", "n:={", "n:="])
def test_what_is_no_assignment_is_refused_as_wrong_usage(wrong: str) -> None:
    with pytest.raises(Problem) as refused:
        variables.parse([wrong])
    assert refused.value.exit_code is ExitCode.USAGE
