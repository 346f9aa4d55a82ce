"""What the history answers, and where the code no longer fits it."""

from dataclasses import replace

import pytest

from actors.workflows.history import HistoryEvent, Kind
from actors.workflows.replay import (
    ACTIVITY,
    CHILD,
    FIRST,
    SAGA,
    SIGNAL,
    TIMER,
    TRANSACTION,
    NonDeterminismError,
    Replay,
)
from storage import payload

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


# --- the other operations


def test_what_began_and_did_not_end_is_open() -> None:
    for kind, what in ((Kind.TIMER_STARTED, TIMER), (Kind.CHILD_STARTED, CHILD)):
        begun = event(kind, "1")
        record = replay(begun).take("1", what)
        assert record is not None
        assert (record.opened, record.outcome) == (begun, None)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (Kind.TRANSACTION_COMPLETED, TRANSACTION),
        (Kind.TRANSACTION_FAILED, TRANSACTION),
        (Kind.TIMER_FIRED, TIMER),
        (Kind.SIGNAL_CONSUMED, SIGNAL),
        (Kind.CHILD_COMPLETED, CHILD),
        (Kind.CHILD_FAILED, CHILD),
        (Kind.BRANCH_CHOSEN, FIRST),
        (Kind.COMPENSATION_STARTED, SAGA),
    ],
)
def test_what_ended_answers_with_the_event_that_ended_it(kind: Kind, what: str) -> None:
    ended = event(kind, "1", "n")
    whole = replay(ended)
    record = whole.take("1", what, "n")
    assert record is not None
    assert record.outcome is ended
    whole.close()


def test_the_last_failed_attempt_is_the_one_that_is_gone_on_from() -> None:
    first, second = (event(Kind.ACTIVITY_RETRIED, "1", "a") for _ in range(2))
    record = replay(first, second).take("1", ACTIVITY, "a")
    assert record is not None
    assert (record.opened, record.retried, record.outcome) == (None, second, None)


@pytest.mark.parametrize("what", [ACTIVITY, SIGNAL, TIMER, CHILD, TRANSACTION])
def test_an_operation_that_was_cancelled_before_it_began_is_of_the_kind_it_would_have_been(
    what: str,
) -> None:
    body = payload.encode({"what": what, "reason": "r"})
    cancelled = replace(event(Kind.OPERATION_CANCELLED, "1", "n"), payload=body)
    record = replay(cancelled).take("1", what, "n")
    assert record is not None
    assert record.outcome is cancelled
    with pytest.raises(NonDeterminismError, match=f"{what} 'n' at 1"):
        replay(cancelled).take("1", SAGA, "n")


def test_an_operation_that_was_cancelled_while_it_went_on_is_one_operation() -> None:
    begun = event(SCHEDULED, "1", "a")
    body = payload.encode({"what": ACTIVITY, "reason": "r"})
    cancelled = replace(event(Kind.OPERATION_CANCELLED, "1", "a"), payload=body)
    whole = replay(begun, cancelled)
    record = whole.take("1", ACTIVITY, "a")
    assert record is not None
    assert (record.opened, record.outcome) == (begun, cancelled)
    whole.close()


# --- forks


def test_a_race_is_recorded_at_its_fork_and_its_branches_below_it() -> None:
    race = replay(event(COMPLETED, "1.1.1", "b"), event(Kind.BRANCH_CHOSEN, "1"))
    record = race.take("1", FIRST)
    assert record is not None
    assert record.outcome is not None
    assert race.take("1.1.1", ACTIVITY, "b") is not None
    race.close()


def test_a_race_that_nobody_has_won_yet_is_at_the_frontier() -> None:
    assert replay(event(COMPLETED, "1.1.1", "b")).take("1", FIRST) is None


def test_branches_that_all_run_where_a_race_is_recorded_are_refused() -> None:
    with pytest.raises(NonDeterminismError, match=r"first-of at 1 .*, the code asks for branches"):
        replay(event(Kind.BRANCH_CHOSEN, "1")).fork("1")


def test_what_a_branch_that_lost_had_recorded_need_not_be_asked_for() -> None:
    race = replay(
        event(COMPLETED, "1.0.1", "a"),
        event(COMPLETED, "1.1.1", "b"),
        event(COMPLETED, "1.1.2.0.1", "c"),
        event(COMPLETED, "1.10.1", "d"),
    )
    race.take("1.0.1", ACTIVITY, "a")
    race.take("1.1.1", ACTIVITY, "b")
    race.abandon("1.1")
    assert race.behind
    with pytest.raises(NonDeterminismError, match=r"'d' at 1\.10\.1"):
        race.close()
    race.abandon("1.10")
    assert not race.behind
    race.close()


def test_operations_and_forks_are_both_known_to_be_recorded() -> None:
    known = replay(event(COMPLETED, "1", "a"), event(COMPLETED, "2.0.1", "b"))
    found = [op for op in ("1", "2", "3", "2.0.1", "2.0") if known.is_recorded(op)]
    assert found == ["1", "2", "2.0.1"]


# --- runs


def test_a_later_runs_operations_are_not_those_of_the_first() -> None:
    second = replay(event(COMPLETED, "2~1", "a"))
    assert second.take("1", ACTIVITY, "a") is None
    assert second.take("2~1", ACTIVITY, "a") is not None


# --- versions


def marked(change: str, version: int) -> HistoryEvent:
    body = payload.encode({"version": version})
    return replace(event(Kind.VERSION_MARKED, name=change), payload=body)


def test_a_version_that_is_marked_is_known_and_no_operation() -> None:
    known = replay(marked("change", 2))
    assert (known.version("change"), known.version("other")) == (2, None)
    assert not known.behind
    known.close()


def test_a_version_is_marked_for_the_rest_of_the_run() -> None:
    known = replay()
    known.mark("change", 3)
    assert known.version("change") == 3


# --- what a divergence says


@pytest.mark.parametrize(
    ("recorded", "asked", "cause"),
    [
        (event(COMPLETED, "1", "a"), (ACTIVITY, "b"), "renamed or replaced"),
        (event(COMPLETED, "1", "a"), (TIMER, ""), "added, removed or moved"),
        (event(COMPLETED, "1.0.1", "a"), (ACTIVITY, "a"), "replaced by a single operation"),
    ],
)
def test_a_divergence_says_where_it_is_and_what_probably_was_changed(
    recorded: HistoryEvent, asked: tuple[str, str], cause: str
) -> None:
    with pytest.raises(NonDeterminismError) as refused:
        replay(replace(recorded, seq=7)).take("1", *asked)
    assert refused.value.seq == 7
    assert cause in refused.value.cause
    assert refused.value.cause in str(refused.value)
    assert "event 7" in str(refused.value)


def test_the_first_operation_that_is_left_is_the_one_that_is_named() -> None:
    left = replay(
        replace(event(COMPLETED, "3", "c"), seq=9), replace(event(COMPLETED, "2", "b"), seq=8)
    )
    with pytest.raises(NonDeterminismError, match="'b' at 2") as refused:
        left.close()
    assert "removed" in refused.value.cause
