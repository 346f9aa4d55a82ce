"""What a workflow and an activity are before they run: names, types and policies.

The two decorators only describe: the function stays the function, importable and callable in a
test. `Definitions` is the book of everything this process can run; the composition root fills it
once, from entry points and the operator's settings, never from a request.
"""

import dis
import inspect
import random
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar, overload

from pydantic import BaseModel, TypeAdapter
from pydantic import ValidationError as ModelError

from actors import misfits
from actors.errors import NotFound, ValidationError
from actors.retrying import backoff_s
from actors.workflows.lint.reader import Report, lint

F = TypeVar("F", bound=Callable[..., Any])

_WORKFLOW = "__beadflow_workflow__"
_ACTIVITY = "__beadflow_activity__"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often an activity is tried, and how long the engine waits in between.

    Args:
        attempts: tries in all. 1 means that the first failure is final, 0 that none is.
        initial_s: seconds before the second try.
        coefficient: each wait is the one before times this, at least 1.0.
        maximum_s: no wait is longer, seconds.
        non_retryable: codes of failures that are final at once (an exception's class name, or the
            code an `ActivityFailure` carries).
        jitter: each wait is shorter by a random part of itself, at most this share, 0.0 to 1.0, so
            that what failed together is not tried again together.
    """

    attempts: int = 1
    initial_s: float = 1.0
    coefficient: float = 2.0
    maximum_s: float = 60.0
    non_retryable: tuple[str, ...] = ()
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.attempts < 0:
            raise ValueError(f"RetryPolicy.attempts is not negative: {self.attempts}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"RetryPolicy.jitter is 0.0 to 1.0, not {self.jitter}")
        if self.initial_s < 0 or self.maximum_s < 0 or self.coefficient < 1:
            raise ValueError(
                "RetryPolicy waits are not negative and its coefficient is at least 1: "
                f"initial_s={self.initial_s}, maximum_s={self.maximum_s}, "
                f"coefficient={self.coefficient}"
            )

    def wait_s(self, attempt: int, code: str, *, retryable: bool = True) -> float | None:
        """Seconds to wait after the failed try number `attempt` (from 1), None if it was final."""
        if not retryable or code in self.non_retryable:
            return None
        if self.attempts and attempt >= self.attempts:
            return None
        wait_s = backoff_s(
            attempt,
            initial_s=self.initial_s,
            coefficient=self.coefficient,
            maximum_s=self.maximum_s,
        )
        return wait_s * (1.0 - self.jitter * random.random())  # noqa: S311 - no secret


class ActivityFailure(Exception):  # noqa: N818 - Temporal's word for it
    """What an activity raises when it failed in a way it understands.

    Args:
        code: short and stable, e.g. "index_unreachable"; a retry policy may name it.
        message: one sentence for people.
        retryable: False makes it final whatever the policy says.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.attempts = 1


class NotDone(Exception):  # noqa: N818 - an answer, not an error
    """Raised by a reconcile hook: the attempt had no effect, so the activity may run again."""


@dataclass(frozen=True)
class ActivityDefinition:
    """An activity: its name, its one input, its result, and its policies.

    Args:
        timeout_s: start to close of one attempt.
        agent_type: None for an activity of the engine's own process.
        schedule_to_start_s: how long it may wait for an agent; None for ever.
        schedule_to_close_s: all attempts and the waits between them; None for ever.
        heartbeat_timeout_s: how long an attempt may be silent; None for ever.
        at_most_once: an attempt whose end is not known is not repeated.
        reconcile: asked what became of such an attempt, with the same input.
        never_waits: it is async without an `await` in any form, so that nothing can cut it off.
    """

    name: str
    function: Callable[..., Any]
    retry: RetryPolicy
    timeout_s: float
    input_type: Any
    output_type: Any
    is_async: bool
    agent_type: str | None = None
    schedule_to_start_s: float | None = None
    schedule_to_close_s: float | None = None
    heartbeat_timeout_s: float | None = None
    at_most_once: bool = False
    reconcile: Callable[..., Any] | None = None
    never_waits: bool = False

    @cached_property
    def input(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.input_type)

    @cached_property
    def output(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.output_type)


@dataclass(frozen=True)
class WorkflowDefinition:
    """A workflow: its name and version, its variables' model, and who usually does its steps.

    Args:
        agents: types of agents that it may be handed to; () leaves that to its steps.
    """

    name: str
    version: int
    function: Callable[..., Any]
    agent_type: str | None
    description: str
    variables: type[BaseModel] | None
    takes_input: bool
    output_type: Any = Any
    agents: tuple[str, ...] = ()

    @cached_property
    def output(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.output_type)

    @cached_property
    def report(self) -> Report:
        """What the lint says of its function. Read once, when somebody first asks."""
        return lint(self.function, _runs_apart)

    def schema(self) -> dict[str, Any]:
        """JSON schema of the variables; {} where any JSON object will do."""
        return self.variables.model_json_schema() if self.variables else {}

    def parse(self, variables: Mapping[str, Any]) -> Any:
        """The function's input from a request's variables.

        Raises:
            ValidationError: a variable is unknown (the known ones are named), missing or wrong.
        """
        if not self.takes_input:
            self._refuse_unknown(variables, set())
            return None
        if self.variables is None:
            return dict(variables)
        self._refuse_unknown(variables, _known_names(self.variables))
        try:
            return self.variables.model_validate(dict(variables))
        except ModelError as error:
            raise _refusal(error) from error

    def _refuse_unknown(self, variables: Mapping[str, Any], known: set[str]) -> None:
        unknown = sorted(set(variables) - known)
        if unknown:
            names = ", ".join(sorted(known)) or "none"
            raise ValidationError(
                f"workflow {self.name!r} has no variable {unknown[0]!r}; it knows: {names}",
                field=f"variables.{unknown[0]}",
                value=variables[unknown[0]],
            )


def _known_names(model: type[BaseModel]) -> set[str]:
    names: set[str] = set()
    for name, info in model.model_fields.items():
        names.add(name)
        choices = getattr(info.validation_alias, "choices", [info.validation_alias])
        names.update(choice for choice in (*choices, info.alias) if isinstance(choice, str))
    return names


def _refusal(error: ModelError) -> ValidationError:
    first = misfits.first(error)
    where = ".".join(str(part) for part in ("variables", *first.place))
    return ValidationError(f"{where}: {first.words}", field=where, value=first.value)


@overload
def workflow(function: F, /) -> F: ...
@overload
def workflow(
    *,
    name: str | None = None,
    version: int = 1,
    agent_type: str | None = None,
    agents: tuple[str, ...] = (),
) -> Callable[[F], F]: ...
def workflow(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    version: int = 1,
    agent_type: str | None = None,
    agents: tuple[str, ...] = (),
) -> F | Callable[[F], F]:
    """Make an async function `(ctx)` or `(ctx, variables)` a workflow.

    Args:
        function: the function, when the decorator stands without brackets.
        name: what requests call it; the function's own name by default.
        version: a positive integer; an instance keeps the version it was started with.
        agent_type: the agent that does its steps and is reserved while it runs; None when its
            activities all run in the engine's own process.
        agents: types of agents that it may be handed to, beside `agent_type`; () stands for those
            that do its steps.

    Raises:
        TypeError: the function is not async, its second parameter is neither a pydantic model nor
            a dict, or `agents` is no tuple of names.
    """

    def describe(target: F) -> F:
        described = _workflow_definition(target, name, version, agent_type)
        described = replace(described, agents=_agents(target, agent_type, agents))
        setattr(target, _WORKFLOW, described)
        return target

    return describe if function is None else describe(function)


@overload
def activity(function: F, /) -> F: ...
@overload
def activity(
    *,
    name: str | None = None,
    retry: RetryPolicy | None = None,
    timeout_s: float = 600.0,
    schedule_to_start_s: float | None = None,
    schedule_to_close_s: float | None = None,
    heartbeat_timeout_s: float | None = None,
    at_most_once: bool = False,
    reconcile: Callable[..., Any] | None = None,
) -> Callable[[F], F]: ...
def activity(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    retry: RetryPolicy | None = None,
    timeout_s: float = 600.0,
    schedule_to_start_s: float | None = None,
    schedule_to_close_s: float | None = None,
    heartbeat_timeout_s: float | None = None,
    at_most_once: bool = False,
    reconcile: Callable[..., Any] | None = None,
) -> F | Callable[[F], F]:
    """Make a function an activity of the engine, or a method of an `Agent` one of that agent.

    A function takes nothing or one input; an agent's method takes `(self, task)` or
    `(self, task, input)`. A plain `def` function runs in a thread.

    Args:
        function: the function, when the decorator stands without brackets.
        name: what the history calls it; the function's own name by default.
        retry: None means one attempt.
        timeout_s: start to close of one attempt, seconds.
        schedule_to_start_s: seconds an agent's activity may wait for its agent, at its first
            attempt; then it has failed with "schedule_to_start_timeout".
        schedule_to_close_s: seconds for all attempts and the waits between them; then it has failed
            with "schedule_to_close_timeout".
        heartbeat_timeout_s: seconds an attempt may go without `heartbeat(...)`; then it has
            failed with "heartbeat_timeout".
        at_most_once: after a crash in the middle of an attempt the activity is not repeated: it has
            failed with "uncertain", unless `reconcile` knows better. Only for activities of the
            engine's process.
        reconcile: a function of the same input, sync or async, that finds out what became of the
            attempt: it answers the activity's result, or raises `NotDone` to have it repeated.

    Raises:
        TypeError: the function takes other parameters, or a policy makes no sense.
    """
    times = {
        "timeout_s": timeout_s,
        "schedule_to_start_s": schedule_to_start_s,
        "schedule_to_close_s": schedule_to_close_s,
        "heartbeat_timeout_s": heartbeat_timeout_s,
    }

    def describe(target: F) -> F:
        where = f"activity {target.__qualname__}"
        check_times(where, times)
        if reconcile is not None and not at_most_once:
            raise TypeError(f"{where}: reconcile is for at_most_once=True")
        described = _activity_definition(target, name, retry or RetryPolicy(), timeout_s)
        described = replace(
            described,
            schedule_to_start_s=schedule_to_start_s,
            schedule_to_close_s=schedule_to_close_s,
            heartbeat_timeout_s=heartbeat_timeout_s,
            at_most_once=at_most_once,
            reconcile=reconcile,
        )
        setattr(target, _ACTIVITY, described)
        return target

    return describe if function is None else describe(function)


def workflow_of(target: object) -> WorkflowDefinition | None:
    """The definition that `@workflow` left on `target`, None if there is none."""
    found = getattr(target, _WORKFLOW, None)
    return found if isinstance(found, WorkflowDefinition) else None


def activity_of(target: object) -> ActivityDefinition | None:
    """The definition that `@activity` left on `target`, None if there is none."""
    found = getattr(target, _ACTIVITY, None)
    return found if isinstance(found, ActivityDefinition) else None


def _runs_apart(target: object) -> bool:
    return workflow_of(target) is not None or activity_of(target) is not None


def belongs_to(function: Callable[..., Any], agent_type: str) -> ActivityDefinition | None:
    """Make a decorated method an activity of agents of that type; None if it is not decorated."""
    found = activity_of(function)
    if found is None:
        return None
    if found.at_most_once:
        where = f"activity {function.__qualname__}"
        raise TypeError(f"{where}: at_most_once is for activities of the engine's own process")
    owned = replace(found, agent_type=agent_type)
    setattr(function, _ACTIVITY, owned)
    return owned


def _agents(
    function: Callable[..., Any], agent_type: str | None, agents: object
) -> tuple[str, ...]:
    where = f"workflow {function.__qualname__}"
    if not isinstance(agents, tuple) or not all(isinstance(name, str) and name for name in agents):
        raise TypeError(f"{where}: agents is a tuple of types of agents, not {agents!r}")
    if agents and agent_type is None:
        raise TypeError(f"{where}: agents is for a workflow that has an agent_type")
    return tuple(dict.fromkeys((agent_type, *agents))) if agents and agent_type else ()


def _workflow_definition(
    function: Callable[..., Any], name: str | None, version: int, agent_type: str | None
) -> WorkflowDefinition:
    where = f"workflow {function.__qualname__}"
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{where} is not an async function")
    if version < 1:
        raise TypeError(f"{where}: version is a positive integer, not {version}")
    parameters = list(inspect.signature(function).parameters.values())
    if not 1 <= len(parameters) <= 2:  # noqa: PLR2004 - (ctx) or (ctx, variables)
        raise TypeError(f"{where} takes (ctx) or (ctx, variables), not {len(parameters)} arguments")
    variables = _variables_model(function, parameters[1:], where)
    return WorkflowDefinition(
        name=name or function.__name__,
        version=version,
        function=function,
        agent_type=agent_type,
        description=(inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " "),
        variables=variables,
        takes_input=len(parameters) > 1,
        output_type=_hints(function).get("return", Any),
    )


def _variables_model(
    function: Callable[..., Any], parameters: list[inspect.Parameter], where: str
) -> type[BaseModel] | None:
    if not parameters:
        return None
    hint = _hints(function).get(parameters[0].name, dict)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    if (typing.get_origin(hint) or hint) in (dict, Mapping):
        return None
    raise TypeError(f"{where}: its variables are a pydantic model or a dict, not {hint!r}")


def check_times(where: str, times: Mapping[str, float | None]) -> None:
    """Refuse a time limit that is not positive.

    Raises:
        TypeError: one of them is not; it is named.
    """
    for name, seconds in times.items():
        if seconds is not None and not seconds > 0:
            raise TypeError(f"{where}: {name} is positive, not {seconds}")


def _activity_definition(
    function: Callable[..., Any], name: str | None, retry: RetryPolicy, timeout_s: float
) -> ActivityDefinition:
    where = f"activity {function.__qualname__}"
    parameters = list(inspect.signature(function).parameters)
    own = 2 if parameters[:1] == ["self"] else 0
    if own and len(parameters) < own:
        raise TypeError(f"{where} takes (self, task) and at most one input")
    if len(parameters) > own + 1:
        raise TypeError(f"{where} takes at most one input, as one model: {parameters[own:]}")
    hints = _hints(function)
    return ActivityDefinition(
        name=name or function.__name__,
        function=function,
        retry=retry,
        timeout_s=timeout_s,
        input_type=hints.get(parameters[own], Any) if len(parameters) > own else None,
        output_type=hints.get("return", Any),
        is_async=inspect.iscoroutinefunction(function),
        never_waits=_never_waits(function),
    )


def _never_waits(function: Callable[..., Any]) -> bool:
    """Whether it is an `async def` whose own code never hands on to another coroutine."""
    code = getattr(function, "__code__", None)
    if code is None or not code.co_flags & inspect.CO_COROUTINE:
        return False
    return all(instruction.opname != "SEND" for instruction in dis.get_instructions(code))


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except NameError as error:
        raise TypeError(f"{function.__qualname__}: {error}; types must be importable") from error


@dataclass(slots=True)
class Definitions:
    """Every workflow this process can run, by name and version."""

    _by_name: dict[str, dict[int, WorkflowDefinition]] = field(default_factory=dict)

    @classmethod
    def of(cls, functions: Iterable[object]) -> "Definitions":
        """A book of the given decorated functions.

        Raises:
            TypeError: one of them is no workflow, or two share name and version.
        """
        book = cls()
        for function in functions:
            book.add(function)
        return book

    def add(self, function: object) -> None:
        definition = workflow_of(function)
        if definition is None:
            raise TypeError(f"{function!r} is not a workflow: decorate it with @workflow")
        versions = self._by_name.setdefault(definition.name, {})
        known = versions.setdefault(definition.version, definition)
        if known.function is not definition.function:
            raise TypeError(f"two workflows are called {definition.name!r} v{definition.version}")

    def get(self, name: str, version: int | None = None) -> WorkflowDefinition:
        """The definition asked for, the newest version by default.

        Raises:
            NotFound: there is none; the known names are in the message.
        """
        versions = self._by_name.get(name, {})
        chosen = versions.get(max(versions, default=0) if version is None else version)
        if chosen is None:
            known = ", ".join(sorted(self._by_name)) or "none"
            wanted = name if version is None else f"{name} v{version}"
            raise NotFound(f"no workflow type {wanted!r}; known: {known}")
        return chosen

    def every(self) -> list[WorkflowDefinition]:
        """All versions of all workflows, by name and version."""
        books = (self._by_name[name] for name in sorted(self._by_name))
        return [book[version] for book in books for version in sorted(book)]

    def latest(self) -> list[WorkflowDefinition]:
        return [self.get(name) for name in sorted(self._by_name)]
