"""Who is reserved for which workflow, and who does which task."""

import pytest

from actors.agents.roster import Member, Roster


def roster(**workloads: int) -> Roster:
    """A roster of agents "a_1", "b_1" …: type before the underscore, and their `max_workload`."""
    members = {
        name: Member(
            agent_id=name,
            agent_type=name.split("_", maxsplit=1)[0],
            capabilities=(),
            max_workload=most,
            up=True,
        )
        for name, most in workloads.items()
    }
    return Roster(members)


def test_the_least_loaded_agent_of_the_type_is_reserved() -> None:
    agents = roster(a_2=2, a_1=2, b_1=2)
    assert [agents.reserve(w, "a") for w in ("w1", "w2", "w3", "w4", "w5")] == [
        "a_1",
        "a_2",
        "a_1",
        "a_2",
        None,
    ]


def test_a_workflow_that_asks_twice_gets_the_same_agent() -> None:
    agents = roster(a_1=1, a_2=1)
    assert agents.reserve("w1", "a") == agents.reserve("w1", "a") == "a_1"
    assert agents.members["a_1"].workload == 1


def test_a_released_workflow_leaves_room_in_its_type() -> None:
    agents = roster(a_1=1)
    agents.reserve("w1", "a")
    assert agents.release("w1") == "a"
    assert agents.release("w1") is None
    assert agents.reserve("w2", "a") == "a_1"


def test_a_task_goes_to_the_agent_that_its_workflow_reserved() -> None:
    agents = roster(a_1=1, a_2=1)
    agents.reserve("w1", "a")
    chosen = agents.choose("w1", "a", "dig")
    assert chosen is agents.members["a_1"]


def test_a_task_of_a_reserved_agent_that_is_down_waits_for_it() -> None:
    agents = roster(a_1=1, a_2=1)
    agents.reserve("w1", "a")
    agents.members["a_1"].up = False
    assert agents.choose("w1", "a", "dig") is None


def test_a_task_for_another_type_goes_to_the_least_loaded_that_is_up_and_free() -> None:
    agents = roster(a_1=1, b_1=2, b_2=2, b_3=2, b_4=1)
    agents.reserve("w1", "a")
    agents.members["b_1"].up = False
    agents.begin("b_2", ("w9", "1"), 1)
    agents.begin("b_4", ("w8", "1"), 1)
    chosen = agents.choose("w1", "b", "dig")
    assert chosen is agents.members["b_3"]


def test_a_task_waits_when_every_agent_of_its_type_is_busy() -> None:
    agents = roster(a_1=1)
    agents.begin("a_1", ("w9", "1"), 1)
    assert agents.choose("w1", "a", "dig") is None


def test_a_workload_counts_tasks_and_one_for_a_reservation_without_any() -> None:
    agents = roster(a_1=6)
    member = agents.members["a_1"]
    agents.reserve("w1", "a")
    agents.reserve("w3", "a")
    member.expected |= {"w3", "w4"}
    agents.begin("a_1", ("w1", "1"), 1)
    agents.begin("a_1", ("w2", "1"), 1)
    agents.begin("a_1", ("w2", "2.0.1"), 1)
    assert (member.workload, member.free) == (5, True)
    agents.begin("a_1", ("w1", "2"), 1)
    assert (member.workload, member.free) == (6, False)


def test_a_full_agent_does_one_task_of_each_workflow_that_it_has() -> None:
    agents = roster(a_1=2)
    for workflow_id in ("w1", "w2"):
        agents.reserve(workflow_id, "a")
        assert agents.choose(workflow_id, "a", "dig") is agents.members["a_1"]
        agents.begin("a_1", (workflow_id, "1"), 1)
        assert (agents.choose(workflow_id, "a", "dig") is None) == (workflow_id == "w2")
    assert agents.members["a_1"].workload == 2


def test_a_task_goes_to_an_agent_whose_class_has_the_activity() -> None:
    agents = roster(a_1=9, a_2=9)
    agents.members["a_2"].capabilities = ("dig",)
    agents.begin("a_2", ("w9", "1"), 1)
    assert agents.choose("w1", "a", "dig") is agents.members["a_2"]
    agents.reserve("w2", "a")
    assert agents.choose("w2", "a", "dig") is agents.members["a_2"]


def test_a_task_that_no_class_can_do_goes_to_anyone_who_says_so() -> None:
    agents = roster(a_1=9)
    assert agents.choose("w1", "a", "fly") is agents.members["a_1"]


def test_an_agent_that_is_drained_does_what_it_has_and_gets_nothing_new() -> None:
    agents = roster(a_1=9)
    agents.reserve("w1", "a")
    agents.members["a_1"].standing = "draining"
    assert agents.choose("w1", "a", "dig") is agents.members["a_1"]
    assert agents.choose("w2", "a", "dig") is None
    assert agents.reserve("w2", "a") is None


def test_a_workflow_that_is_settled_is_one_agents_only() -> None:
    agents = roster(a_1=9, a_2=9)
    agents.reserve("w1", "a")
    agents.settle("w1", "a_2")
    assert [m.reserved for m in agents.members.values()] == [set(), {"w1"}]
    agents.settle("w1", None)
    assert agents.holder("w1") is None


def test_only_the_attempt_in_progress_can_end() -> None:
    agents = roster(a_1=1)
    agents.begin("a_1", ("w1", "1"), 2)
    assert not agents.end("a_1", ("w1", "1"), 1)
    assert agents.end("a_1", ("w1", "1"), 2)
    assert not agents.end("a_1", ("w1", "1"), 2)


def test_what_a_lost_agent_did_is_nobodys() -> None:
    agents = roster(a_1=2)
    agents.reserve("w1", "a")
    agents.begin("a_1", ("w1", "1"), 1)
    assert agents.lose("a_1") == [("w1", "1")]
    assert agents.members["a_1"].running == {}
    assert agents.holder("w1") is agents.members["a_1"]


def test_a_retired_agent_leaves_its_work_to_others_for_good() -> None:
    agents = roster(a_1=2, a_2=1)
    agents.reserve("w1", "a")
    agents.begin("a_1", ("w1", "1"), 1)
    assert agents.retire("a_1") == [("w1", "1")]
    agents.take_reservations({"w1": "a_1"})
    assert agents.holder("w1") is None
    assert agents.choose("w1", "a", "dig") is agents.members["a_2"]
    assert agents.reserve("w2", "a") == "a_2"
    assert agents.reserve("w3", "a") is None


@pytest.mark.parametrize("assigned", [{"w2": "a_1"}, {"w2": "a_1", "w3": "gone"}])
def test_reservations_are_replaced_by_what_the_database_says(assigned: dict[str, str]) -> None:
    agents = roster(a_1=2, a_2=2)
    agents.reserve("w1", "a")
    agents.take_reservations(assigned)
    assert agents.holder("w1") is None
    assert agents.holder("w2") is agents.members["a_1"]
    assert agents.holder("w3") is None
