"""Running one attempt of an activity in the engine's own process, and its result as data.

The workflow sees the same value whether the activity ran just now or is answered from the history,
because both times it is read from the stored form. What comes back from there as it went in, of the
very type the activity names, is not read: that is most of what encoding and decoding cost a step.
"""

import math
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from typing import Any, Protocol

import trio
from pydantic import PydanticUserError, TypeAdapter
from pydantic import ValidationError as InputError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from actors import misfits
from actors.errors import WorkflowError
from actors.workflows.containment import contain
from actors.workflows.definition import ActivityDefinition, ActivityFailure
from storage import payload
from storage.errors import PayloadError
from supervision import Refused

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
            f"{what} is {size} bytes, the limit is {RESULT_LIMIT_BYTES}: store it as an artifact",
            retryable=False,
        )
    return text


def checked_input(definition: ActivityDefinition, given: Any) -> Any:
    """An input as its activity takes it.

    Raises:
        ActivityFailure: it is something else ("input_of_wrong_type"). Final, since every attempt
            gets the same.
    """
    try:
        return definition.input.validate_python(given)
    except InputError as error:
        first = misfits.first(error)
        what = ": ".join(filter(None, (".".join(map(str, first.place)), first.words)))
        raise ActivityFailure(
            "input_of_wrong_type",
            f"the input of activity {definition.name!r} does not fit: {what}",
            retryable=False,
        ) from error


def check_result(definition: ActivityDefinition, text: str) -> str:
    """A stored result that is what its activity says it answers.

    Looked at when the activity ends, not when the workflow reads it: there it would be an error in
    the workflow's own code, recorded behind a step that is done.

    Raises:
        ActivityFailure: it is something else ("result_of_wrong_type"). Final where an attempt must
            not be repeated: it has had its effect.
    """
    if definition.output_type is Any:
        return text
    try:
        decode_result(text, definition.output)
    except PydanticUserError:
        return text  # what no schema describes cannot be told apart
    except Exception as error:
        wanted = getattr(definition.output_type, "__name__", str(definition.output_type))
        raise ActivityFailure(
            "result_of_wrong_type",
            f"the result of activity {definition.name!r} is no {wanted}: {error}",
            retryable=not definition.at_most_once,
        ) from error
    return text


def decode_result(text: str, adapter: TypeAdapter[Any] | None) -> Any:
    """The value of a stored result, as the type that `adapter` describes."""
    value = payload.decode(text)["result"]
    return value if adapter is None else adapter.validate_python(value)


UNREAD: Any = object()
"""The value of a result that has to be read from its stored form."""

_UNCHANGED = frozenset({type(None), bool, int, str})
"""No floats: a type such as `int` takes some of them, and makes them another value."""


def _stored(definition: ActivityDefinition, result: object, attempt: int) -> tuple[str, Any]:
    """A result's stored form, and what `decode_result` would make of that, or `UNREAD`.

    To read it takes 1.4 µs, once to check it and once more for the workflow.
    """
    text = encode_result(result, f"the result of activity {definition.name!r}", attempts=attempt)
    kind, wanted = type(result), definition.output_type
    if kind in _UNCHANGED and (wanted is kind or wanted is Any):
        return text, result
    return check_result(definition, text), UNREAD


def encode_failure(error: ActivityFailure, **facts: object) -> str:
    """The stored form of a final failure: {"code", "message", "attempts", **facts}."""
    return payload.encode(
        {
            "code": payload.short_text(error.code),
            "message": payload.short_text(error.message),
            "attempts": error.attempts,
            **facts,
        }
    )


def failure_of(error: BaseException) -> ActivityFailure:
    """What an exception means to a retry policy: of user code, its class name is its code.

    What this system refuses has a code of its own, and says whether it may be asked again.
    """
    if isinstance(error, ActivityFailure):
        return error
    if isinstance(error, WorkflowError) and isinstance(error, Refused):
        return ActivityFailure(error.code, error.message, retryable=error.retryable)
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return failure_of(error.exceptions[0])
    return ActivityFailure(type(error).__name__, str(error) or type(error).__name__)


class ActivityInfo:
    """What an activity in the engine's process may ask about itself, and say of itself.

    Args:
        attempt: 1 for the first try; counted over restarts of the process.
        idempotency_key: the same for each attempt of this step, in this life and the next.
        heartbeat_details: what the attempt before said last; None when it said nothing.
    """

    def __init__(
        self,
        *,
        workflow_id: str,
        attempt: int,
        idempotency_key: str,
        heartbeat_details: Any = None,
        keep: Callable[[str], None] | None = None,
    ) -> None:
        self.workflow_id = workflow_id
        self.attempt = attempt
        self.idempotency_key = idempotency_key
        self.heartbeat_details = heartbeat_details
        self.is_cancelled = False
        self.beats = 0
        self._keep = keep
        self._kept_at = -math.inf

    def heartbeat(self, details: Any = None) -> None:
        """Say that it lives, and how far it is, from a task or a thread. Never blocks.

        The next attempt finds the details in `heartbeat_details`. Of those that follow each other
        within a second only the first is stored: a crash of the process may lose the others.

        Raises:
            PayloadError: the details are no JSON.
        """
        try:
            text = payload.encode(to_jsonable_python(details))
        except PydanticSerializationError as error:
            raise PayloadError("$", str(error)) from error
        self.beats += 1
        self.heartbeat_details = details
        now = monotonic()
        if self._keep is not None and now - self._kept_at >= KEEP_S:
            self._kept_at = now
            self._keep(text)


KEEP_S = 1.0
"""Heartbeats that come faster than this are kept in memory only."""

_info: ContextVar[ActivityInfo] = ContextVar("beadflow_activity")


def activity_info() -> ActivityInfo:
    """Who I am, asked from within an activity that runs in the engine's process.

    Raises:
        LookupError: called from anywhere else. An agent's activity asks its `task` instead.
    """
    return _info.get()


class Interruptible(Protocol):
    """What an attempt needs of the operation that it belongs to."""

    is_cancelled: bool

    def interruptible(self, seconds: float) -> trio.CancelScope:
        """Give the scope for a wait that a cancellation ends, or the time does."""


async def run_once(
    definition: ActivityDefinition,
    value: Any,
    info: ActivityInfo,
    timeout_s: float,
    operation: Interruptible,
) -> tuple[str, Any] | None:
    """Run one attempt of an activity; None when it was interrupted.

    Answers its stored result, and its value where that is known without reading it, else `UNREAD`.

    Raises:
        ActivityFailure: it failed; "start_to_close_timeout" and "heartbeat_timeout" are ours.
    """
    _info.set(info)
    try:
        run = _within if definition.heartbeat_timeout_s is None else _watched
        result = await run(definition, value, info, timeout_s, operation)
        if result is _INTERRUPTED:
            return None
        return _stored(definition, result, info.attempt)
    except (Exception, SystemExit) as error:
        failure = failure_of(error)
        failure.attempts = info.attempt
        raise failure from error
    except BaseException:
        info.is_cancelled = True  # for a thread, which cannot be stopped
        raise


_INTERRUPTED: Any = object()


async def _watched(
    definition: ActivityDefinition,
    value: Any,
    info: ActivityInfo,
    timeout_s: float,
    operation: Interruptible,
) -> Any:
    silent = False
    result = None

    async def watch() -> None:
        nonlocal silent
        beats = -1
        while beats != info.beats:
            beats = info.beats
            await trio.sleep(definition.heartbeat_timeout_s or 0.0)
        silent = True
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        result = await _within(definition, value, info, timeout_s, operation)
        nursery.cancel_scope.cancel()
    if silent:
        info.is_cancelled = True
        raise ActivityFailure(
            "heartbeat_timeout",
            f"activity {definition.name!r} was silent for {definition.heartbeat_timeout_s} s",
        )
    return result


async def _within(
    definition: ActivityDefinition,
    value: Any,
    info: ActivityInfo,
    timeout_s: float,
    operation: Interruptible,
) -> Any:
    arguments = () if definition.input_type is None else (value,)
    if definition.never_waits:  # a scope that could cut nothing off would cost it 5 µs
        deadline = trio.current_time() + timeout_s
        result = await _called(definition, arguments)
        if trio.current_time() <= deadline:
            return result
    else:
        with operation.interruptible(timeout_s) as scope:
            result = await _called(definition, arguments)
            if trio.current_time() <= scope.deadline:  # between waits, nothing cuts it off
                return result
    info.is_cancelled = True
    if operation.is_cancelled:
        return _INTERRUPTED
    raise ActivityFailure(
        "start_to_close_timeout",
        f"activity {definition.name!r} took longer than {timeout_s} s",
    )


async def _called(definition: ActivityDefinition, arguments: tuple[Any, ...]) -> Any:
    call: Callable[..., Any] = definition.function
    try:
        if definition.is_async:
            return await call(*arguments)
        return await trio.to_thread.run_sync(call, *arguments, abandon_on_cancel=True)
    except Exception:
        raise
    except BaseException as error:
        contain(error)
        raise
