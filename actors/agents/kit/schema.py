"""Whether JSON is what a JSON schema says: the part of JSON Schema that models are asked with.

A keyword that is not known here is refused before anything is asked (`check_schema`), so that
nobody believes that something is looked at which is not. `pattern` is not known on purpose: a
regular expression that somebody sends can take for ever.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

MOST_PROBLEMS: Final = 10
DEEPEST: Final = 60
MOST_STEPS: Final = 200_000

Place = tuple[str, ...]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_NOTES: Final = frozenset(
    {"$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated", "description"}
    | {"discriminator", "examples", "format", "title"}
)
_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == value // 1,
    "null": lambda value: value is None,
    "number": _is_number,
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}
_BOUNDS: Final[Mapping[str, tuple[type | tuple[type, ...], Callable[[Any, Any], bool], str]]] = {
    "minimum": ((int, float), lambda value, bound: value >= bound, "is less than"),
    "maximum": ((int, float), lambda value, bound: value <= bound, "is more than"),
    "exclusiveMinimum": ((int, float), lambda value, bound: value > bound, "is not more than"),
    "exclusiveMaximum": ((int, float), lambda value, bound: value < bound, "is not less than"),
    "minLength": (str, lambda value, bound: len(value) >= bound, "is shorter than"),
    "maxLength": (str, lambda value, bound: len(value) <= bound, "is longer than"),
    "minItems": (list, lambda value, bound: len(value) >= bound, "has fewer items than"),
    "maxItems": (list, lambda value, bound: len(value) <= bound, "has more items than"),
}
_COUNTED: Final = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_MANY: Final = frozenset({"allOf", "anyOf", "oneOf"})


class SchemaError(ValueError):
    """It is no schema that can be used; the message says where and why."""


def check_schema(schema: Any) -> None:
    """See that every part of a schema is one that is looked at.

    Raises:
        SchemaError: it is not, or it is no schema.
    """
    for place, part in _parts(schema, (), 0):
        _check_part(schema, part, "/".join(place) or "the schema")


def problems(schema: Any, value: Any) -> list[str]:
    """What of a value is not as a schema says that was checked: at most ten things; [] is none."""
    found: list[str] = []
    for problem in _Reading(schema).problems(schema, value, (), 0):
        found.append(problem)
        if len(found) == MOST_PROBLEMS:
            break
    return found


def is_strict(schema: Any) -> bool:
    """Whether a service can hold a model to it: each object has all its properties and no more."""
    for _, part in _parts(schema, (), 0):
        if isinstance(part, dict) and ("properties" in part or part.get("type") == "object"):
            names = set(part.get("properties", {}))
            if part.get("additionalProperties") is not False or names != set(
                part.get("required", ())
            ):
                return False
    return True


def _parts(schema: Any, place: Place, depth: int) -> Iterator[tuple[Place, Any]]:
    """A schema and all schemas in it."""
    if depth > DEEPEST:
        raise SchemaError("the schema is too deep")
    yield place, schema
    if not isinstance(schema, dict):
        return
    for name, inner in schema.items():
        if name in {"properties", "$defs", "definitions"}:
            if not isinstance(inner, dict):
                raise SchemaError(f"{'/'.join((*place, name))}: it is no object")
            for key, each in inner.items():
                yield from _parts(each, (*place, name, key), depth + 1)
        elif name in _MANY:
            if not isinstance(inner, list) or not inner:
                raise SchemaError(f"{'/'.join((*place, name))}: it is no list of schemas")
            for number, each in enumerate(inner):
                yield from _parts(each, (*place, name, str(number)), depth + 1)
        elif name in {"items", "additionalProperties"}:
            yield from _parts(inner, (*place, name), depth + 1)


def _check_part(root: Any, part: Any, where: str) -> None:
    if isinstance(part, bool):
        return
    if not isinstance(part, dict):
        raise SchemaError(f"{where}: it is no object")
    for name, given in part.items():
        if not _fits(root, name, given):
            raise SchemaError(f"{where}: {name} cannot be used like this, or is not known here")


def _fits(root: Any, name: str, given: Any) -> bool:
    match name:
        case "type":
            names = given if isinstance(given, list) else [given]
            return bool(names) and all(isinstance(n, str) and n in _TYPES for n in names)
        case "required":
            return isinstance(given, list) and all(isinstance(each, str) for each in given)
        case "enum":
            return isinstance(given, list) and bool(given)
        case "$ref":
            return isinstance(given, str) and _referred(root, given) is not None
        case "uniqueItems":
            return isinstance(given, bool)
        case _ if name in _COUNTED:
            return isinstance(given, int) and not isinstance(given, bool) and given >= 0
        case _ if name in _BOUNDS:
            return _is_number(given)
    return name in _NOTES or name in _MANY or name in {"const", "items"} or name in _OBJECTS


_OBJECTS: Final = frozenset({"properties", "additionalProperties"})


def _referred(root: Any, reference: str) -> Any:
    """What stands at `#/$defs/Name`; None where nothing does."""
    found = root
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    return found


class _Reading:
    """Compares a value with one schema, whose references are looked up in it."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._steps = 0

    def problems(self, schema: Any, value: Any, place: Place, depth: int) -> Iterator[str]:
        self._steps += 1
        if depth > DEEPEST or self._steps > MOST_STEPS:  # a schema may refer to itself, twice
            yield f"{_at(place)} is too deep"
        elif schema is False:
            yield f"{_at(place)} is not allowed"
        elif isinstance(schema, dict):
            yield from self._itself(schema, value, place)
            yield from self._within(schema, value, place, depth + 1)
            yield from self._other(schema, value, place, depth + 1)

    def _itself(self, schema: Mapping[str, Any], value: Any, place: Place) -> Iterator[str]:
        named = schema.get("type", [])
        types = named if isinstance(named, list) else [named]
        if types and not any(_TYPES[name](value) for name in types):
            yield f"{_at(place)} is not of type {' or '.join(types)}"
        if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
            yield f"{_at(place)} is none of {_few(schema['enum'])}"
        if "const" in schema and not _same(value, schema["const"]):
            yield f"{_at(place)} is not {_few([schema['const']])}"
        for name, (kind, holds, words) in _BOUNDS.items():
            applies = isinstance(value, kind) and not isinstance(value, bool)
            if name in schema and applies and not holds(value, schema[name]):
                yield f"{_at(place)} {words} {schema[name]}"
        if schema.get("uniqueItems") and isinstance(value, list) and _repeats(value):
            yield f"{_at(place)} has an item twice"

    def _within(
        self, schema: Mapping[str, Any], value: Any, place: Place, depth: int
    ) -> Iterator[str]:
        if isinstance(value, list) and "items" in schema:
            for number, each in enumerate(value):
                yield from self.problems(schema["items"], each, (*place, str(number)), depth)
        if not isinstance(value, dict):
            return
        known = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{_at((*place, name))} is missing"
        for name, each in value.items():
            inner = known.get(name, schema.get("additionalProperties", True))
            yield from self.problems(inner, each, (*place, str(name)), depth)

    def _other(
        self, schema: Mapping[str, Any], value: Any, place: Place, depth: int
    ) -> Iterator[str]:
        if "$ref" in schema:
            yield from self.problems(_referred(self._root, schema["$ref"]), value, place, depth)
        for each in schema.get("allOf", ()):
            yield from self.problems(each, value, place, depth)
        for name in ("anyOf", "oneOf"):
            if name in schema:
                yield from self._choice(name, schema[name], value, place, depth)

    def _choice(
        self, name: str, choices: Sequence[Any], value: Any, place: Place, depth: int
    ) -> Iterator[str]:
        tried = [next(self.problems(each, value, place, depth), None) for each in choices]
        fitting = tried.count(None)
        if not fitting:
            yield f"{_at(place)} fits none of its forms; of the first: {tried[0]}"
        elif name == "oneOf" and fitting > 1:
            yield f"{_at(place)} fits {fitting} forms, not one"


def _same(one: Any, other: Any) -> bool:
    return bool(_key(one) == _key(other))


def _key(value: Any) -> Any:
    """Equal for what is equal as JSON: 1 is 1.0, and neither is true."""
    match value:
        case bool():
            return (bool, value)
        case list():
            return (list, tuple(map(_key, value)))
        case dict():
            return (dict, frozenset((name, _key(each)) for name, each in value.items()))
    return value


def _repeats(items: Sequence[Any]) -> bool:
    return len(set(map(_key, items))) < len(items)


def _at(place: Place) -> str:
    return "/".join(place)[:200] or "the answer"


def _few(values: Sequence[Any]) -> str:
    return ", ".join(repr(value)[:60] for value in values[:8])
