"""Running one activity in the engine's process: attempts, time, and its result as data."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from pydantic import BaseModel, TypeAdapter
from trio.testing import MockClock

from actors.errors import Overloaded, ValidationError
from actors.workflows.activities import (
    RESULT_LIMIT_BYTES,
    UNREAD,
    ActivityInfo,
    activity_info,
    decode_result,
    encode_failure,
    encode_result,
    failure_of,
    run_once,
)
from actors.workflows.context import Context
from actors.workflows.definition import ActivityFailure, RetryPolicy, activity, activity_of
from actors.workflows.execution import Pending
from actors.workflows.history import Kind
from actors.workflows.steps import ActivityError
from actors.workflows.strand import Strand
from storage import payload
from tests.support.stage import Stage


class Point(BaseModel):
    x: int


async def attempted(
    function: Callable[..., Any], value: Any = None, attempt: int = 1
) -> tuple[str, Any]:
    """The stored result of one attempt, and its value where that is known."""
    definition = activity_of(function)
    assert definition is not None
    info = ActivityInfo(workflow_id="w-1", attempt=attempt, idempotency_key="w-1/2")
    operation = Pending("activity", definition.name, Strand(""))
    done = await run_once(definition, value, info, definition.timeout_s, operation)
    assert done is not None
    return done


async def run(function: Callable[..., Any], value: Any = None, attempt: int = 1) -> Any:
    """One attempt, in its stored form."""
    text, _ = await attempted(function, value, attempt)
    return payload.decode(text)


async def all_attempts(function: Callable[..., Any], **retry: Any) -> Any:
    """What becomes of an activity under a policy: the payload of the event that records it."""
    stage = Stage()

    async def body(ctx: Context) -> None:
        await ctx.activity(function, retry=RetryPolicy(**retry))

    with suppress(ActivityError):
        await stage.run(body)
    return payload.decode(stage.stored[-1].payload)


# --- results as data


def test_a_result_comes_back_as_its_type() -> None:
    text = encode_result(Point(x=1), "a point")
    assert decode_result(text, None) == {"x": 1}
    assert decode_result(text, TypeAdapter(Point)) == Point(x=1)


def test_facts_stand_beside_the_result() -> None:
    assert payload.decode(encode_result(1, "it", attempts=2)) == {"result": 1, "attempts": 2}


@pytest.mark.parametrize("value", [object(), float("nan"), {1: object()}, "\udc80"])
def test_a_result_that_is_no_json_is_a_final_failure(value: object) -> None:
    with pytest.raises(ActivityFailure, match="what it is") as failed:
        encode_result(value, "what it is")
    assert (failed.value.code, failed.value.retryable) == ("result_not_json", False)


@pytest.mark.parametrize("letter", ["x", "é"])
def test_the_limit_of_a_result_is_counted_in_bytes(letter: str) -> None:
    room = (RESULT_LIMIT_BYTES - 100) // len(letter.encode())
    encode_result(letter * room, "it")
    with pytest.raises(ActivityFailure) as failed:
        encode_result(letter * (room + 200), "it")
    assert (failed.value.code, failed.value.retryable) == ("result_too_large", False)


def test_a_failure_is_stored_whatever_its_words_are() -> None:
    failure = ActivityFailure("odd\udc80", "no such file: a\udcffb")
    stored = payload.decode(encode_failure(failure, agent_id="a-1"))
    assert stored == {
        "code": r"odd\udc80",
        "message": r"no such file: a\udcffb",
        "attempts": 1,
        "agent_id": "a-1",
    }


def test_a_message_that_is_too_long_is_not_stored_whole() -> None:
    text = encode_failure(failure_of(ValueError("y" * 5_000_000)))
    assert len(text) < 8400
    assert payload.decode(text)["message"].endswith("yy… (5000000 characters)")


async def test_neither_is_that_of_an_attempt_which_another_one_follows() -> None:
    @activity
    async def wordy() -> None:
        raise ValueError("y" * 100_000)

    stage = Stage()

    async def body(ctx: Context) -> None:
        await ctx.activity(wordy, retry=RetryPolicy(attempts=2, initial_s=0.0))

    with suppress(ActivityError):
        await stage.run(body)
    (_, *ends) = stage.stored
    assert [event.kind for event in ends] == [Kind.ACTIVITY_RETRIED, Kind.ACTIVITY_FAILED]
    assert all(len(event.payload) < 8400 for event in stage.stored)


def test_the_class_of_an_exception_is_its_code() -> None:
    found = failure_of(KeyError("x"))
    assert (found.code, found.message, found.retryable) == ("KeyError", "'x'", True)
    assert failure_of(ValueError()).message == "ValueError"


def test_what_the_system_refuses_keeps_its_code_and_is_not_tried_again_for_nothing() -> None:
    found = failure_of(ValidationError("no program", field="command"))
    assert (found.code, found.message) == ("validation_error", "no program")
    assert not found.retryable
    assert failure_of(Overloaded("later")).retryable


def test_a_failure_of_its_own_stays_what_it_is() -> None:
    failure = ActivityFailure("boom", "m")
    assert failure_of(failure) is failure


def test_a_group_of_one_is_that_one() -> None:
    failure = ActivityFailure("boom", "m")
    assert failure_of(ExceptionGroup("g", [ExceptionGroup("h", [failure])])) is failure
    assert failure_of(ExceptionGroup("g", [failure, KeyError()])).code == "ExceptionGroup"


# --- attempts


async def test_an_activity_knows_who_it_is_in_its_task_and_in_its_thread() -> None:
    @activity
    async def here() -> list[str]:
        return [activity_info().workflow_id, activity_info().idempotency_key]

    @activity
    def there() -> list[Any]:
        return [activity_info().idempotency_key, threading.current_thread().name]

    assert (await run(here))["result"] == ["w-1", "w-1/2"]
    key, thread = (await run(there))["result"]
    assert key == "w-1/2"
    assert thread != threading.main_thread().name


def test_nobody_else_knows_an_activity() -> None:
    with pytest.raises(LookupError):
        activity_info()


async def test_the_input_is_passed_on_and_an_activity_without_one_gets_none() -> None:
    @activity
    async def double(number: int) -> int:
        return number * 2

    @activity
    async def seven() -> int:
        return 7

    assert (await run(double, 4))["result"] == 8
    assert (await run(seven, "ignored"))["result"] == 7


async def test_attempts_are_counted_and_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    moments: list[float] = []

    @activity
    async def third() -> int:
        moments.append(trio.current_time())
        if activity_info().attempt < 3:
            raise OSError("not yet")
        return activity_info().attempt

    done = await all_attempts(third, attempts=3, initial_s=10.0, coefficient=2.0)
    assert done == {"result": 3, "attempts": 3}
    assert [later - moments[0] for later in moments] == [0.0, 10.0, 30.0]


async def test_the_last_failure_is_the_one_that_counts() -> None:
    @activity
    async def never() -> None:
        raise OSError(f"attempt {activity_info().attempt}")

    failed = await all_attempts(never, attempts=2, initial_s=0.0)
    assert failed == {"code": "OSError", "message": "attempt 2", "attempts": 2}
    with pytest.raises(ActivityFailure, match="attempt 2") as one:
        await run(never, attempt=2)
    assert one.value.attempts == 2
    assert isinstance(one.value.__cause__, OSError)


async def test_a_failure_that_is_final_is_not_tried_again() -> None:
    calls = 0

    @activity
    async def final() -> None:
        nonlocal calls
        calls += 1
        raise ActivityFailure("final", "m", retryable=False)

    assert (await all_attempts(final, attempts=9, initial_s=0.0))["code"] == "final"
    assert calls == 1


async def test_an_activity_that_takes_too_long_has_failed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    @activity(timeout_s=5.0)
    async def slow() -> None:
        await trio.sleep_forever()

    with pytest.raises(ActivityFailure, match="took longer than 5") as failed:
        await run(slow)
    assert failed.value.code == "start_to_close_timeout"


async def test_so_has_one_that_takes_too_long_without_waiting(
    mock_clock: trio.testing.MockClock,
) -> None:
    @activity(timeout_s=5.0)
    async def busy(seconds: float) -> float:
        mock_clock.jump(seconds)
        return seconds

    assert (await run(busy, 4.5))["result"] == 4.5
    with pytest.raises(ActivityFailure, match="took longer than 5") as failed:
        await run(busy, 5.5)
    assert failed.value.code == "start_to_close_timeout"


async def test_a_thread_that_takes_too_long_is_left_behind() -> None:
    gate = threading.Event()

    @activity(timeout_s=0.01)
    def slow() -> None:
        gate.wait(10)

    try:
        with pytest.raises(ActivityFailure) as failed:
            await run(slow)
    finally:
        gate.set()
    assert failed.value.code == "start_to_close_timeout"


async def test_a_result_that_cannot_be_stored_is_a_failure_of_the_activity() -> None:
    @activity
    async def odd() -> object:
        return object()

    failed = await all_attempts(odd, attempts=3, initial_s=0.0)
    assert (failed["code"], failed["attempts"]) == ("result_not_json", 1)


async def test_a_result_of_another_type_is_a_failure_of_the_attempt() -> None:
    answers: list[Any] = ["x", 2]

    @activity
    async def number() -> int:
        return answers.pop(0)  # type: ignore[no-any-return]

    with pytest.raises(ActivityFailure, match="'number' is no int") as failed:
        await run(number)
    assert (failed.value.code, failed.value.retryable) == ("result_of_wrong_type", True)
    answers.insert(0, "x")
    done = await all_attempts(number, attempts=2, initial_s=0.0)
    assert done == {"result": 2, "attempts": 2}


async def test_a_result_of_another_type_is_final_where_the_effect_is_made_once() -> None:
    @activity(at_most_once=True)
    async def pay() -> Point:
        return "paid"  # type: ignore[return-value]

    failed = await all_attempts(pay, attempts=3, initial_s=0.0)
    assert (failed["code"], failed["attempts"]) == ("result_of_wrong_type", 1)


async def test_a_result_is_of_its_type_as_the_workflow_will_see_it() -> None:
    @activity
    async def point() -> Point:
        return {"x": "1"}  # type: ignore[return-value]

    @activity
    async def pair() -> tuple[int, bytes]:
        return 1, b"a"

    assert (await run(point))["result"] == {"x": "1"}
    assert (await run(pair))["result"] == [1, "a"]


async def test_code_that_never_waits_is_too_late_all_the_same(mock_clock: MockClock) -> None:
    @activity(timeout_s=2.0)
    async def stubborn() -> str:
        mock_clock.jump(3.0)
        return "done"

    with pytest.raises(ActivityFailure) as failed:
        await run(stubborn)
    assert failed.value.code == "start_to_close_timeout"


@pytest.mark.parametrize("value", [None, True, 7, -(10**40), "", "\0\u2028é😀"])
async def test_what_is_known_of_a_result_is_what_reading_it_gives(value: Any) -> None:
    @activity
    async def plain() -> Any:
        return value

    text, known = await attempted(plain)
    read = decode_result(text, TypeAdapter(Any))
    assert known is not UNREAD
    assert (type(known), known) == (type(read), read)


@pytest.mark.parametrize(
    ("value", "wanted", "read"),
    [
        (True, int, 1),
        (Kind.ACTIVITY_FAILED, str, "activity_failed"),
        (2, float, 2.0),
        (2.0, int, 2),
        ((1, 2), Any, [1, 2]),
        (Point(x=1), Point, Point(x=1)),
    ],
)
async def test_a_result_that_reading_may_change_is_read(value: Any, wanted: Any, read: Any) -> None:
    async def other() -> Any:
        return value

    other.__annotations__["return"] = wanted
    stage, seen = Stage(), []

    async def body(ctx: Context) -> None:
        seen.append(await ctx.activity(activity(other)))

    await stage.run(body)
    assert [(type(found), found) for found in seen] == [(type(read), read)]
