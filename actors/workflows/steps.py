"""Steps: activities and transactions of a workflow, from the first attempt to the recorded end."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import trio
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from actors.clock import rfc3339
from actors.workflows.activities import (
    UNREAD,
    ActivityInfo,
    check_result,
    decode_result,
    encode_failure,
    encode_result,
    failure_of,
    run_once,
)
from actors.workflows.causes import note_failure
from actors.workflows.containment import contained
from actors.workflows.definition import (
    ActivityDefinition,
    ActivityFailure,
    NotDone,
    RetryPolicy,
    activity_of,
    check_times,
)
from actors.workflows.execution import Execution, Interrupted, Pending
from actors.workflows.history import NOTHING, Kind, idempotency_key
from actors.workflows.messages import NewTask, RecordHeartbeat
from actors.workflows.replay import ACTIVITY, TRANSACTION, Recorded
from actors.workflows.strand import Strand
from storage import payload

MISSING: Any = object()


class ActivityError(Exception):
    """An activity failed for good: what the workflow's function sees of it.

    Args:
        activity: its name.
        code: the failure's stable code, e.g. an exception's class name.
        message: one sentence.
        attempts: how often it was tried.
    """

    def __init__(self, activity: str, code: str, message: str, attempts: int) -> None:
        super().__init__(f"activity {activity!r} failed with {code}: {message}")
        self.activity = activity
        self.code = code
        self.message = message
        self.attempts = attempts


@dataclass(frozen=True, slots=True)
class Call:
    """One request for an activity, resolved."""

    definition: ActivityDefinition
    input: Any
    output: TypeAdapter[Any] | None

    @property
    def name(self) -> str:
        return self.definition.name


def resolve(
    target: Callable[..., Any] | str,
    value: Any,
    agent: str | None,
    policies: dict[str, Any],
) -> Call:
    """What is asked for, with the policies of this call in place of the activity's own."""
    given = None if value is MISSING else value
    own = {name: policy for name, policy in policies.items() if policy is not None}
    if own:
        check_times("ctx.activity", {n: own[n] for n in own if n != "retry"})
    if isinstance(target, str):
        if agent is None:
            raise TypeError(f"activity {target!r} is given by name: say which agent=... does it")
        named = ActivityDefinition(
            name=target,
            function=_unknown,
            retry=RetryPolicy(),
            timeout_s=600.0,
            input_type=Any,
            output_type=Any,
            is_async=True,
            agent_type=agent,
        )
        return Call(replace(named, **own), given, None)
    found = activity_of(target)
    if found is None:
        raise TypeError(f"{target!r} is not an activity: decorate it with @activity")
    if agent is not None:
        raise TypeError(
            f"activity {found.name!r} says itself where it runs: agent= is for one given by name"
        )
    checked = given if found.agent_type else found.input.validate_python(given)
    return Call(replace(found, **own) if own else found, checked, found.output)


async def _unknown() -> None:
    """Stand for the code of an activity that is given by its name."""


async def activity(execution: Execution, call: Call) -> Any:
    """See `Context.activity`."""
    op, record = execution.take(ACTIVITY, call.name)
    if record is not None and record.outcome is not None:
        return _answer(call, op, record.outcome.kind, record.outcome.payload)
    if call.definition.agent_type is not None:
        step = _Step(execution, call, op, record)
        kind, text = await execution.perform(op, ACTIVITY, call.name, step.elsewhere)
    else:
        pending = Pending(ACTIVITY, call.name, Strand.current())
        attempts = _Attempts(_Step(execution, call, op, record), pending)
        kind, text, value = await execution.carry_out(op, pending, attempts.run)
        if value is not UNREAD:
            return value
    return _answer(call, op, kind, text)


@dataclass(slots=True)
class _Step:
    """An activity that has not ended yet."""

    execution: Execution
    call: Call
    op: str
    record: Recorded | None

    async def elsewhere(self) -> tuple[Kind, str]:
        """An agent does it: its row is the order, and holds the outcome."""
        journal, surroundings = self.execution.journal, self.execution.surroundings
        if self.record is None:
            self._schedule()
        await journal.barrier()
        surroundings.offer_task()
        while (row := surroundings.task_outcome(self.op)) is None:
            await surroundings.news()
        kind = Kind.ACTIVITY_COMPLETED if row.state == "done" else Kind.ACTIVITY_FAILED
        text = row.outcome or NOTHING
        journal.append(
            kind,
            op=self.op,
            name=self.call.name,
            payload=text,
            consumes_task=True,
        )
        return kind, text

    def _schedule(self) -> None:
        definition, now = self.call.definition, self.execution.surroundings.now()
        assert definition.agent_type is not None  # noqa: S101 - for mypy: the caller has checked
        task = NewTask(
            op=self.op,
            agent_type=definition.agent_type,
            activity=definition.name,
            input=payload.encode(to_jsonable_python(self.call.input)),
            policy=payload.encode(_policy(definition)),
            start_by=_after(now, definition.schedule_to_start_s),
            close_by=_after(now, definition.schedule_to_close_s),
        )
        self.execution.journal.append(
            Kind.ACTIVITY_SCHEDULED,
            op=self.op,
            name=definition.name,
            payload=payload.encode({"agent_type": definition.agent_type}),
            task=task,
        )


_CUT_OFF = frozenset({"start_to_close_timeout", "heartbeat_timeout"})
"""Failures after which an attempt's thread may still be at it."""


class _Attempts:
    """The attempts of one activity in this process, those of earlier lives included.

    A cancellation interrupts an attempt, or the wait for the next one; not the journal, which takes
    no long time.
    """

    __slots__ = (
        "_attempt",
        "_definition",
        "_details",
        "_execution",
        "_first_at",
        "_next_at",
        "_pending",
        "_retried",
        "_step",
        "beat",
    )

    def __init__(self, step: _Step, pending: Pending) -> None:
        self._step = step
        self._pending = pending
        self._execution = step.execution
        self._definition = step.call.definition
        self._retried = step.record.retried if step.record is not None else None
        past = {} if self._retried is None else payload.decode(self._retried.payload)
        self._attempt = int(past.get("attempt", 0))
        self._next_at = past.get("next_at")
        self._first_at: datetime | None = (
            datetime.fromisoformat(past["first_at"]) if "first_at" in past else None
        )
        self._details: Any = None
        self.beat = False

    async def run(self) -> tuple[Kind, str, Any]:
        """Attempt after attempt, each failed one recorded; the outcome, recorded too.

        Answers the outcome's event, and the result's value where that need not be read, else
        `UNREAD`.
        """
        kind, value = Kind.ACTIVITY_COMPLETED, UNREAD
        try:
            text, value = await self._result()
        except ActivityFailure as failure:
            kind, text = Kind.ACTIVITY_FAILED, encode_failure(failure)
        self._execution.journal.append(
            kind,
            op=self._step.op,
            name=self._definition.name,
            payload=text,
            ends_heartbeat=self.beat,
        )
        return kind, text, value

    async def _result(self) -> tuple[str, Any]:
        """The stored result, and its value or `UNREAD`.

        Raises:
            ActivityFailure: the last attempt's; `attempts` is set on it.
            Interrupted: the operation was cancelled.
        """
        if self._execution.recovered:
            self._recall()
        if self._step.record is not None:
            known = await self._reconciled()
            if known is not None:
                return known, UNREAD
        while True:
            if self._next_at is not None:
                await self._wait(self._next_at)
            self._attempt += 1
            try:
                return await self._once()
            except ActivityFailure as failure:
                if self._definition.at_most_once and failure.code in _CUT_OFF:
                    known = await self._looked_up(failure.message)
                    if known is not None:
                        return known, UNREAD
                self._failed(failure)

    def _recall(self) -> None:
        """What the last attempt of an earlier life said of how far it was."""
        text = self._execution.surroundings.last_heartbeat(self._step.op)
        if text is not None:
            self._details, self.beat = payload.decode(text), True

    async def _reconciled(self) -> str | None:
        """What became of an attempt that a crash cut off, where it must not be repeated."""
        started = None if self._step.record is None else self._step.record.opened
        if started is None or (self._retried is not None and self._retried.seq > started.seq):
            return None
        self._attempt = payload.decode(started.payload)["attempt"]
        return await self._looked_up("the process ended in the middle of it")

    async def _looked_up(self, why_unknown: str) -> str | None:
        """What the reconcile hook says of an attempt of unknown end; None when it had no effect.

        Raises:
            ActivityFailure: "uncertain".
        """
        hook, definition = self._definition.reconcile, self._definition
        if hook is None:
            text = f"{why_unknown}, and it has no reconcile hook"
            raise _uncertain(definition, self._attempt, text)
        value = None
        done = False
        try:
            with self._pending.interruptible(), contained():
                value = hook() if definition.input_type is None else hook(self._step.call.input)
                if inspect.isawaitable(value):
                    value = await value
                done = True
        except NotDone:
            return None
        except (Exception, SystemExit) as error:
            why = failure_of(error)
            text = f"{why_unknown}, and its reconcile hook failed with {why.code}: {why.message}"
            raise _uncertain(definition, self._attempt, text) from error
        if not done:
            raise Interrupted
        what = f"the result of reconciling activity {definition.name!r}"
        text = encode_result(value, what, attempts=self._attempt, reconciled=True)
        return check_result(definition, text)

    async def _wait(self, next_at: str) -> None:
        """Until the next attempt may begin."""
        await self._execution.journal.barrier()
        left = datetime.fromisoformat(next_at) - self._execution.surroundings.now()
        with self._pending.interruptible():
            await trio.sleep(max(0.0, left.total_seconds()))
            await self._execution.unpaused()  # an attempt is something new
        self._pending.go_on()

    async def _once(self) -> tuple[str, Any]:
        execution, definition = self._execution, self._definition
        if definition.at_most_once:
            body = payload.encode({"attempt": self._attempt})
            execution.journal.append(
                Kind.ACTIVITY_STARTED, op=self._step.op, name=definition.name, payload=body
            )
        await execution.journal.barrier()
        if definition.schedule_to_close_s is not None and self._first_at is None:
            self._first_at = execution.surroundings.now()
        info = ActivityInfo(
            workflow_id=execution.workflow_id,
            attempt=self._attempt,
            idempotency_key=idempotency_key(execution.workflow_id, self._step.op),
            heartbeat_details=self._details,
            keep=self._keep,
        )
        self._pending.go_on()
        try:
            done = await run_once(
                definition, self._step.call.input, info, self._time_left(), self._pending
            )
        finally:
            self._details, self.beat = info.heartbeat_details, self.beat or info.beats > 0
        if done is None:
            raise Interrupted
        return done

    def _time_left(self) -> float:
        left = self._left_s()
        return self._definition.timeout_s if left is None else min(self._definition.timeout_s, left)

    def _left_s(self) -> float | None:
        """Seconds that remain of schedule to close."""
        total_s = self._definition.schedule_to_close_s
        if total_s is None or self._first_at is None:
            return total_s
        passed = self._execution.surroundings.now() - self._first_at
        return max(0.0, total_s - passed.total_seconds())

    def _keep(self, details: str) -> None:
        self._execution.surroundings.heartbeat(
            RecordHeartbeat(
                workflow_id=self._execution.workflow_id,
                op=self._step.op,
                attempt=self._attempt,
                details=details,
                at=rfc3339(self._execution.surroundings.now()),
            )
        )

    def _failed(self, failure: ActivityFailure) -> None:
        """Record a failed attempt that another one follows.

        Raises:
            ActivityFailure: no other one follows.
        """
        failure.attempts = self._attempt
        retry = self._definition.retry
        wait_s = retry.wait_s(self._attempt, failure.code, retryable=failure.retryable)
        left_s = self._left_s()
        if left_s is not None and (left_s <= 0 or (wait_s is not None and wait_s >= left_s)):
            raise _out_of_time(self._definition, failure) from failure
        if wait_s is None:
            raise failure
        next_at = rfc3339(self._execution.surroundings.now() + timedelta(seconds=wait_s))
        self._next_at = next_at
        body: dict[str, Any] = {
            "attempt": self._attempt,
            "code": payload.short_text(failure.code),
            "message": payload.short_text(failure.message),
            "next_at": next_at,
        }
        if self._first_at is not None:
            body["first_at"] = rfc3339(self._first_at)
        self._execution.journal.append(
            Kind.ACTIVITY_RETRIED,
            op=self._step.op,
            name=self._definition.name,
            payload=payload.encode(body),
        )


def _after(now: datetime, seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(now + timedelta(seconds=seconds))


def _uncertain(definition: ActivityDefinition, attempt: int, why: str) -> ActivityFailure:
    text = f"whether activity {definition.name!r} had its effect is not known: {why}"
    failure = ActivityFailure("uncertain", text, retryable=False)
    failure.attempts = attempt
    return failure


def _out_of_time(definition: ActivityDefinition, last: ActivityFailure) -> ActivityFailure:
    failure = ActivityFailure(
        "schedule_to_close_timeout",
        f"activity {definition.name!r} was not done within {definition.schedule_to_close_s} s;"
        f" its attempt {last.attempts} failed with {last.code}: {last.message}",
    )
    failure.attempts = last.attempts
    return failure


def _policy(definition: ActivityDefinition) -> dict[str, Any]:
    retry = definition.retry
    policy: dict[str, Any] = {
        "timeout_s": definition.timeout_s,
        "retry": {
            "attempts": retry.attempts,
            "initial_s": retry.initial_s,
            "coefficient": retry.coefficient,
            "maximum_s": retry.maximum_s,
            "non_retryable": list(retry.non_retryable),
            "jitter": retry.jitter,
        },
    }
    for name in ("schedule_to_start_s", "schedule_to_close_s", "heartbeat_timeout_s"):
        seconds = getattr(definition, name)
        if seconds is not None:
            policy[name] = seconds
    return policy


async def transaction(execution: Execution, function: Callable[[Any, Any], Any], value: Any) -> Any:
    """See `Context.tx`."""
    name = function.__name__
    op, record = execution.take(TRANSACTION, name)
    if record is not None and record.outcome is not None:
        return _transacted(name, op, record.outcome.kind, record.outcome.payload)

    async def work() -> tuple[Kind, str]:
        done = await execution.journal.transaction(op, name, function, value)
        return done.kind, done.payload

    kind, text = await execution.perform(op, TRANSACTION, name, work)
    return _transacted(name, op, kind, text)


def _transacted(name: str, op: str, kind: Kind, text: str) -> Any:
    if kind is Kind.TRANSACTION_COMPLETED:
        return decode_result(text, None)
    raise _error(name, op, text)


def _answer(call: Call, op: str, kind: Kind, text: str) -> Any:
    if kind is Kind.ACTIVITY_COMPLETED:
        return decode_result(text, call.output)
    raise _error(call.name, op, text)


def _error(name: str, op: str, text: str) -> ActivityError:
    failure = payload.decode(text)
    error = ActivityError(name, failure["code"], failure["message"], failure["attempts"])
    note_failure(error, op)
    return error
