from typing import Any

import pytest
from pydantic import ValidationError

from actors.agents.research.compare import compare
from actors.agents.research.compare_messages import CompareRequest, Comparison

OPTIONS = ("left", "right")
CRITERIA = (
    {"name": "speed", "weight": 2.0, "better": "lower"},
    {"name": "words", "weight": 1.0},
)
VALUES = (
    {"option": "left", "criterion": "speed", "value": 10, "reason": "ms", "evidence": ["E1"]},
    {"option": "right", "criterion": "speed", "value": 30, "evidence": ["E1"]},
    {"option": "left", "criterion": "words", "score": 0.2},
    {"option": "right", "criterion": "words", "score": 0.9, "reason": "*plain*"},
)
EVIDENCE = ({"id": "E1", "source": "bench", "statement": "Measured 10 and 30 ms."},)


def asked(**more: Any) -> CompareRequest:
    given = {
        "question": "Which way?",
        "options": OPTIONS,
        "criteria": CRITERIA,
        "values": VALUES,
        "evidence": EVIDENCE,
        **more,
    }
    return CompareRequest.model_validate(given)


def compared(**more: Any) -> Comparison:
    return compare(asked(**more))


def scores(made: Comparison) -> dict[tuple[str, str], float | None]:
    return {(entry.candidate, entry.criterion): entry.score for entry in made.matrix}


def test_the_weighted_mean_decides() -> None:
    made = compared()
    assert made.chosen == "left"
    assert [(r.candidate, r.score) for r in made.ranking] == [("left", 0.733), ("right", 0.3)]
    assert made.summary == "Choose left: it scores 0.73, right comes next with 0.30."


def test_the_best_measured_value_is_one_and_the_worst_is_zero() -> None:
    found = scores(compared())
    assert (found["left", "speed"], found["right", "speed"]) == (1.0, 0.0)


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize("pair", [(1e308, -1e308), (5e-324, 0.0), (1.0, 1.0)])
def test_values_of_any_size_become_scores(pair: tuple[float, float], better: str) -> None:
    criteria = [{"name": "speed", "better": better}]
    values = [
        {"option": option, "criterion": "speed", "value": value}
        for option, value in zip(OPTIONS, pair, strict=True)
    ]
    found = set(scores(compared(criteria=criteria, values=values)).values())
    assert found == ({1.0} if pair[0] == pair[1] else {0.0, 1.0})


def test_what_the_first_place_hangs_on_is_said_with_its_evidence() -> None:
    (claim,) = compared().sensitivity
    assert claim.text == "Without speed, right would be first (0.90)."
    assert claim.evidence == ("E1",)


def test_what_is_not_known_lowers_the_confidence_and_not_the_score() -> None:
    made = compared(values=VALUES[:3])
    assert scores(made)["right", "words"] is None
    assert made.confidence < compared().confidence


def test_an_option_with_an_obstacle_is_not_chosen() -> None:
    made = compared(obstacles={"left": ["it needs a licence"], "right": ["it is gone"]})
    assert made.chosen is None
    assert "it needs a licence" in made.summary
    assert compared(obstacles={"left": ["it needs a licence"]}).chosen == "right"


def test_equal_options_are_not_decided_between() -> None:
    values = [{"option": option, "criterion": "words", "score": 0.5} for option in OPTIONS]
    made = compared(criteria=CRITERIA[1:], values=values)
    assert (made.chosen, "come out equal" in made.summary) == (None, True)


def test_one_option_and_nothing_known_are_said_to_be_that() -> None:
    assert "nothing is known" in compared(values=()).summary
    only = compared(options=("left",), values=VALUES[::2])
    assert (only.chosen, "only option" in only.summary) == ("left", True)


def test_the_page_shows_the_matrix_and_escapes_what_it_was_given() -> None:
    page = compared().markdown
    assert "| speed | 2 | 1.00 | 0.00 |" in page
    assert r"right, words: \*plain\*" in page
    assert "- [E1] Measured 10 and 30 ms. (bench)" in page
    assert compared().markdown == page


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"options": ("left", "left")}, "option 'left' is given twice"),
        ({"options": ("left",)}, "there is no option 'right'"),
        ({"criteria": CRITERIA[:1]}, "there is no criterion 'words'"),
        ({"evidence": ()}, "there is no evidence 'E1'"),
        ({"values": (*VALUES, VALUES[0])}, "value 'left on speed' is given twice"),
        ({"values": ({"option": "left", "criterion": "speed"},)}, "give a score or a value"),
        ({"criteria": [{"name": c, "weight": 0} for c in ("speed", "words")]}, "weight 0"),
        ({"obstacles": {"up": ["x"]}}, "there is no option 'up'"),
        ({"options": ()}, "at least 1"),
        ({"criteria": [{"name": "speed", "weight": -1}]}, "greater than or equal to 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        asked(**more)
