"""Sagas: steps with what undoes them, and the way back when a later one fails.

Nothing here is stored on its own. Forward steps and their final failures are recorded like all
operations, so a replay finds the same steps done, and goes on undoing where it had got to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from types import TracebackType
from typing import Any, Protocol, Self

from actors.workflows.definition import RetryPolicy, activity_of
from actors.workflows.execution import CancelledError, Execution
from actors.workflows.history import Kind
from actors.workflows.replay import SAGA
from actors.workflows.steps import MISSING, ActivityError
from actors.workflows.strand import Strand, place
from storage import payload

UNDO_RETRY = RetryPolicy(attempts=10, initial_s=1.0, coefficient=2.0, maximum_s=60.0)
"""How an undo is tried whose activity has no policy of its own: for about six minutes."""


class CompensationError(Exception):
    """Something could not be undone.

    Args:
        cause: why it had to be undone.
        undone: the undo activities that succeeded, in the order in which they ran.
        not_undone: those that failed for good, with their failures.
    """

    code = "compensation_failed"

    def __init__(
        self, cause: BaseException, undone: list[str], not_undone: list[ActivityError]
    ) -> None:
        left = "; ".join(str(error) for error in not_undone)
        done = ", ".join(undone) or "nothing"
        super().__init__(f"could not be undone: {left}. Undone: {done}. The reason was: {cause}")
        self.undone = undone
        self.not_undone = not_undone


class Activities(Protocol):
    """How the saga has an activity done: the context's own `activity`."""

    async def __call__(self, target: Any, input: Any, *, retry: RetryPolicy | None) -> Any:  # noqa: A002
        """Have it done."""


@dataclass(frozen=True, slots=True)
class _Undo:
    """What undoes a step. `place` is the step's among all of the saga, whatever ran first."""

    place: tuple[int, ...]
    target: Callable[..., Any]
    input: Any
    retry: RetryPolicy | None


class Saga:
    """Used as `async with ctx.saga() as saga`.

    When its block raises, what was done is undone in reverse order of the steps (branches that ran
    at once in reverse of their order in the call), each undo an activity with its retries; then the
    exception goes on, or `CompensationError` when something could not be undone.
    A cancellation does not stop the way back.
    """

    def __init__(self, execution: Execution, activity: Activities) -> None:
        self._execution = execution
        self._activity = activity
        self._undos: list[_Undo] = []

    async def step(
        self,
        target: Callable[..., Any],
        input: Any = MISSING,  # noqa: A002
        *,
        undo: Callable[..., Any],
        undo_input: Any = MISSING,
        retry: RetryPolicy | None = None,
    ) -> Any:
        """Have an activity done, and remember what undoes it.

        Args:
            target: as for `ctx.activity`.
            input: as for `ctx.activity`.
            undo: an activity; it has to tolerate being run when there is nothing left to undo.
            undo_input: its input; the step's result when it is left out.
            retry: overrides the policy of `target`.
        """
        place = self._place()
        result = await self._activity(target, input, retry=retry)
        self._remember(place, undo, result if undo_input is MISSING else undo_input, None)
        return result

    def compensate_with(
        self,
        undo: Callable[..., Any],
        input: Any = MISSING,  # noqa: A002
        *,
        retry: RetryPolicy | None = None,
    ) -> None:
        """Remember an undo. Called before its step, it also undoes one that was cut off.

        Args:
            undo: an activity.
            input: its input.
            retry: how it is tried; by default as its activity says, or ten times where that says
                nothing.
        """
        self._remember(self._place(), undo, input, retry)

    def _place(self) -> tuple[int, ...]:
        """Where the next operation of this branch stands; a replay finds it there again.

        The order in which branches go on is another one each time.
        """
        return place(Strand.current().peek_op())

    def _remember(
        self,
        place: tuple[int, ...],
        undo: Callable[..., Any],
        input: Any,  # noqa: A002 - the activity's word
        retry: RetryPolicy | None,
    ) -> None:
        found = activity_of(undo)
        if found is None:
            raise TypeError(f"{undo!r} is not an activity: decorate it with @activity")
        takes_input = found.agent_type is not None or found.input_type is not None
        own = found.retry if found.retry != RetryPolicy() else UNDO_RETRY
        given = input if takes_input else MISSING
        self._undos.append(_Undo(place, undo, given, retry or own))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del kind, traceback
        if not self._undos or not isinstance(error, Exception | CancelledError):
            return
        strand = Strand.current()
        was_shielded, strand.shielded = strand.shielded, True
        try:
            await self._compensate(error)
        finally:
            strand.shielded = was_shielded

    async def _compensate(self, error: Exception | CancelledError) -> None:
        self._undos.sort(key=attrgetter("place"))
        op, record = self._execution.take(SAGA)
        if record is None:
            await self._execution.perform(op, SAGA, "", self._announce(op, error))
        undone: list[str] = []
        not_undone: list[ActivityError] = []
        while self._undos:
            undo = self._undos.pop()
            try:
                await self._activity(undo.target, undo.input, retry=undo.retry)
                undone.append(undo.target.__name__)
            except ActivityError as failure:
                not_undone.append(failure)
        if not_undone:
            raise CompensationError(error, undone, not_undone) from error

    def _announce(self, op: str, error: Exception | CancelledError) -> Callable[[], Any]:
        async def announce() -> None:
            reason = payload.short_text(f"{type(error).__name__}: {error}")
            body = {"reason": reason, "undos": [undo.target.__name__ for undo in self._undos]}
            self._execution.journal.append(
                Kind.COMPENSATION_STARTED, op=op, payload=payload.encode(body)
            )

        return announce
