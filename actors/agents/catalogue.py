"""The catalogue: which types of agents there are, and what one of them can be set up with.

Types are classes that plugins brought along; a request names one and gives fields of its `Config`.
It never names code. What the models of users' classes raise ends here.
"""

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import AliasChoices, AliasPath, BaseModel, TypeAdapter
from pydantic import ValidationError as ModelError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError

from actors import misfits
from actors.agents.protocol import Agent
from actors.agents.registration_messages import SETTINGS, AgentTypeRecord
from actors.agents.site import Site
from actors.errors import NotFound, ValidationError
from actors.workflows.containment import contained
from actors.workflows.definition import ActivityDefinition, ActivityFailure
from storage import payload
from storage.errors import PayloadError

MOST_WORK: Final = 1000
"""Workflows that one agent may work for at once."""

CONFIG_LIMIT_BYTES: Final = 64 * 1024
NOTHING: Final = payload.encode({})

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,99}")
_NO_IDS = frozenset({"types"})  # they are addresses
_CODE = re.compile(r"[/\\:\s]|\.py\b|\w\.\w")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """One agent of the settings: an instance of a class that a plugin brought along."""

    agent_id: str
    agent_class: type[Agent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How an instance is made.

    Args:
        agent_class: None when no plugin brings its type along any more.
        text: stored JSON text of what it was given.
        config: the model of that; None when the class does not take it any more.
        max_workload: its own, or its class's.
        why_not: why it cannot be made; empty when it can.
    """

    agent_id: str
    agent_type: str
    agent_class: type[Agent] | None
    origin: str = SETTINGS
    text: str = NOTHING
    config: BaseModel | None = None
    max_workload: int = 0
    why_not: str = ""

    @property
    def sha256(self) -> str:
        """By which a running actor's configuration is known."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def capabilities(self) -> tuple[str, ...]:
        return () if self.agent_class is None else self.agent_class.capabilities()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every type of agent, by its name."""

    classes: Mapping[str, type[Agent]]

    def find(self, agent_type: str) -> type[Agent]:
        """The class of a type.

        Raises:
            NotFound: there is no such type; the message names those that there are.
            ValidationError: that is a module or a path, not a type.
        """
        found = self.classes.get(agent_type)
        if found is not None:
            return found
        if _CODE.search(agent_type) or not agent_type.isprintable():
            raise ValidationError(
                "a type of agent is a name, never a module or a path",
                field="agent_type",
                value=agent_type,
                hint="types come from installed plugins and the server's settings",
            )
        known = ", ".join(sorted(self.classes)) or "none"
        raise NotFound(f"there is no agent type {agent_type!r}; known: {known}")

    def setup(
        self, *, agent_id: str, agent_type: str, origin: str, text: str, max_workload: int | None
    ) -> Setup:
        """How an instance whose row says this is made. Never raises."""
        agent_class = self.classes.get(agent_type)
        config, why_not = None, ""
        if agent_class is None:
            why_not = f"no plugin brings the type {agent_type!r} along"
        else:
            try:
                config = parse(agent_class, payload.decode(text))
            except (ValidationError, PayloadError) as error:
                why_not = f"it cannot be set up with what it was given: {error}"
        usual = 0 if agent_class is None else agent_class.max_workload
        return Setup(
            agent_id=agent_id,
            agent_type=agent_type,
            agent_class=agent_class,
            origin=origin,
            text=text,
            config=config,
            max_workload=usual if max_workload is None else max_workload,
            why_not=why_not,
        )

    def records(self, agents: Mapping[str, Sequence[str]]) -> tuple[AgentTypeRecord, ...]:
        """Every type, by name. `agents` are the ids of each type's instances."""
        return tuple(
            _record(self.classes[name], tuple(agents.get(name, ())))
            for name in sorted(self.classes)
        )


def is_complete(agent_class: type[Agent]) -> bool:
    """Whether an instance needs nothing to be set up with."""
    return not any(field.is_required() for field in agent_class.Config.model_fields.values())


def check_id(agent_id: str) -> str:
    """An id that an agent may have.

    Raises:
        ValidationError: it may not.
    """
    if not _ID.fullmatch(agent_id) or agent_id in _NO_IDS:
        raise ValidationError(
            'an agent is called by 1 to 100 letters, digits, ".", "_", "~" and "-", beginning with'
            ' a letter or a digit, and not "types"',
            field="agent_id",
            value=agent_id,
        )
    return agent_id


def check_workload(max_workload: int | None) -> int | None:
    """A limit that an agent may have; None is its class's.

    Raises:
        ValidationError: it may not.
    """
    if max_workload is not None and not 0 <= max_workload <= MOST_WORK:
        raise ValidationError(
            f"max_workload is 0 to {MOST_WORK}", field="max_workload", value=max_workload
        )
    return max_workload


def encode(config: Mapping[str, Any]) -> str:
    """Fields of a configuration, as they are stored.

    Raises:
        ValidationError: they are no JSON, or too long.
    """
    try:
        text = payload.encode(dict(config))
    except PayloadError as error:
        raise _odd(f"config: {error}", "config") from error
    if len(text.encode()) > CONFIG_LIMIT_BYTES:
        raise _odd(f"config: it is longer than {CONFIG_LIMIT_BYTES} bytes", "config")
    return text


def parse(agent_class: type[Agent], given: Mapping[str, Any]) -> BaseModel:
    """What an instance is to be set up with.

    Raises:
        ValidationError: names the field, `config.…`.
    """
    known = ", ".join(agent_class.Config.model_fields) or "none"
    try:
        with contained():
            config = agent_class.Config.model_validate(dict(given))
            shown(config)
    except ModelError as error:
        first = misfits.first(error)
        where = ".".join(("config", *map(str, first.place)))[:200]
        more = misfits.fields_there(agent_class.Config, first)
        raise _odd(f"{where}: {first.words}{more}", where) from error
    except PydanticSerializationError as error:
        raise _odd(f"config: it cannot be shown as JSON: {error}", "config") from error
    except Exception as error:  # users' code ends here
        what = error.code if isinstance(error, ActivityFailure) else type(error).__name__
        raise _odd(f"config: its model failed: {what}: {error}", "config") from error
    unknown = sorted(set(given) - _names(agent_class.Config))
    if unknown and agent_class.Config.model_config.get("extra") != "allow":
        field = f"config.{unknown[0]}"[:200]  # a typo must not pass unseen
        raise _odd(f"{field}: there is no such field; known: {known}", field)
    return config


def permit(agent_class: type[Agent], config: BaseModel, site: Site) -> None:
    """See that the class takes a configuration here.

    Raises:
        ValidationError: it does not; names the field, `config.…`.
    """
    try:
        with contained():
            agent_class.check_config(config, site)
    except ValidationError as error:
        where = f"config.{error.field}"[:200]
        raise ValidationError(f"{where}: {error.message}", field=where, hint=error.hint) from error
    except Exception as error:  # users' code ends here
        what = error.code if isinstance(error, ActivityFailure) else type(error).__name__
        raise _odd(f"config: its check failed: {what}: {error}", "config") from error


def shown(config: BaseModel) -> dict[str, Any]:
    """A configuration as people may see it: with its defaults, secrets masked."""
    return config.model_dump(mode="json")


def _names(model: type[BaseModel]) -> set[str]:
    """All names by which a field may be given."""
    names = set(model.model_fields)
    for known in model.model_fields.values():
        for alias in (known.alias, known.validation_alias):
            match alias:
                case str():
                    names.add(alias)
                case AliasPath():
                    names.add(str(alias.path[0]))
                case AliasChoices():
                    names.update(str(path[0]) for path in alias.convert_to_aliases())
    return names


def _record(agent_class: type[Agent], agents: tuple[str, ...]) -> AgentTypeRecord:
    return AgentTypeRecord(
        agent_type=agent_class.agent_type,
        description=(inspect.getdoc(agent_class) or "").partition("\n\n")[0],
        capabilities=agent_class.capabilities(),
        activities=tuple(
            _activity(agent_class.activities[name]) for name in agent_class.capabilities()
        ),
        config=_schema(lambda: TypeAdapter(agent_class.Config)),
        max_workload=agent_class.max_workload,
        agents=agents,
    )


def _activity(definition: ActivityDefinition) -> dict[str, Any]:
    takes = definition.input_type is not None
    return {
        "name": definition.name,
        "description": (inspect.getdoc(definition.function) or "").partition("\n\n")[0],
        "timeout_s": definition.timeout_s,
        "input": _schema(lambda: definition.input) if takes else None,
        "output": _schema(lambda: definition.output, mode="serialization"),
    }


def _schema(adapter: Callable[[], TypeAdapter[Any]], mode: Any = "validation") -> dict[str, Any]:
    """A JSON schema; {} of what JSON, or pydantic, has no words for."""
    try:
        return adapter().json_schema(mode=mode)
    except PydanticUserError:
        return {}


def _odd(message: str, field: str) -> ValidationError:
    return ValidationError(message, field=field, value=None)
