"""Workflows and activities as they are described, before any of them runs."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from actors.errors import NotFound, ValidationError
from actors.workflows.definition import (
    ActivityDefinition,
    ActivityFailure,
    Definitions,
    RetryPolicy,
    WorkflowDefinition,
    activity,
    activity_of,
    belongs_to,
    workflow,
    workflow_of,
)


class Variables(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int
    title: str = Field("t", alias="heading")
    place: str = Field("p", validation_alias=AliasChoices("where", "at"))


@workflow
async def plain(ctx: object) -> None:
    """Do nothing
    at length.

    And more.
    """


@workflow(name="modelled", version=2, agent_type="helper")
async def with_model(ctx: object, variables: Variables) -> None: ...


@workflow
async def with_dict(ctx: object, variables: dict[str, Any]) -> None: ...


def definition(function: object) -> WorkflowDefinition:
    found = workflow_of(function)
    assert found is not None
    return found


def described(function: object) -> ActivityDefinition:
    found = activity_of(function)
    assert found is not None
    return found


# --- retry policies


def test_waits_grow_by_the_coefficient_up_to_the_maximum() -> None:
    policy = RetryPolicy(attempts=5, initial_s=1.0, coefficient=3.0, maximum_s=8.0)
    assert [policy.wait_s(attempt, "x") for attempt in range(1, 6)] == [1.0, 3.0, 8.0, 8.0, None]


def test_no_try_is_the_last_one_where_the_policy_has_no_end() -> None:
    policy = RetryPolicy(attempts=0, initial_s=1.0, maximum_s=8.0)
    assert [policy.wait_s(attempt, "x") for attempt in (1, 5, 10**6)] == [1.0, 8.0, 8.0]


def test_jitter_makes_each_wait_shorter_by_at_most_its_share() -> None:
    policy = RetryPolicy(attempts=0, initial_s=10.0, maximum_s=10.0, jitter=0.5)
    waits = {policy.wait_s(1, "x") for _ in range(200)}
    assert len(waits) > 1
    assert all(wait is not None and 5.0 <= wait <= 10.0 for wait in waits)


def test_a_failure_that_is_not_retryable_is_final_at_once() -> None:
    policy = RetryPolicy(attempts=5, non_retryable=("fatal",))
    assert policy.wait_s(1, "fatal") is None
    assert policy.wait_s(1, "other", retryable=False) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": -1},
        {"initial_s": -1.0},
        {"maximum_s": -1.0},
        {"coefficient": 0.5},
        {"jitter": 1.5},
    ],
)
def test_a_policy_that_cannot_be_right_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="RetryPolicy"):
        RetryPolicy(**wrong)


# --- workflows


def test_the_first_paragraph_of_the_docstring_describes_a_workflow() -> None:
    assert definition(plain).description == "Do nothing at length."


def test_a_decorated_function_stays_itself() -> None:
    assert plain.__name__ == "plain"
    assert (definition(plain).name, definition(plain).version) == ("plain", 1)
    assert (definition(with_model).name, definition(with_model).agent_type) == (
        "modelled",
        "helper",
    )


def test_a_workflow_may_be_handed_to_its_own_type_of_agent_and_those_that_are_named() -> None:
    @workflow(agent_type="helper", agents=("writer", "helper"))
    async def passed_on(ctx: object) -> None: ...

    assert definition(passed_on).agents == ("helper", "writer")
    assert definition(with_model).agents == ()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"agent_type": "a", "agents": ["b"]}, "agents is a tuple"),
        ({"agent_type": "a", "agents": "b"}, "agents is a tuple"),
        ({"agent_type": "a", "agents": ("",)}, "agents is a tuple"),
        ({"agents": ("b",)}, "for a workflow that has an agent_type"),
    ],
)
def test_types_of_agents_that_make_no_sense_are_refused(given: Any, why: str) -> None:
    async def wrong(ctx: object) -> None: ...

    with pytest.raises(TypeError, match=why):
        workflow(**given)(wrong)


def test_a_workflow_without_variables_refuses_any() -> None:
    assert definition(plain).parse({}) is None
    with pytest.raises(ValidationError, match="it knows: none") as refused:
        definition(plain).parse({"count": 1})
    assert refused.value.field == "variables.count"


def test_a_workflow_with_a_dict_takes_any_variables() -> None:
    assert definition(with_dict).parse({"anything": 1}) == {"anything": 1}
    assert definition(with_dict).schema() == {}


def test_variables_become_their_model() -> None:
    parsed = definition(with_model).parse({"count": "3", "heading": "h", "at": "here"})
    assert parsed == Variables.model_validate({"count": 3, "heading": "h", "where": "here"})
    assert "count" in definition(with_model).schema()["properties"]


def test_an_unknown_variable_is_refused_and_every_alias_is_known() -> None:
    with pytest.raises(ValidationError, match="at, count, heading, place, title, where"):
        definition(with_model).parse({"count": 1, "extra": 2})


@pytest.mark.parametrize(
    ("given", "field"), [({}, "variables.count"), ({"count": "many"}, "variables.count")]
)
def test_a_missing_or_wrong_variable_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        definition(with_model).parse(given)
    assert refused.value.field == field


def test_a_workflow_is_an_async_function() -> None:
    def not_async(ctx: object) -> None: ...

    with pytest.raises(TypeError, match="not an async function"):
        workflow(not_async)


def test_a_version_is_a_positive_integer() -> None:
    async def zero(ctx: object) -> None: ...

    with pytest.raises(TypeError, match="positive integer"):
        workflow(version=0)(zero)


def test_a_workflow_takes_its_context_and_at_most_its_variables() -> None:
    async def none() -> None: ...
    async def three(ctx: object, a: dict[str, Any], b: int) -> None: ...
    async def odd(ctx: object, variables: int) -> None: ...

    for wrong in (none, three, odd):
        with pytest.raises(TypeError, match=wrong.__qualname__.replace(".", r"\.")):
            workflow(wrong)


def test_variables_may_be_a_mapping_or_have_no_hint() -> None:
    async def mapped(ctx: object, variables: Mapping[str, Any]) -> None: ...
    async def unhinted(ctx, variables) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001

    for function in (mapped, unhinted):
        assert definition(workflow(function)).variables is None


def test_a_hint_that_cannot_be_imported_is_refused_at_once() -> None:
    async def unknown(ctx: object, variables: "Nowhere") -> None: ...  # type: ignore[name-defined] # noqa: F821

    with pytest.raises(TypeError, match="Nowhere"):
        workflow(unknown)


# --- activities


def test_an_activity_knows_its_input_and_its_result() -> None:
    @activity(name="measured", timeout_s=3.0)
    async def measure(given: Variables) -> int:
        return given.count

    found = described(measure)
    assert (found.name, found.timeout_s, found.is_async) == ("measured", 3.0, True)
    assert found.input.validate_python({"count": 1}).count == 1
    assert found.output.validate_python("4") == 4


async def _wait(given: Any) -> Any:
    return await given


async def _enter(given: Any) -> None:
    async with given:
        pass


async def _loop(given: Any) -> None:
    async for _ in given:
        pass


async def _collect(given: Any) -> Any:
    return [each async for each in given]


async def _hand_on(given: Any) -> Any:
    return (await each for each in given)


async def _add(given: Any) -> Any:
    return given + 1


def _plain(given: Any) -> Any:
    return _wait(given)


@pytest.mark.parametrize(
    ("function", "never"),
    [
        (_wait, False),
        (_enter, False),
        (_loop, False),
        (_collect, False),
        (_hand_on, True),
        (_add, True),
        (_plain, False),
    ],
)
def test_it_is_known_which_activities_can_never_wait(
    function: Callable[..., Any], *, never: bool
) -> None:
    def twin(given: Any) -> Any:
        return given

    twin.__code__ = function.__code__
    assert described(activity(twin)).never_waits is never


def test_an_activity_without_hints_takes_and_gives_anything() -> None:
    @activity
    def anything(given):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        return given

    found = described(anything)
    assert not found.is_async
    assert found.input.validate_python({"a": [1]}) == {"a": [1]}
    assert found.output.validate_python("x") == "x"


def test_a_method_of_an_agent_takes_its_task_and_at_most_one_input() -> None:
    def one(self: object, task: object, given: int) -> None: ...
    def none(self: object, task: object) -> None: ...

    assert described(activity(one)).input_type is int
    assert described(activity(none)).input_type is None


def test_an_activity_with_two_inputs_or_no_time_is_refused() -> None:
    def two(a: int, b: int) -> None: ...
    def three(self: object, task: object, a: int, b: int) -> None: ...
    def late() -> None: ...

    for wrong in (two, three):
        with pytest.raises(TypeError, match="at most one input"):
            activity(wrong)
    with pytest.raises(TypeError, match="timeout_s"):
        activity(timeout_s=0.0)(late)


def test_a_method_that_takes_no_task_is_refused() -> None:
    def lonely(self: object) -> None: ...

    with pytest.raises(TypeError, match="task"):
        activity(lonely)


def test_only_decorated_functions_belong_to_an_agent() -> None:
    @activity
    def mine(self: object, task: object) -> None: ...

    def other() -> None: ...

    owned = belongs_to(mine, "helper")
    assert owned is not None
    assert owned.agent_type == "helper"
    assert described(mine) is owned
    assert belongs_to(other, "helper") is None


# --- the book


def test_the_newest_version_is_taken_unless_another_is_asked_for() -> None:
    def version(number: int) -> object:
        @workflow(name="w", version=number)
        async def run(ctx: object) -> None: ...

        return run

    book = Definitions.of([version(10), version(9)])
    assert (book.get("w").version, book.get("w", 9).version) == (10, 9)
    assert [found.version for found in book.latest()] == [10]
    with pytest.raises(NotFound, match="w v8"):
        book.get("w", 8)


def test_the_book_takes_the_same_function_twice_and_no_other_of_its_name() -> None:
    @workflow(name="plain")
    async def another(ctx: object) -> None: ...

    book = Definitions.of([plain, plain])
    with pytest.raises(TypeError, match="two workflows"):
        book.add(another)


def test_what_is_no_workflow_is_not_taken() -> None:
    with pytest.raises(TypeError, match="decorate it"):
        Definitions.of([print])


def test_an_empty_book_says_that_it_knows_none() -> None:
    with pytest.raises(NotFound, match="known: none"):
        Definitions().get("x")


def test_an_activitys_own_failure_carries_its_code_and_counts_one_attempt() -> None:
    failure = ActivityFailure("index_unreachable", "no index", retryable=False)
    assert (failure.code, failure.message, failure.attempts) == ("index_unreachable", "no index", 1)
    assert str(failure) == "no index"
    assert not failure.retryable
