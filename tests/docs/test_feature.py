"""The page names what the workflow `feature` is started with, and what it answers."""

from actors.agents.feature.messages import Feature, FeatureRequest
from actors.agents.kit.outcome import Outcome
from tests.docs.pages import names, rows, section

SECTION = section("docs/agents.md", "Feature")


def test_the_variables_are_those_of_the_model() -> None:
    table = SECTION.partition("| variable |")[2]
    found = [name for row in rows(f"| variable |{table}") for name in names(row[0])]
    assert found == list(FeatureRequest.model_fields)


def test_the_fields_of_the_result_are_named() -> None:
    own = Feature.model_fields.keys() - Outcome.model_fields.keys()
    assert [name for name in own if f"`{name}`" not in SECTION] == []
