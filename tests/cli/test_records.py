from typing import Any

import pytest

from cli import records
from cli.problem import Problem
from tests.cli.run import event, output, workflow


def test_a_workflow_is_final_only_in_a_final_state() -> None:
    final = {status for status in records.STATUSES if records.workflow(workflow(status)).is_final}
    assert final == {"completed", "failed", "cancelled", "terminated", "dead_letter"}


def test_only_completed_counts_as_success() -> None:
    succeeded = [s for s in records.STATUSES if records.workflow(workflow(s)).succeeded]
    assert succeeded == ["completed"]


def test_an_unknown_field_is_kept_for_those_who_read_json() -> None:
    assert records.workflow(workflow(colour="blue")).raw["colour"] == "blue"


def test_an_error_is_its_code_and_message() -> None:
    failed = workflow("failed", error={"code": "agent_error", "message": "no network"})
    assert records.workflow(failed).error == "agent_error: no network"


@pytest.mark.parametrize("raw", [None, [], "wf", {}, {"id": "wf-1"}, {"id": None, "status": "x"}])
def test_what_is_no_workflow_is_refused_and_not_guessed(raw: Any) -> None:
    with pytest.raises(Problem):
        records.workflow(raw)


def test_an_event_without_data_has_none() -> None:
    assert records.event({**event(1, "log"), "data": None}).data == {}


def test_an_event_without_a_sequence_number_is_refused() -> None:
    with pytest.raises(Problem):
        records.event({"type": "log"})


def test_a_result_knows_whether_it_is_the_workflows_own() -> None:
    assert records.result(output("x")).is_output
    assert not records.result({**output("x"), "result_type": "evidence"}).is_output


def test_a_required_variable_is_marked() -> None:
    schema = {"properties": {"question": {}, "limit": {}}, "required": ["question"]}
    read = records.workflow_type({"name": "research", "variables": schema})
    assert read.variables == ("question*", "limit")


def test_links_that_are_not_text_are_ignored() -> None:
    assert records.workflow(workflow(links={"ui": "/w/1", "n": 1})).links == {"ui": "/w/1"}


def test_an_answer_without_a_list_is_refused() -> None:
    with pytest.raises(Problem):
        records.items({"data": {}})
