"""What a workflow waits for that takes long: timers, signals, and workflows of its own."""

import itertools
from datetime import datetime, timedelta
from typing import Any

import trio
from pydantic import PydanticUserError, TypeAdapter
from pydantic_core import to_jsonable_python

from actors.clock import rfc3339
from actors.workflows.activities import decode_result
from actors.workflows.causes import note_failure
from actors.workflows.definition import WorkflowDefinition
from actors.workflows.execution import Execution
from actors.workflows.history import Kind
from actors.workflows.messages import NewChild
from actors.workflows.replay import CHILD, SIGNAL, TIMER, Recorded
from actors.workflows.strand import Strand
from storage import payload
from storage.workflows.records import MessageRow

GENERATIONS = 50
"""How deep workflows may be nested: a workflow that starts itself as its child ends there."""

LOOK_S = 1.0
"""How often a timer looks at the wall clock, which may jump, or have stood still in a suspend."""


class ChildError(Exception):
    """A child workflow did not complete: what its parent's function sees of it.

    Args:
        workflow_id: the child.
        name: its workflow type.
        code: the failure's stable code; "cancelled" or "terminated" where it was.
        message: one sentence.
    """

    def __init__(self, workflow_id: str, name: str, code: str, message: str) -> None:
        super().__init__(f"child workflow {name!r} ({workflow_id}) failed with {code}: {message}")
        self.workflow_id = workflow_id
        self.name = name
        self.code = code
        self.message = message


async def sleep(execution: Execution, seconds: float) -> None:
    """See `Context.sleep`."""
    if not isinstance(seconds, int | float):
        raise TypeError(f"sleep takes a number of seconds, not {seconds!r}")
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"sleep takes a number of seconds, not negative and finite: {seconds}")
    op, record = execution.take(TIMER)
    if record is not None and record.outcome is not None:
        return
    if record is None or record.opened is None:
        await execution.unpaused()  # the time begins when the timer does
        fire_at = _from_now(execution, seconds)
    else:
        fire_at = datetime.fromisoformat(payload.decode(record.opened.payload)["fire_at"])

    async def wait() -> None:
        if record is None:
            body = payload.encode({"fire_at": rfc3339(fire_at)})
            execution.journal.append(Kind.TIMER_STARTED, op=op, payload=body)
        await execution.journal.barrier()
        await _until(execution, fire_at)
        execution.journal.append(Kind.TIMER_FIRED, op=op)

    await execution.perform(op, TIMER, "", wait, parkable=True, wake_at=fire_at)


def _from_now(execution: Execution, seconds: float) -> datetime:
    try:
        return execution.surroundings.now() + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"sleep ends after the year 9999: {seconds} s") from error


async def _until(execution: Execution, moment: datetime) -> None:
    """Wait for the wall clock."""
    while (left := moment - execution.surroundings.now()) > timedelta(0):  # noqa: ASYNC110 - time itself
        await trio.sleep(min(left.total_seconds(), LOOK_S))


async def signal(execution: Execution, name: str, adapter: TypeAdapter[Any] | None) -> Any:
    """See `Context.signal`."""
    op, record = execution.take(SIGNAL, name)
    if record is not None and record.outcome is not None:
        return _value(record.outcome.payload, adapter)
    strand = Strand.current()

    async def wait() -> str:
        return await consume(execution, op, name, strand)

    text = await execution.perform(op, SIGNAL, name, wait, parkable=True, signal=name)
    return _value(text, adapter)


async def consume(execution: Execution, op: str, name: str, strand: Strand) -> str:
    """Wait for the next signal of a name, and record it as the operation's; its stored value."""
    await execution.journal.barrier()
    message = await _next(execution, name, strand)
    execution.journal.append(
        Kind.SIGNAL_CONSUMED,
        op=op,
        name=name,
        payload=message.payload,
        message_id=message.message_id,
    )
    return message.payload


async def _next(execution: Execution, name: str, strand: Strand) -> MessageRow:
    while True:
        waiting = execution.signals.get(name)
        if waiting and not strand.has_lost:
            return waiting.popleft()
        await execution.surroundings.news()


def _value(text: str, adapter: TypeAdapter[Any] | None) -> Any:
    value = payload.decode(text)
    return value if adapter is None else adapter.validate_python(value)


async def child(
    execution: Execution,
    definition: WorkflowDefinition,
    variables: Any,
    on_parent_close: str,
) -> Any:
    """See `Context.child`."""
    op, record = execution.take(CHILD, definition.name)
    if record is not None and record.outcome is not None:
        return _child_result(definition, op, record.outcome.kind, record.outcome.payload)
    child_id = _child_id(execution, op, record)
    strand = Strand.current()
    # Refused here and not in `perform`: nothing is recorded of it, and a replay refuses it again.
    new = _new_child(execution, op, definition, variables, on_parent_close) if not record else None

    async def wait() -> tuple[Kind, str]:
        if new is not None:
            _start(execution, new)
        await execution.journal.barrier()
        while (end := execution.surroundings.child_end(child_id)) is None:
            await execution.surroundings.news()
        cancelled = end.kind is Kind.WORKFLOW_CANCELLED and execution.cancel_reason is not None
        if cancelled and strand.takes_cancellation:
            raise execution.cancelled(strand, op, CHILD, definition.name)
        kind, text = _checked(definition, child_id, *_outcome(child_id, end.kind, end.payload))
        execution.journal.append(kind, op=op, name=definition.name, payload=text)
        return kind, text

    kind, text = await execution.perform(
        op,
        CHILD,
        definition.name,
        wait,
        parkable=True,
        ends_itself=on_parent_close != "abandon",
        child_id=child_id,
    )
    return _child_result(definition, op, kind, text)


def _check_depth(execution: Execution, op: str, definition: WorkflowDefinition) -> None:
    if execution.generation >= GENERATIONS:
        text = f"workflows are nested {GENERATIONS} deep already"
        child_id = f"{execution.workflow_id}.?"
        error = ChildError(child_id, definition.name, "too_many_generations", text)
        note_failure(error, op)
        raise error


def _child_id(execution: Execution, op: str, record: Recorded | None) -> str:
    if record is None or record.opened is None:
        return _new_id(execution, op)
    return str(payload.decode(record.opened.payload)["workflow_id"])


def _new_id(execution: Execution, op: str) -> str:
    """The id of the child that an operation starts: another one than a retry has left there."""
    first = f"{execution.workflow_id}.{op}"
    ids = itertools.chain([first], (f"{first}~~{number}" for number in itertools.count(2)))
    return next(child_id for child_id in ids if child_id not in execution.replay.taken)


def _new_child(
    execution: Execution,
    op: str,
    definition: WorkflowDefinition,
    variables: Any,
    on_parent_close: str,
) -> NewChild:
    _check_depth(execution, op, definition)
    plain = to_jsonable_python({} if variables is None else variables)
    definition.parse(plain)
    return NewChild(
        workflow_id=_new_id(execution, op),
        op=op,
        name=definition.name,
        version=definition.version,
        variables=payload.encode(plain),
        agent_type=definition.agent_type,
        on_parent_close=on_parent_close,
        generation=execution.generation + 1,
    )


def _start(execution: Execution, new: NewChild) -> None:
    body = {"workflow_id": new.workflow_id, "version": new.version}
    execution.journal.append(
        Kind.CHILD_STARTED, op=new.op, name=new.name, payload=payload.encode(body), child=new
    )


def _outcome(child_id: str, kind: Kind, text: str) -> tuple[Kind, str]:
    """The event that records a child's end with its parent."""
    body = payload.decode(text)
    match kind:
        case Kind.WORKFLOW_COMPLETED | Kind.WORKFLOW_COMPLETED_BY_HAND:
            kept = {"result": body["result"], "workflow_id": child_id}
            return Kind.CHILD_COMPLETED, payload.encode(kept)
        case Kind.WORKFLOW_FAILED:
            failure = {"code": body["code"], "message": body["message"]}
        case _:
            code = str(kind).removeprefix("workflow_")
            failure = {"code": code, "message": body["reason"]}
    return Kind.CHILD_FAILED, payload.encode({**failure, "workflow_id": child_id})


def _checked(
    definition: WorkflowDefinition, child_id: str, kind: Kind, text: str
) -> tuple[Kind, str]:
    """A result that is not what the child's function says it answers is a failure of the child.

    Looked at when the child ends, not when its parent reads it: there it would be an error in the
    parent's own code, recorded behind a child that is done.
    """
    if kind is not Kind.CHILD_COMPLETED:
        return kind, text
    try:
        decode_result(text, definition.output)
    except PydanticUserError:
        return kind, text  # what no schema describes cannot be told apart
    except Exception as error:  # noqa: BLE001 - whatever a type's own validators raise
        why = payload.short_text(f"its result is of another type: {error}")
        failure = {"code": "result_of_wrong_type", "message": why, "workflow_id": child_id}
        return Kind.CHILD_FAILED, payload.encode(failure)
    return kind, text


def _child_result(definition: WorkflowDefinition, op: str, kind: Kind, text: str) -> Any:
    if kind is Kind.CHILD_COMPLETED:
        return decode_result(text, definition.output)
    body = payload.decode(text)
    error = ChildError(body["workflow_id"], definition.name, body["code"], body["message"])
    note_failure(error, op)
    raise error
