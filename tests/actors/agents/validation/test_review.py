import json
from collections.abc import Iterator
from functools import partial

import pytest
import trio

from actors.agents.kit.outcome import Place
from actors.agents.validation.messages import ReviewOutcome, ReviewRequest
from actors.agents.validation.review import review
from tests.actors.agents.validation.conftest import Desk, clean_desk
from tests.support.planted import Planted, Spot


async def reviewed(desk: Desk, *, plugins: bool = False, **given: object) -> ReviewOutcome:
    request = ReviewRequest.model_validate(given)
    return await review(desk.task(), request, deadline_s=240, plugins=plugins)


def spot(place: Place | None) -> Spot | None:
    return Spot(place.path, place.line) if place and place.line else None


@pytest.fixture(scope="module")
def change(
    there: Planted, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Desk, ReviewOutcome]]:
    """What head changed, reviewed once."""
    for desk in clean_desk(there, tmp_path_factory.mktemp("reviewed")):
        yield desk, trio.run(partial(reviewed, desk, base=there.base))


def test_of_a_change_exactly_the_error_on_the_new_line_is_found(
    change: tuple[Desk, ReviewOutcome], there: Planted
) -> None:
    _, outcome = change
    (finding,) = outcome.findings
    assert (spot(finding.place), finding.rule) == (there.new_lint, there.lint_rule)
    assert (outcome.commit, outcome.base) == (there.head, there.base)
    assert (outcome.tools, outcome.elsewhere) == (("ruff", "mypy", "bandit"), 1)
    assert outcome.skipped == ()


async def test_without_a_base_both_errors_are_found(desk: Desk, there: Planted) -> None:
    outcome = await reviewed(desk)
    assert {spot(f.place) for f in outcome.findings} == {there.old_lint, there.new_lint}
    assert outcome.elsewhere == 0


def test_the_findings_are_stored_as_sarif(change: tuple[Desk, ReviewOutcome]) -> None:
    desk, _ = change
    sarif = json.loads(desk.stored["review.sarif"])
    found = {run["tool"]["driver"]["name"]: len(run["results"]) for run in sarif["runs"]}
    assert found == {"bandit": 0, "mypy": 0, "ruff": 1}


async def test_a_change_without_python_has_nothing_to_review(desk: Desk, there: Planted) -> None:
    outcome = await reviewed(desk, ref=there.base, base=there.base)
    assert (outcome.files, outcome.tools) == (0, ())
    assert outcome.summary == "No Python file has changed."
