from typing import Any

import pytest
from pydantic import ValidationError

from actors.agents.research.messages import ResearchRequest


def request(**variables: Any) -> ResearchRequest:
    return ResearchRequest.model_validate({"question": "Which one?", **variables})


def test_a_question_may_be_called_query() -> None:
    assert ResearchRequest.model_validate({"query": "Which one?"}).question == "Which one?"


def test_candidates_are_a_list_or_one_string_and_each_counts_once() -> None:
    assert request(candidates=["A_b", "a-B", "c"]).candidates == ("a-b", "c")
    assert request(candidates=" A_b , c,").candidates == ("a-b", "c")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"candidate": "x"}, "Extra inputs"),
        ({"candidates": 5}, "list of names"),
        ({"candidates": ["a b"]}, "not the name of a distribution"),
        ({"candidates": [f"n{number}" for number in range(21)]}, "at most 20"),
        ({"weights": {"speed": 1}}, "relevance"),
        ({"weights": {"typed": -1}}, "greater than or equal to 0"),
        ({"weights": {"typed": float("nan")}}, "finite"),
        ({"question": ""}, "at least 3"),
        ({"policy": {"allow": [""]}}, "at least 1"),
        ({"policy": {"permit": ["MIT"]}}, "Extra inputs"),
        ({"policy": "MIT"}, "dictionary"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(
    variables: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        request(**variables)


def test_weights_that_leave_nothing_to_compare_are_refused() -> None:
    criteria = (
        "relevance maintenance cadence python wheels licence dependencies maturity typed "
        "async_fit in_use"
    )
    with pytest.raises(ValidationError, match="at least one above 0"):
        request(weights=dict.fromkeys(criteria.split(), 0))


def test_a_request_survives_being_stored() -> None:
    asked = request(candidates="a,b", weights={"typed": 2})
    assert ResearchRequest.model_validate_json(asked.model_dump_json()) == asked
