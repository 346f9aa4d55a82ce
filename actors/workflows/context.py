"""The context: all that a workflow knows of the world.

A workflow's function runs again from its first line after a restart. Whatever it gets from here is
answered from the history where the history has it, and happens only once the code is at its
frontier. Nothing else in a workflow may read clocks, random numbers, files or sockets.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, overload

import trio
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from actors.workflows.activities import decode_result, encode_failure, encode_result, run_attempts
from actors.workflows.definition import (
    ActivityDefinition,
    ActivityFailure,
    RetryPolicy,
    activity_of,
)
from actors.workflows.history import NOTHING, Kind
from actors.workflows.journal import Journal
from actors.workflows.messages import NewTask
from actors.workflows.replay import NonDeterminismError, Recorded, Replay
from actors.workflows.strand import Strand
from storage import payload
from storage.workflows.records import TaskRow

T = TypeVar("T")

_NOTHING: Any = object()


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


class Surroundings(Protocol):
    """What the context needs of the actor that runs the workflow."""

    def offer_task(self) -> None:
        """Hint that a task row is ready for an agent."""

    async def task_outcome(self, op: str) -> TaskRow:
        """Wait until the task of this operation is done or failed for good."""

    def log(self, message: str, level: str) -> None:
        """Put a line into the workflow's log."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One request for an activity, resolved."""

    name: str
    agent_type: str | None
    retry: RetryPolicy
    timeout_s: float
    input: Any
    output: TypeAdapter[Any] | None
    definition: ActivityDefinition | None


@dataclass(slots=True)
class Context:
    """Given to every workflow function as its first argument.

    Args:
        workflow_id: this workflow.
        issue_id: the issue it became.
    """

    workflow_id: str
    issue_id: str
    _replay: Replay
    _journal: Journal
    _surroundings: Surroundings
    _stalled: bool = False
    _waiting: dict[str, str] = field(default_factory=dict)

    @property
    def stalled(self) -> bool:
        """Whether it is recorded as stalled, and has not got further since."""
        return self._stalled

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The operations in progress, as "op name"."""
        return tuple(f"{op} {name}" for op, name in self._waiting.items())

    @overload
    async def activity(
        self,
        target: Callable[..., Coroutine[Any, Any, T]],
        input: Any = ...,
        *,
        retry: RetryPolicy | None = None,
    ) -> T: ...
    @overload
    async def activity(
        self,
        target: Callable[..., T],
        input: Any = ...,
        *,
        retry: RetryPolicy | None = None,
    ) -> T: ...
    @overload
    async def activity(
        self,
        target: str,
        input: Any = ...,
        *,
        agent: str,
        retry: RetryPolicy | None = None,
        timeout_s: float = 600.0,
    ) -> Any: ...
    async def activity(
        self,
        target: Callable[..., Any] | str,
        input: Any = _NOTHING,  # noqa: A002
        *,
        agent: str | None = None,
        retry: RetryPolicy | None = None,
        timeout_s: float = 600.0,
    ) -> Any:
        """Have an activity done, and answer its result.

        Args:
            target: a function decorated with `@activity`, which runs in the engine's process; or a
                method of an `Agent`; or the name of an agent's activity, with `agent` its type.
            input: its one input, a pydantic model or plain JSON; leave it out if it takes none.
            agent: the agent type, when `target` is a name.
            retry: overrides the activity's own policy.
            timeout_s: start to close of one attempt in seconds, when `target` is a name.

        Raises:
            ActivityError: it failed for good. The failure is recorded like a result.

        The result is durable before this workflow's next effect, answer or end. The activity may
        run again after a crash, with the same idempotency key, until its result is recorded.
        """
        call = _resolve(target, input, agent, retry, timeout_s)
        op = Strand.current().next_op()
        record = self._replay.take(op, "activity", call.name)
        if record is not None and record.outcome is not None:
            return _answer(call, record.outcome.kind, record.outcome.payload)
        self._waiting[op] = call.name
        try:
            kind, text = await self._perform(op, call, record)
        finally:
            del self._waiting[op]
        return _answer(call, kind, text)

    async def gather(self, *branches: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
        """Run branches at once and answer their results in order.

        Every branch runs to its end, so that a replay sees the same; then the failure of the first
        one in order is raised, if any failed. Only a branch that differs from the history ends the
        others at once: the workflow stalls, and nothing more may happen.
        """
        try:
            op = Strand.current().next_op()
            self._replay.fork(op)
        except BaseException:
            _close(branches)
            raise
        results: list[Any] = [None] * len(branches)
        failures: dict[int, Exception] = {}
        differing: list[NonDeterminismError] = []

        async def run(index: int, branch: Awaitable[Any]) -> None:
            Strand.enter(f"{op}.{index}")
            try:
                results[index] = await branch
            except NonDeterminismError as error:
                differing.append(error)
                nursery.cancel_scope.cancel()
            except Exception as error:  # noqa: BLE001 - kept, and raised below
                failures[index] = error

        async with trio.open_nursery() as nursery:
            for index, branch in enumerate(branches):
                nursery.start_soon(run, index, branch)
        if differing:
            raise differing[0]
        if failures:
            raise failures[min(failures)]
        return tuple(results)

    async def side_effect(self, produce: Callable[[], T]) -> T:
        """Answer what `produce()` returned the first time, whenever the workflow runs again.

        For a value that is cheap to make and differs each time: a date, a random number, an
        environment variable. The value must be JSON.
        """
        op = Strand.current().next_op()
        record = self._replay.take(op, "side effect")
        if record is not None and record.outcome is not None:
            return decode_result(record.outcome.payload, None)  # type: ignore[no-any-return]
        text = encode_result(produce(), f"side effect {op}")
        self._go_live()
        self._journal.append(Kind.SIDE_EFFECT_RECORDED, op=op, payload=text)
        return decode_result(text, None)  # type: ignore[no-any-return]

    def log(self, message: str, *, level: str = "info") -> None:
        """Put a line into the workflow's log.

        A replay does not repeat it up to the last recorded operation; a line after that one may
        come twice.
        """
        if not self._replay.behind:
            self._surroundings.log(message, level)

    async def _perform(self, op: str, call: _Call, record: Recorded | None) -> tuple[Kind, str]:
        await trio.lowlevel.checkpoint_if_cancelled()  # another branch may have stalled us
        self._go_live()
        if call.agent_type is None:
            return await self._perform_here(op, call)
        if record is None:
            self._schedule(op, call)
        await self._journal.barrier()
        self._surroundings.offer_task()
        row = await self._surroundings.task_outcome(op)
        kind = Kind.ACTIVITY_COMPLETED if row.state == "done" else Kind.ACTIVITY_FAILED
        text = row.outcome or NOTHING
        self._journal.append(kind, op=op, name=call.name, payload=text, consumes_task=True)
        return kind, text

    async def _perform_here(self, op: str, call: _Call) -> tuple[Kind, str]:
        assert call.definition is not None  # noqa: S101 - for mypy: only names have none
        await self._journal.barrier()
        try:
            kind, text = (
                Kind.ACTIVITY_COMPLETED,
                await run_attempts(call.definition, call.input, call.retry, self.workflow_id, op),
            )
        except ActivityFailure as failure:
            kind, text = Kind.ACTIVITY_FAILED, encode_failure(failure)
        self._journal.append(kind, op=op, name=call.name, payload=text)
        return kind, text

    def _schedule(self, op: str, call: _Call) -> None:
        assert call.agent_type is not None  # noqa: S101 - for mypy: the caller has checked
        policy = payload.encode({"timeout_s": call.timeout_s, "retry": _policy(call.retry)})
        self._journal.append(
            Kind.ACTIVITY_SCHEDULED,
            op=op,
            name=call.name,
            payload=payload.encode({"agent_type": call.agent_type}),
            task=NewTask(
                op=op,
                agent_type=call.agent_type,
                activity=call.name,
                input=payload.encode(to_jsonable_python(call.input)),
                policy=policy,
            ),
        )

    def _go_live(self) -> None:
        if self._stalled:
            self._stalled = False
            self._journal.append(Kind.WORKFLOW_ACTIVATED)


def _policy(retry: RetryPolicy) -> dict[str, Any]:
    return {
        "attempts": retry.attempts,
        "initial_s": retry.initial_s,
        "coefficient": retry.coefficient,
        "maximum_s": retry.maximum_s,
        "non_retryable": list(retry.non_retryable),
    }


def _resolve(
    target: Callable[..., Any] | str,
    value: Any,
    agent: str | None,
    retry: RetryPolicy | None,
    timeout_s: float,
) -> _Call:
    given = None if value is _NOTHING else value
    if isinstance(target, str):
        if agent is None:
            raise TypeError(f"activity {target!r} is given by name: say which agent=... does it")
        return _Call(target, agent, retry or RetryPolicy(), timeout_s, given, None, None)
    found = activity_of(target)
    if found is None:
        raise TypeError(f"{target!r} is not an activity: decorate it with @activity")
    return _Call(
        name=found.name,
        agent_type=found.agent_type,
        retry=retry or found.retry,
        timeout_s=found.timeout_s,
        input=given if found.agent_type else found.input.validate_python(given),
        output=found.output,
        definition=found,
    )


def _answer(call: _Call, kind: Kind, text: str) -> Any:
    if kind is Kind.ACTIVITY_COMPLETED:
        return decode_result(text, call.output)
    failure = payload.decode(text)
    raise ActivityError(call.name, failure["code"], failure["message"], failure["attempts"])


def _close(branches: Iterable[Coroutine[Any, Any, Any]]) -> None:
    for branch in branches:
        branch.close()
