"""Running one activity in the engine's own process: attempts, time limit, and its result as data.

The result always goes through its stored form, so that the workflow sees the same value whether
the activity ran just now or is answered from the history.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import trio
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from actors.workflows.containment import contained
from actors.workflows.definition import ActivityDefinition, ActivityFailure, RetryPolicy
from actors.workflows.history import idempotency_key
from storage import payload
from storage.errors import PayloadError

RESULT_LIMIT_BYTES = 2 * 1024 * 1024
"""Temporal's limit for one payload; a larger thing belongs in a file that the result names."""


def encode_result(value: object, what: str, **facts: object) -> str:
    """The stored form of a workflow's or activity's result: {"result": value, **facts}.

    Raises:
        ActivityFailure: it is no JSON ("result_not_json") or too large ("result_too_large").
    """
    try:
        text = payload.encode({"result": to_jsonable_python(value), **facts})
    except (PydanticSerializationError, PayloadError) as error:
        raise ActivityFailure("result_not_json", f"{what}: {error}", retryable=False) from error
    size = len(text) if text.isascii() else len(text.encode())
    if size > RESULT_LIMIT_BYTES:
        raise ActivityFailure(
            "result_too_large",
            f"{what} is {size} bytes, the limit is {RESULT_LIMIT_BYTES}",
            retryable=False,
        )
    return text


def decode_result(text: str, adapter: TypeAdapter[Any] | None) -> Any:
    """The value of a stored result, as the type that `adapter` describes."""
    value = payload.decode(text)["result"]
    return value if adapter is None else adapter.validate_python(value)


def encode_failure(error: ActivityFailure, **facts: object) -> str:
    """The stored form of a final failure: {"code", "message", "attempts", **facts}."""
    return payload.encode(
        {
            "code": payload.plain_text(error.code),
            "message": payload.plain_text(error.message),
            "attempts": error.attempts,
            **facts,
        }
    )


def failure_of(error: BaseException) -> ActivityFailure:
    """What an exception of user code means to a retry policy: its class name is its code."""
    if isinstance(error, ActivityFailure):
        return error
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return failure_of(error.exceptions[0])
    return ActivityFailure(type(error).__name__, str(error) or type(error).__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityInfo:
    """What an activity in the engine's process may ask about itself.

    Args:
        attempt: 1 for the first try of this life of the process.
        idempotency_key: the same for each attempt of this step, in this life and the next.
    """

    workflow_id: str
    attempt: int
    idempotency_key: str


_info: ContextVar[ActivityInfo] = ContextVar("beadflow_activity")


def activity_info() -> ActivityInfo:
    """Who I am, asked from within an activity that runs in the engine's process.

    Raises:
        LookupError: called from anywhere else. An agent's activity asks its `task` instead.
    """
    return _info.get()


async def run_attempts(
    definition: ActivityDefinition, value: Any, retry: RetryPolicy, workflow_id: str, op: str
) -> str:
    """Run an activity until it succeeds or its policy gives up; answers its stored result.

    Raises:
        ActivityFailure: the last attempt's failure; `attempts` is set on it.
    """
    attempt = 0
    while True:
        attempt += 1
        info = ActivityInfo(
            workflow_id=workflow_id,
            attempt=attempt,
            idempotency_key=idempotency_key(workflow_id, op),
        )
        _info.set(info)
        try:
            result = await _once(definition, value)
            return encode_result(
                result, f"the result of activity {definition.name!r}", attempts=attempt
            )
        except (Exception, SystemExit) as error:
            failure = failure_of(error)
            failure.attempts = attempt
            wait_s = retry.wait_s(attempt, failure.code, retryable=failure.retryable)
            if wait_s is None:
                raise failure from error
        await trio.sleep(wait_s)


async def _once(definition: ActivityDefinition, value: Any) -> Any:
    call: Callable[..., Any] = definition.function
    arguments = () if definition.input_type is None else (value,)
    with trio.move_on_after(definition.timeout_s) as scope, contained():
        if definition.is_async:
            result = await call(*arguments)
        else:
            result = await trio.to_thread.run_sync(call, *arguments, abandon_on_cancel=True)
        if trio.current_time() <= scope.deadline:  # code that never waits is never cancelled
            return result
    raise ActivityFailure(
        "start_to_close_timeout",
        f"activity {definition.name!r} took longer than {definition.timeout_s} s",
    )
