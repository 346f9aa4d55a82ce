"""Which events somebody wants."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import ValidationError
from actors.event_filter import EVERYTHING, TYPES, Batch, EventFilter, check, types_of
from actors.facts import LoggedFact


def fact(kind: str = "step_started", **more: Any) -> LoggedFact:
    usual = {"workflow_id": "w", "issue_id": "x-1", "data": {"agent_id": "a-1"}}
    return LoggedFact(**{"seq": 1, "type": kind, "at": "t", **usual, **more})


@pytest.mark.parametrize(
    ("wanted", "yes", "no"),
    [
        ({"topics": ("step_*",)}, fact(), fact("log")),
        ({"topics": ("log", "issue_closed")}, fact("issue_closed"), fact("issue_updated")),
        ({"topics": ("*_failed",)}, fact("step_failed"), fact("step_started")),
        ({"workflow_ids": ("w",)}, fact(), fact(workflow_id="v")),
        ({"workflow_ids": ("v", "w")}, fact(), fact(workflow_id=None)),
        ({"issue_id": "x-1"}, fact(), fact(issue_id=None)),
        ({"agent_id": "a-1"}, fact(), fact(data={})),
        ({"agent_id": "a-2"}, fact(data={"from_agent": "a-1", "to_agent": "a-2"}), fact()),
        ({"topics": ("step_*",), "issue_id": "x-1"}, fact(), fact(issue_id="x-2")),
    ],
)
def test_each_part_must_hold(wanted: dict[str, Any], yes: LoggedFact, no: LoggedFact) -> None:
    asked = EventFilter(**wanted)
    check(asked)
    assert asked.select([yes, no]) == (yes,)
    assert EVERYTHING.select([yes, no]) == (yes, no)


def test_a_topic_may_name_all_types() -> None:
    assert types_of(("*",)) == TYPES


@pytest.mark.parametrize("topic", ["", "nothing", "nothing_*", "Step_*", "[s]*", "s" * 61])
def test_a_topic_that_names_nothing_is_refused(topic: str) -> None:
    with pytest.raises(ValidationError) as refused:
        check(EventFilter(topics=(topic,)))
    assert refused.value.field == "topics"


ASKED = st.builds(
    EventFilter,
    topics=st.sampled_from([(), ("step_*",), ("log", "agent_*")]),
    workflow_ids=st.sampled_from([(), ("w",), ("v",), ("v", "w")]),
    issue_id=st.sampled_from([None, "x-1"]),
    agent_id=st.sampled_from([None, "a-1", "a-2"]),
)
FACTS = st.builds(
    fact,
    st.sampled_from(["step_started", "log", "agent_handoff", "issue_closed"]),
    workflow_id=st.sampled_from([None, "v", "w"]),
    issue_id=st.sampled_from([None, "x-1", "x-2"]),
    data=st.sampled_from(
        [{}, {"agent_id": "a-1"}, {"from_agent": "a-1", "to_agent": None}, {"to_agent": "a-2"}]
    ),
)


@given(ASKED, st.lists(FACTS, max_size=20))
def test_what_is_asked_of_a_batch_is_what_is_asked_of_each_event(
    wanted: EventFilter, found: list[LoggedFact]
) -> None:
    one_by_one = tuple(each for each in found if wanted.wants(each))
    assert wanted.select(found) == one_by_one
    assert Batch(tuple(found)).select(wanted) == one_by_one
