import pytest

from actors.agents.research.messages import Cell, Criterion, Ranked
from actors.agents.research.ranking import changes, confidence, mean, rank

WEIGHTS = {Criterion.PYTHON: 3.0, Criterion.LICENCE: 1.0}


def cells(**rows: tuple[float | None, float | None]) -> list[Cell]:
    return [
        Cell(candidate=name, criterion=criterion, score=score, reason="", evidence=())
        for name, row in rows.items()
        for criterion, score in zip(WEIGHTS, row, strict=True)
    ]


def order(ranking: tuple[Ranked, ...]) -> list[str]:
    return [ranked.candidate for ranked in ranking]


def test_an_unknown_fact_is_left_out_of_the_mean_and_lowers_what_is_known() -> None:
    assert mean(cells(a=(1.0, 0.0)), WEIGHTS) == (0.75, 1.0)
    assert mean(cells(a=(None, 0.5)), WEIGHTS) == (0.5, 0.25)
    assert mean(cells(a=(None, None)), WEIGHTS) == (None, 0.0)


def test_equal_candidates_are_ordered_by_name() -> None:
    rows = cells(b=(1.0, 1.0), a=(1.0, 1.0))
    assert order(rank(rows, WEIGHTS, {}, ["b", "a"])) == ["a", "b"]


def test_a_blocked_candidate_comes_after_the_others_whatever_it_scores() -> None:
    rows = cells(a=(1.0, 1.0), b=(0.1, 0.1))
    assert order(rank(rows, WEIGHTS, {"a": ("archived",)}, ["a", "b"])) == ["b", "a"]


def test_two_lucky_facts_do_not_win() -> None:
    rows = cells(lucky=(None, 1.0), known=(0.5, 0.5))
    ranking = rank(rows, WEIGHTS, {}, ["lucky", "known"])
    assert order(ranking) == ["known", "lucky"]
    assert ranking[1].blockers == ("only 25% of the facts are known",)


def test_what_the_order_hangs_on_is_found() -> None:
    rows = cells(a=(1.0, 0.0), b=(0.0, 1.0))
    found = changes(rows, WEIGHTS, {}, ["a", "b"])
    assert [(change.without, change.winner) for change in found] == [(Criterion.PYTHON, "b")]


@pytest.mark.parametrize(
    ("rows", "low", "high"),
    [
        ({"a": (1.0, 1.0), "b": (0.0, 0.0)}, 1.0, 1.0),
        ({"a": (1.0, 1.0), "b": (1.0, 1.0)}, 0.5, 0.7),
        ({"a": (1.0, 1.0)}, 0.6, 0.6),
        ({"a": (None, None), "b": (None, None)}, 0.0, 0.0),
    ],
)
def test_confidence_falls_with_what_is_unknown_close_or_alone(
    rows: dict[str, tuple[float | None, float | None]], low: float, high: float
) -> None:
    ranking = rank(cells(**rows), WEIGHTS, {}, list(rows))
    value, reason = confidence(ranking, 0, 2)
    assert low <= value <= high
    assert reason
