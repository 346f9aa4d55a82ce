"""What has to hold when a simulation is over, whatever happened in it."""

import json
import threading
from collections import Counter
from typing import Any

from pykka import ActorRegistry

from actors.facts import ENDS, STEP_COMPLETED, STEP_FAILED
from storage import payload
from storage.git import Repository
from storage.issues.file import PUBLISHED
from tests.simulation.editor import NAME
from tests.simulation.flows import AGENTS, outcome
from tests.simulation.ledger import ENDED, Attempt, Outcome, Workload
from tests.simulation.remains import Remains, Rows
from tests.simulation.simulation import Simulation


def check(simulation: Simulation) -> None:
    """Raises AssertionError with what does not hold."""
    remains = Remains.of(simulation.repo)
    _every_acknowledged_workflow_has_ended_as_it_must(simulation, remains)
    _no_key_started_two_workflows(remains)
    _every_workflow_is_one_closed_issue(simulation, remains)
    _nothing_that_was_written_by_hand_is_lost(simulation, remains)
    _the_published_file_says_what_the_database_says(simulation, remains)
    _every_outcome_is_recorded_once_and_told_once(remains)
    _no_number_is_missing(remains)
    _nothing_is_left_to_do(remains)
    _no_step_ran_again_once_its_outcome_was_recorded(simulation, remains)
    _no_agent_had_more_than_it_takes(simulation)
    _the_last_life_has_changed_nothing(simulation)
    _whoever_followed_has_seen_the_log(simulation)
    _nothing_is_left_running()


def _every_acknowledged_workflow_has_ended_as_it_must(
    simulation: Simulation, remains: Remains
) -> None:
    mappings = {row["tempolite_workflow_id"]: row for row in remains.mappings}
    outputs = {row["workflow_id"]: row for row in remains.results if row["step"] == "output"}
    for request in simulation.clients.acknowledged:
        assert request.record is not None
        workflow_id = request.record.id
        row = mappings[workflow_id]
        status, done = outcome(request.message.workflow_type, request.plan)
        assert row["beads_issue_id"] == request.record.beads_issue_id
        if not simulation.polite and _was_given_up(row):
            continue
        assert (workflow_id, row["status"]) == (workflow_id, status)
        if status == "completed":
            assert payload.decode(outputs[workflow_id]["result_data"])["done"] == done


def _was_given_up(row: dict[str, Any]) -> bool:
    """After more crashes than are borne."""
    return row["status"] == "dead_letter" or row["error_code"] == "agent_crashed"


def _no_key_started_two_workflows(remains: Remains) -> None:
    keys = Counter(row["idempotency_key"] for row in remains.mappings)
    del keys[None]
    assert _more_than_once(keys) == {}


def _every_workflow_is_one_closed_issue(simulation: Simulation, remains: Remains) -> None:
    made = simulation.editor.issues
    statuses = {row["tempolite_workflow_id"]: row["status"] for row in remains.mappings}
    assert statuses == {row["workflow_id"]: row["status"] for row in remains.instances}
    issues = {issue["id"]: issue for issue in remains.issues}
    assert issues.keys() == {row["beads_issue_id"] for row in remains.mappings} | made.keys()
    for row in remains.mappings:
        issue = issues[row["beads_issue_id"]]
        assert issue["metadata"]["beadflow"]["workflow_id"] == row["tempolite_workflow_id"]
        assert (issue["status"], issue.get("close_reason")) == _as_an_issue(row)
        assert sum(comment["author"] != NAME for comment in issue["comments"]) == 1, issue


def _as_an_issue(row: dict[str, Any]) -> tuple[str, str | None]:
    match row["status"]:
        case "completed":
            return "closed", "Completed"
        case "failed":
            return "closed", f"Failed: {row['error_code']}"
        case _:
            return "blocked", None


def _nothing_that_was_written_by_hand_is_lost(simulation: Simulation, remains: Remains) -> None:
    issues = {issue["id"]: issue for issue in remains.issues}
    made = simulation.editor.issues
    assert {issue_id: issues[issue_id]["title"] for issue_id in made} == made
    for issue_id, word in simulation.editor.words:
        issue = issues[issue_id]
        texts = [comment["text"] for comment in issue.get("comments", ())]
        assert [*issue.get("labels", ()), *texts].count(word) == 1, (issue_id, word)


def _the_published_file_says_what_the_database_says(
    simulation: Simulation, remains: Remains
) -> None:
    assert [json.loads(line) for line in simulation.trace.issues.splitlines()] == remains.issues
    place = (simulation.repo / PUBLISHED).parent
    assert [path.name for path in place.iterdir()] == [PUBLISHED.name]
    if repository := Repository.discover(simulation.repo):
        with repository:
            assert repository.read() == simulation.trace.issues


def _every_outcome_is_recorded_once_and_told_once(remains: Remains) -> None:
    recorded = Counter(
        (row["workflow_id"], row["op"]) for row in remains.history if row["kind"] in ENDED
    )
    assert _more_than_once(recorded) == {}
    told = Counter(
        (row["workflow_id"], payload.decode(row["data"])["step"])
        for row in remains.events
        if row["type"] in (STEP_COMPLETED, STEP_FAILED)
    )
    assert told == recorded
    ends = Counter(row["workflow_id"] for row in remains.events if row["type"] in ENDS)
    assert ends == Counter(row["tempolite_workflow_id"] for row in remains.mappings)


def _no_number_is_missing(remains: Remains) -> None:
    assert _numbers(remains.events, "seq") == _up_to(len(remains.events))
    assert _numbers(remains.history, "position") == _up_to(len(remains.history))
    for row in remains.instances:
        own = [h for h in remains.history if h["workflow_id"] == row["workflow_id"]]
        assert _numbers(own, "seq") == _up_to(len(own))


def _nothing_is_left_to_do(remains: Remains) -> None:
    assert remains.intents == []
    assert [row for row in remains.assignments if row["status"] != "completed"] == []
    ended = {r["tempolite_workflow_id"] for r in remains.mappings if r["status"] != "dead_letter"}
    tasks = [row for row in remains.tasks if row["workflow_id"] in ended]
    assert [row for row in tasks if row["state"] != "consumed"] == []
    cursors = {row["source"]: row["position"] for row in remains.cursors}
    assert cursors["tempolite"] == remains.history[-1]["position"]
    assert cursors["beads"] == remains.journal[-1]["seq"]


def _no_step_ran_again_once_its_outcome_was_recorded(
    simulation: Simulation, remains: Remains
) -> None:
    ran, over = set(), set()
    for entry in simulation.trace.ledger:
        match entry:
            case Attempt(step=step):
                assert step not in over, entry
                ran.add(step)
            case Outcome(step=step):
                over.add(step)
    dead = {r["tempolite_workflow_id"] for r in remains.mappings if r["status"] == "dead_letter"}
    assert over <= ran
    assert {step for step in ran - over if step.partition("/")[0] not in dead} == set()


def _no_agent_had_more_than_it_takes(simulation: Simulation) -> None:
    limits = {f"{kind.agent_type}-1": kind.max_workload for kind in AGENTS}
    for entry in simulation.trace.ledger:
        if isinstance(entry, Workload):
            assert entry.workflows <= limits[entry.agent_id], entry


def _the_last_life_has_changed_nothing(simulation: Simulation) -> None:
    assert simulation.trace.issues == simulation.issues_before_the_last_life


def _whoever_followed_has_seen_the_log(simulation: Simulation) -> None:
    """Without a gap and without a double, over all lives and all that cut it off."""
    seen = simulation.clients.followed
    assert seen == simulation.trace.log[: len(seen)]


def _nothing_is_left_running() -> None:
    assert ActorRegistry.get_all() == []
    assert [t.name for t in threading.enumerate() if t.name.startswith("root")] == []


def _more_than_once(counted: Counter[Any]) -> dict[Any, int]:
    return {key: count for key, count in counted.items() if count > 1}


def _numbers(rows: Rows, column: str) -> list[int]:
    return [row[column] for row in rows]


def _up_to(count: int) -> list[int]:
    return list(range(1, count + 1))
