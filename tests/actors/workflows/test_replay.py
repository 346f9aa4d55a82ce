"""What the history answers, and where the code no longer fits it."""

import pytest

from actors.workflows.history import HistoryEvent, Kind
from actors.workflows.replay import NonDeterminismError, Replay

SCHEDULED, COMPLETED = Kind.ACTIVITY_SCHEDULED, Kind.ACTIVITY_COMPLETED
FAILED, SIDE_EFFECT = Kind.ACTIVITY_FAILED, Kind.SIDE_EFFECT_RECORDED


def event(kind: Kind, op: str = "", name: str = "") -> HistoryEvent:
    return HistoryEvent(seq=1, kind=kind, op=op, name=name, at="t")


def replay(*events: HistoryEvent) -> Replay:
    return Replay.of("w-1", [event(Kind.WORKFLOW_STARTED), *events])


def test_an_operation_that_is_not_recorded_is_at_the_frontier() -> None:
    empty = replay()
    assert empty.take("1", "activity", "a") is None
    assert not empty.behind
    empty.close()


@pytest.mark.parametrize("kind", [COMPLETED, FAILED])
def test_a_recorded_activity_answers_with_the_event_that_ended_it(kind: Kind) -> None:
    ended = event(kind, "1", "a")
    record = replay(ended).take("1", "activity", "a")
    assert record is not None
    assert record.outcome is ended
    assert record.opened is None


def test_an_activity_that_is_only_scheduled_is_open() -> None:
    scheduled = event(SCHEDULED, "1", "a")
    record = replay(scheduled).take("1", "activity", "a")
    assert record is not None
    assert record.opened is scheduled
    assert record.outcome is None


def test_an_activity_that_was_scheduled_and_ended_is_one_operation() -> None:
    scheduled, ended = event(SCHEDULED, "1", "a"), event(COMPLETED, "1", "a")
    whole = replay(scheduled, ended)
    record = whole.take("1", "activity", "a")
    assert record is not None
    assert (record.opened, record.outcome) == (scheduled, ended)
    whole.close()


def test_a_recorded_side_effect_answers() -> None:
    record = replay(event(SIDE_EFFECT, "1")).take("1", "side effect")
    assert record is not None
    assert record.outcome is not None


@pytest.mark.parametrize(
    ("recorded", "asked", "words"),
    [
        (event(COMPLETED, "1", "a"), ("activity", "b"), ("'a' at 1", "'b' at 1")),
        (event(SIDE_EFFECT, "1"), ("activity", "b"), ("side effect at 1", "'b' at 1")),
        (event(SCHEDULED, "1", "a"), ("side effect", ""), ("'a' at 1", "side effect at 1")),
    ],
)
def test_another_operation_than_the_recorded_one_is_refused_with_both_named(
    recorded: HistoryEvent, asked: tuple[str, str], words: tuple[str, str]
) -> None:
    with pytest.raises(NonDeterminismError) as refused:
        replay(recorded).take("1", *asked)
    assert words[0] in refused.value.recorded
    assert words[1] in refused.value.requested
    assert "w-1" in str(refused.value)


def test_the_history_is_behind_until_all_of_it_was_asked_for() -> None:
    two = replay(event(COMPLETED, "1", "a"), event(COMPLETED, "2", "b"))
    assert two.behind
    two.take("1", "activity", "a")
    assert two.behind
    two.take("2", "activity", "b")
    assert not two.behind


def test_recorded_operations_that_the_code_no_longer_asks_for_are_found_at_its_end() -> None:
    two = replay(event(COMPLETED, "1", "a"), event(SCHEDULED, "2", "b"))
    two.take("1", "activity", "a")
    with pytest.raises(NonDeterminismError, match=r"'b' at 2 .*, the code asks for its end"):
        two.close()


def test_one_operation_where_branches_are_recorded_is_refused_before_it_happens() -> None:
    gathered = replay(event(COMPLETED, "1.0.1", "a"), event(COMPLETED, "1.1.1", "b"))
    with pytest.raises(NonDeterminismError, match=r"'a' at 1\.0\.1 .*, the code asks for activity"):
        gathered.take("1", "activity", "c")


def test_branches_where_one_operation_is_recorded_are_refused_before_they_start() -> None:
    with pytest.raises(NonDeterminismError, match=r"'a' at 1 .*, the code asks for branches at 1"):
        replay(event(COMPLETED, "1", "a")).fork("1")


def test_branches_where_branches_are_recorded_are_no_news() -> None:
    gathered = replay(event(COMPLETED, "1.0.1", "a"))
    gathered.fork("1")
    assert gathered.take("1.0.1", "activity", "a") is not None
    gathered.fork("2")


def test_no_handler_of_a_workflow_catches_a_divergence() -> None:
    assert not issubclass(NonDeterminismError, Exception)
