"""What is refused at the start, before anything has been run."""

from typing import Any

import pytest

from actors.agents.validation.workflow import validation
from actors.errors import ValidationError
from actors.workflows.definition import workflow_of


def parsed(**variables: Any) -> Any:
    definition = workflow_of(validation)
    assert definition is not None
    return definition.parse(variables)


def test_a_coverage_gate_without_a_base_is_refused() -> None:
    with pytest.raises(ValidationError, match="name the `base`"):
        parsed(minimum_coverage=99)
    assert parsed(minimum_coverage=99, base="main").minimum_coverage == 99


@pytest.mark.parametrize("reports", ["/etc/*", "../../../etc/*", "target/../../*.xml"])
def test_reports_outside_of_the_work_tree_are_refused(reports: str) -> None:
    with pytest.raises(ValidationError, match="below the root"):
        parsed(command="make test", reports=reports)


def test_reports_that_no_command_writes_are_refused() -> None:
    with pytest.raises(ValidationError, match="name the `command`"):
        parsed(reports="*.xml")
    assert parsed(command="make test", reports="*.xml").reports == "*.xml"
