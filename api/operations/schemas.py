"""JSON schemas of models, as named components that refer to each other."""

import json
from collections.abc import Iterable
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from api.operations.operation import FILE_MODEL

Schema = dict[str, Any]
PLACE: Final = "#/components/schemas/"

_CHOSEN: Final = {
    "api__models__UpdateRequest": "WorkflowUpdateRequest",
    "api__issue_models__UpdateRequest": "IssueUpdateRequest",
    "Config": "AgentConfig",
    "Finding": "LintWarning",
    "Health": "AgentHealth",
    "HistoryRecord": "HistoryEvent",
    "Letter": "DeadLetter",
    "Metrics": "AgentMetrics",
    "StatsView": "IssueStats",
    "Where": "SystemPlaces",
}
"""Names of what has the same name in two modules, or one that says too little elsewhere."""

_ENDINGS: Final = ("Record", "View")
"""What it is here; to a client it is the thing itself."""


class _Generator(GenerateJsonSchema):
    """Pydantic's, without a title for each field: it says nothing but the field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


class Components:
    """The schemas of some types, and all that they refer to."""

    def __init__(self, asked: Iterable[Any], answered: Iterable[Any]) -> None:
        """Raises `ValueError` where two types would have the same name."""
        wanted = [*_keyed(asked, "validation"), *_keyed(answered, "serialization")]
        inputs = [(_key(kind), mode, TypeAdapter(kind).core_schema) for kind, mode in wanted]
        generator = _Generator(ref_template=f"{PLACE}{{model}}")
        found, defined = generator.generate_definitions(inputs)
        names = _names(defined)
        self._found = {key: _renamed(schema, names) for key, schema in found.items()}
        self.schemas: dict[str, Schema] = {
            names[old]: _renamed(schema, names) | {"title": names[old]}
            for old, schema in sorted(defined.items())
        }

    def asked(self, kind: Any) -> Schema:
        """The schema of what clients send."""
        return self._schema(kind, "validation")

    def answered(self, kind: Any) -> Schema:
        """The schema of what clients get."""
        return self._schema(kind, "serialization")

    def taken(self, kind: Any) -> Schema:
        """The schema of what clients send, which is no component any more."""
        schema = self.asked(kind)
        name = schema.get("$ref", "").removeprefix(PLACE)
        return self.schemas.pop(name) if name else schema

    def _schema(self, kind: Any, mode: JsonSchemaMode) -> Schema:
        if kind is FILE_MODEL:
            return {"type": "string", "format": "binary"}
        return self._found[_key(kind), mode]


def plain(kind: Any) -> Schema:
    """The schema of one type that refers to no others."""
    found: Schema = TypeAdapter(kind).json_schema(schema_generator=_Generator)
    return found


def _keyed(kinds: Iterable[Any], mode: JsonSchemaMode) -> list[tuple[Any, JsonSchemaMode]]:
    return [(kind, mode) for kind in dict.fromkeys(kinds) if kind not in (None, FILE_MODEL)]


def _key(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _names(defined: Iterable[str]) -> dict[str, str]:
    """What each definition is called outside."""
    names = {old: _name(old) for old in defined}
    if len(set(names.values())) < len(names):
        taken = list(names.values())
        raise ValueError(f"one name for two: {sorted({n for n in taken if taken.count(n) > 1})}")
    return names


def _name(old: str) -> str:
    name = _CHOSEN.get(old) or old.rpartition("__")[2]
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def _renamed(schema: Schema, names: dict[str, str]) -> Schema:
    text = json.dumps(schema)
    for old, new in names.items():
        text = text.replace(f'"{PLACE}{old}"', f'"{PLACE}{new}"')
    renamed: Schema = json.loads(text)
    return renamed
