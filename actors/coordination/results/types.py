"""What results of a type hold, as far as the code says so.

A step's results have the name of its activity as their type, and a workflow's own is `output`; what
either returns is in its annotation. Here are the activities of agents and the workflows; an
activity of the engine's own process is known to its workflow alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import PydanticUserError, TypeAdapter
from pydantic import ValidationError as ModelError

from actors import misfits
from actors.coordination.results.messages import ResultTypeRecord
from actors.coordination.results.names import OUTPUT
from actors.errors import ValidationError
from actors.workflows.definition import ActivityDefinition, Definitions


class ResultTypes:
    """See the module.

    Args:
        activities: of each type of agent, by their names.
    """

    def __init__(
        self, definitions: Definitions, activities: Mapping[str, Iterable[ActivityDefinition]]
    ) -> None:
        self._definitions = definitions
        self._activities = [
            (agent_type, definition)
            for agent_type, known in sorted(activities.items())
            for definition in known
            if definition.output_type is not Any
        ]

    def check(self, result_type: str, data: Any) -> None:
        """Refuse data that no activity of that name would have returned.

        Raises:
            ValidationError: with what is wrong with it.
        """
        refused: ModelError | None = None
        for _, definition in self._activities:
            if definition.name == result_type:
                try:
                    definition.output.validate_python(data)
                except PydanticUserError:
                    return  # what no schema describes cannot be told apart
                except ModelError as error:
                    refused = error
                else:
                    return
        if refused is not None:
            first = misfits.first(refused)
            where = ".".join(("result_data", *map(str, first.place)))
            raise ValidationError(
                f"{where}: {first.words}, as results of type {result_type!r} are typed",
                field=where,
            ) from refused

    def listed(self) -> tuple[ResultTypeRecord, ...]:
        """Every type that says what its results hold."""
        steps = [
            ResultTypeRecord(
                result_type=definition.name,
                agent_type=agent_type,
                workflow_type=None,
                json_schema=_schema(definition.output),
            )
            for agent_type, definition in self._activities
        ]
        outputs = [
            ResultTypeRecord(
                result_type=OUTPUT,
                agent_type=None,
                workflow_type=definition.name,
                json_schema=_schema(definition.output),
            )
            for definition in self._definitions.latest()
            if definition.output_type is not Any
        ]
        return (*steps, *outputs)


def _schema(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """The JSON schema of a type; {} where none describes it."""
    try:
        return adapter.json_schema(mode="serialization")
    except PydanticUserError:
        return {}
