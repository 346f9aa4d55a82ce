"""What a class says of itself: its type, its activities, and what it can be set up with."""

import inspect
import json
import re
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from actors.agents import catalogue
from actors.errors import ValidationError
from beadflow.testing.subject import Nonconformance, Subject, expect

_SECRET = re.compile(r"(^|_)(password|passphrase|secret|token|api_key)$")
_TYPE = re.compile(r"[a-z][a-z0-9_-]{0,49}")


def the_type_is_a_plain_name(subject: Subject) -> None:
    name = subject.agent_class.agent_type
    expect(
        _TYPE.fullmatch(name),
        f"agent_type is {name!r}; people write it in commands and files, so it is a small letter"
        ' and then small letters, digits, "_" and "-", at most 50',
    )


def the_class_and_its_activities_are_described(subject: Subject) -> None:
    """`beadflow agent describe` shows the first paragraph of each docstring."""
    kind = subject.agent_class
    expect(vars(kind).get("__doc__"), f"{kind.__qualname__} has no docstring")
    for name in kind.capabilities():
        described = inspect.getdoc(kind.activities[name].function)
        expect(described, f"activity {name!r} has no docstring")


def there_are_activities(subject: Subject) -> None:
    expect(
        subject.agent_class.capabilities(),
        f"{subject.agent_class.__qualname__} has no activity: decorate methods with @activity",
    )


def activities_are_typed(subject: Subject) -> None:
    for name in subject.agent_class.capabilities():
        definition = subject.agent_class.activities[name]
        hints = get_type_hints(definition.function)
        expect("return" in hints, f"activity {name!r} does not say what it returns")
        if definition.input_type is not None:
            what = f"the input of activity {name!r}"
            _has_schema(lambda: definition.input, what, "validation")  # noqa: B023 - called here
        what = f"the result of activity {name!r}"
        _has_schema(lambda: definition.output, what, "serialization")  # noqa: B023


def _has_schema(adapter: Callable[[], TypeAdapter[Any]], what: str, mode: Any) -> None:
    try:
        adapter().json_schema(mode=mode)
    except PydanticUserError as error:
        raise Nonconformance(f"{what} has no JSON schema: {error}") from error


def the_type_can_be_shown_as_json(subject: Subject) -> None:
    kind = subject.agent_class
    (record,) = catalogue.Catalogue({kind.agent_type: kind}).records({})
    shown = {"activities": [dict(one) for one in record.activities], "config": record.config}
    json.dumps(shown)
    expect(record.config, "its Config has no JSON schema")


def its_configuration_is_taken(subject: Subject) -> None:
    try:
        config = catalogue.parse(subject.agent_class, subject.config)
    except ValidationError as error:
        raise Nonconformance(f"the configuration of the example is refused: {error}") from error
    json.dumps(catalogue.shown(config))


def secrets_of_its_configuration_are_masked(subject: Subject) -> None:
    """Whoever asks what an agent is set up with sees every field that is no `SecretStr`."""
    for name, field in subject.agent_class.Config.model_fields.items():
        expect(
            field.annotation is not str or not _SECRET.search(name),
            f"config.{name} would be shown to whoever asks: let it be a pydantic.SecretStr",
        )


def examples_fit_their_activities(subject: Subject) -> None:
    for name, given in subject.examples.items():
        definition = subject.agent_class.activities[name]
        if definition.input_type is None:
            expect(given is None, f"activity {name!r} takes no input, so its example is None")
        else:
            definition.input.validate_python(given)
