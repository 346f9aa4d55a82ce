"""The context: all that a workflow knows of the world.

A workflow's function runs again from its first line after a restart. Whatever it gets from here is
answered from the history where the history has it, and happens only once the code is at its
frontier. Nothing else in a workflow may read clocks, random numbers, files or sockets.
"""

import inspect
import random
import uuid
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, NoReturn, TypeVar, overload

from pydantic import BaseModel, TypeAdapter

from actors.clock import rfc3339
from actors.errors import Conflict, ValidationError
from actors.workflows import branches, gates, steps, waits
from actors.workflows.activities import decode_result, encode_result, failure_of
from actors.workflows.branches import Selected
from actors.workflows.containment import contained
from actors.workflows.definition import RetryPolicy, WorkflowDefinition, workflow_of
from actors.workflows.execution import ContinueAsNew, Execution
from actors.workflows.gates import Decision
from actors.workflows.history import Kind
from actors.workflows.replay import SIDE_EFFECT, NonDeterminismError
from actors.workflows.saga import Saga
from actors.workflows.steps import MISSING
from actors.workflows.strand import Strand, StrandError
from storage import payload

T = TypeVar("T")

BEFORE = 0
"""The version of a run that passed a change before it was made."""

NAME_CHARACTERS = 200
"""As long as the name of a signal or query may be in a request."""

PARENT_CLOSE = ("terminate", "cancel", "abandon")


class Context:
    """Given to every workflow function as its first argument."""

    __slots__ = ("_execution",)

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @property
    def workflow_id(self) -> str:
        """This workflow."""
        return self._execution.workflow_id

    @property
    def issue_id(self) -> str:
        """The issue it became; "" for a child workflow, which makes none."""
        return self._execution.issue_id

    @property
    def run(self) -> int:
        """1, and one more for each time it continued as new."""
        return self._execution.run

    @overload
    async def activity(
        self,
        target: Callable[..., Coroutine[Any, Any, T]],
        input: Any = ...,
        *,
        retry: RetryPolicy | None = None,
        timeout_s: float | None = None,
        schedule_to_start_s: float | None = None,
        schedule_to_close_s: float | None = None,
        heartbeat_timeout_s: float | None = None,
    ) -> T: ...
    @overload
    async def activity(
        self,
        target: Callable[..., T],
        input: Any = ...,
        *,
        retry: RetryPolicy | None = None,
        timeout_s: float | None = None,
        schedule_to_start_s: float | None = None,
        schedule_to_close_s: float | None = None,
        heartbeat_timeout_s: float | None = None,
    ) -> T: ...
    @overload
    async def activity(
        self,
        target: str,
        input: Any = ...,
        *,
        agent: str,
        retry: RetryPolicy | None = None,
        timeout_s: float | None = None,
        schedule_to_start_s: float | None = None,
        schedule_to_close_s: float | None = None,
        heartbeat_timeout_s: float | None = None,
    ) -> Any: ...
    async def activity(
        self,
        target: Callable[..., Any] | str,
        input: Any = MISSING,  # noqa: A002
        *,
        agent: str | None = None,
        retry: RetryPolicy | None = None,
        timeout_s: float | None = None,
        schedule_to_start_s: float | None = None,
        schedule_to_close_s: float | None = None,
        heartbeat_timeout_s: float | None = None,
    ) -> Any:
        """Have an activity done, and answer its result.

        Args:
            target: a function decorated with `@activity`, which runs in the engine's process; or a
                method of an `Agent`; or the name of an agent's activity, with `agent` its type.
            input: its one input, a pydantic model or plain JSON; leave it out if it takes none.
            agent: the agent type, when `target` is a name.
            retry: overrides the activity's own policy, as do the times; see `@activity`.
            timeout_s: start to close of one attempt, seconds; 600 when `target` is a name.
            schedule_to_start_s: seconds it may wait for an agent.
            schedule_to_close_s: seconds for all attempts and the waits between them.
            heartbeat_timeout_s: seconds an attempt may be silent.

        Raises:
            ActivityError: it failed for good. The failure is recorded like a result.
            CancelledError: the workflow was cancelled meanwhile; so was the activity.

        The result is durable before this workflow's next effect, answer or end. The activity may
        run again after a crash, with the same idempotency key, until its result is recorded.
        """
        policies = {
            "retry": retry,
            "timeout_s": timeout_s,
            "schedule_to_start_s": schedule_to_start_s,
            "schedule_to_close_s": schedule_to_close_s,
            "heartbeat_timeout_s": heartbeat_timeout_s,
        }
        call = steps.resolve(target, input, agent, policies)
        return await steps.activity(self._execution, call)

    async def tx(self, function: Callable[[Any, Any], Any], value: Any = None) -> Any:
        """Run a function on the engine's own database, exactly once, and answer its result.

        Args:
            function: a plain function `(transaction, value)`; `transaction.execute(sql, values)`
                answers rows. It may make and use tables of its own; it must be quick (2 s), since
                it runs on the thread that does all of this database's writing.
            value: handed to it.

        Raises:
            ActivityError: it raised, and what it had written was taken back. That is recorded.

        What it wrote and its result are one transaction: both are durable on return, or neither.
        """
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"tx takes a plain function, {function.__qualname__} is async")
        return await steps.transaction(self._execution, function, value)

    async def gather(self, *works: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
        """Run branches at once and answer their results in order.

        Every branch runs to its end, so that a replay sees the same; then the failure of the first
        one in order is raised, if any failed. Only a branch that differs from the history ends the
        others at once: the workflow stalls, and nothing more may happen.
        """
        return await branches.gather(self._execution, works)

    async def first(self, *works: Coroutine[Any, Any, Any]) -> tuple[int, Any]:
        """Run branches at once until one of them ends; answer its index and its result.

        Which one it was is recorded. The others are cancelled: their activities, timers and waits
        end, children they have started are asked to. A branch that fails has ended, too: its
        exception is raised.
        """
        return await branches.first(self._execution, works)

    async def select(self, **works: Coroutine[Any, Any, Any]) -> Selected:
        """Do as `first` does, with names: answers `(name, value)` of the branch that was first."""
        names = tuple(works)
        if not names:
            raise ValueError("select takes at least one branch")
        index, value = await branches.first(self._execution, tuple(works.values()))
        return Selected(names[index], value)

    async def sleep(self, seconds: float) -> None:
        """Wait; a restart does not begin the time anew.

        A moment that passes while nothing runs is late, not lost. A long wait costs a row.

        Raises:
            TypeError: that is no number.
            ValueError: it is negative, or ends after the year 9999.
            CancelledError: the workflow was cancelled meanwhile.
        """
        await waits.sleep(self._execution, seconds)

    async def signal(self, name: str, value_type: Any = None) -> Any:
        """Wait for a signal, and answer its value.

        Signals of a name are taken in the order in which they came, each once; those that came
        before anybody waited have waited themselves. A long wait costs a row.

        Args:
            name: which signals.
            value_type: what the value is turned into, e.g. a pydantic model; plain JSON without.

        Raises:
            CancelledError: the workflow was cancelled meanwhile.
        """
        _check_name("signal", name)
        adapter = None if value_type is None else TypeAdapter(value_type)
        return await waits.signal(self._execution, name, adapter)

    async def gate(
        self, title: str, *, description: str = "", timeout_s: float | None = None
    ) -> Decision:
        """Have a person decide whether to go on, and answer what they decided.

        The gate is an issue of type gate, which the workflow's own issue waits for. It is answered
        once: with `beadflow gate approve` or `reject`, over HTTP, or by closing its issue, here or
        in another clone; that approves unless the close reason begins with "rejected". A long wait
        costs a row.

        Args:
            title: the question, 1 to 500 bytes.
            description: what a person needs to know to answer it, e.g. a summary in Markdown.
            timeout_s: seconds after which it counts as rejected; None waits for ever.

        Raises:
            ValueError: the title is empty, or a text is too long, or the time is not positive.
            CancelledError: the workflow was cancelled meanwhile; the gate's issue is closed.
        """
        return await gates.gate(self._execution, title, description, timeout_s)

    async def child(
        self,
        target: Callable[..., Any] | str,
        variables: Any = None,
        *,
        on_parent_close: str = "terminate",
    ) -> Any:
        """Run another workflow as a part of this one, and answer its result.

        Args:
            target: a workflow function, or the name of a workflow type.
            variables: what it is started with: a pydantic model or a mapping.
            on_parent_close: what becomes of it when this workflow closes first: "terminate",
                "cancel", or "abandon", which lets it go on.

        Raises:
            ChildError: it failed, or was cancelled or terminated. That is recorded. Also, and then
                it is not started, when workflows are nested 50 deep ("too_many_generations").
            NotFound: there is no such workflow type.
            ValidationError: the variables do not fit it.
            CancelledError: this workflow was cancelled meanwhile; so was the child.

        The child is called `<this workflow's id>.<operation>` and makes no issue of its own.
        """
        if on_parent_close not in PARENT_CLOSE:
            raise ValueError(f"on_parent_close is one of {PARENT_CLOSE}, not {on_parent_close!r}")
        definition = self._definition(target)
        return await waits.child(self._execution, definition, variables, on_parent_close)

    def _definition(self, target: Callable[..., Any] | str) -> WorkflowDefinition:
        if isinstance(target, str):
            return self._execution.definitions.get(target)
        found = workflow_of(target)
        if found is None:
            raise TypeError(f"{target!r} is not a workflow: decorate it with @workflow")
        return self._execution.definitions.get(found.name, found.version)

    def saga(self) -> Saga:
        """Begin a saga: `async with ctx.saga() as saga`, then `await saga.step(…, undo=…)`."""
        return Saga(self._execution, self.activity)

    async def side_effect(self, produce: Callable[[], T]) -> T:
        """Answer what `produce()` returned the first time, whenever the workflow runs again.

        For a value that is cheap to make and differs each time: an environment variable, a
        setting. The value must be JSON.
        """
        return self._recorded("", produce)  # type: ignore[no-any-return]

    def now(self) -> datetime:
        """What time it is, UTC; the same whenever the workflow runs again."""
        text = self._recorded("now", lambda: rfc3339(self._execution.surroundings.now()))
        return datetime.fromisoformat(text)

    def _recorded(self, name: str, produce: Callable[[], Any]) -> Any:
        op, record = self._execution.take(SIDE_EFFECT, name)
        if record is not None and record.outcome is not None:
            return decode_result(record.outcome.payload, None)
        text = encode_result(produce(), f"side effect {op}")
        self._execution.go_live()
        self._execution.journal.append(Kind.SIDE_EFFECT_RECORDED, op=op, name=name, payload=text)
        return decode_result(text, None)

    def random(self) -> random.Random:
        """Random numbers that are the same whenever the workflow runs again."""
        seed = f"{self._execution.workflow_id}/{Strand.current().draw()}"
        return random.Random(seed)  # noqa: S311 - no secret

    def uuid4(self) -> uuid.UUID:
        """A random UUID that is the same whenever the workflow runs again."""
        return uuid.UUID(int=self.random().getrandbits(128), version=4)

    def version(self, change: str, oldest: int, newest: int) -> int:
        """Which version of a piece of code this run follows.

        A run that gets here for the first time follows the newest, for good. One that had passed
        this place before the call was written follows version 0, the code before the change.

        Args:
            change: names the change.
            oldest: the oldest version that the code still has, 0 for the code before the change.
            newest: the newest.

        Raises:
            NonDeterminismError: the run follows a version that the code no longer has.
        """
        if not 0 <= oldest <= newest:
            raise ValueError(f"version {change!r}: not 0 <= {oldest} <= {newest}")
        replay = self._execution.replay
        known = replay.version(change)
        if known is None and replay.is_recorded(Strand.current().peek_op()):
            known = BEFORE
            replay.mark(change, known)
        if known is None:
            known = newest
            replay.mark(change, known)
            self._execution.go_live()
            body = payload.encode({"version": known})
            self._execution.journal.append(Kind.VERSION_MARKED, name=change, payload=body)
        if not oldest <= known <= newest:
            raise NonDeterminismError(
                self._execution.workflow_id,
                f"version {known} of {change!r}",
                f"versions {oldest} to {newest}",
                cause="support for a version was removed while a workflow still follows it",
            )
        return known

    def continue_as_new(self, variables: Any = None) -> NoReturn:
        """End this run and begin the workflow again with other variables and an empty history.

        It keeps its id and its issue; signals that nobody has taken wait for the next run, which
        follows the newest version of the workflow.

        Args:
            variables: a pydantic model or a mapping that the newest version accepts.

        Raises:
            StrandError: called in a branch; only the function itself can end.
            TypeError: the variables are neither.
            ValidationError: the variables do not fit.
        """
        if variables is not None and not isinstance(variables, BaseModel | Mapping):
            raise TypeError(f"continue_as_new takes a pydantic model or a mapping: {variables!r}")
        if Strand.current().parent is not None:
            raise StrandError("continue_as_new ends the workflow's run: not from within a branch")
        raise ContinueAsNew(variables)

    def on_query(self, name: str, answer: Callable[..., Any]) -> None:
        """Have a query answered, from now on.

        Args:
            name: what it is asked for by.
            answer: a plain function of nothing, or of the query's argument. It reads the
                workflow's variables and changes nothing; its answer is JSON.
        """
        _check_name("on_query", name)
        if not callable(answer):
            raise TypeError(f"query {name!r} is answered by a function, not by {answer!r}")
        if inspect.iscoroutinefunction(answer):
            raise TypeError(f"query {name!r} is answered by a plain function, not an async one")
        self._execution.queries[name] = answer

    def log(self, message: str, *, level: str = "info") -> None:
        """Put a line into the workflow's log.

        A replay does not repeat it up to the last recorded operation; a line after that one may
        come twice.
        """
        if not self._execution.replay.behind:
            self._execution.surroundings.log(message, level)


def _check_name(what: str, name: object) -> None:
    """A name that no request could say would be waited for in vain.

    Raises:
        TypeError: it is no text.
        ValueError: it is empty, too long or not printable.
    """
    if not isinstance(name, str):
        raise TypeError(f"ctx.{what} takes a name, not {name!r}")
    if not (0 < len(name) <= NAME_CHARACTERS and name.isprintable()):
        raise ValueError(
            f"ctx.{what} takes a name of 1 to {NAME_CHARACTERS} printable characters: {name!r}"
        )


def _argument_count(function: Callable[..., Any]) -> int:
    return len(inspect.signature(function).parameters)


def answer_query(execution: Execution, name: str, argument: Any) -> Any:
    """What the workflow's own function answers.

    Raises:
        ValidationError: there is no such query.
        Conflict: its function failed, or answered what is no JSON or too large ("query_failed").
    """
    function = execution.queries.get(name)
    if function is None:
        known = ", ".join(sorted(execution.queries)) or "none"
        raise ValidationError(
            f"workflow {execution.workflow_id} has no query {name!r}; it has: {known}",
            field="name",
            value=name,
            hint="ask one that it has; a workflow has its queries from where its code sets them",
        )
    try:
        with contained():
            value = function(argument) if _argument_count(function) else function()
            text = encode_result(value, "its answer")
    except Exception as error:
        failure = failure_of(error)
        why = payload.short_text(f"{failure.code}: {failure.message}")
        raise Conflict(
            f"query {name!r} of workflow {execution.workflow_id} failed with {why}",
            code="query_failed",
            hint="ask it with another argument, or mend the query's function",
        ) from error
    return decode_result(text, None)
