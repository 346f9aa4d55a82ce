"""What is not given is left out: parameters of a query, and fields that need not be there."""

from collections.abc import Iterator
from typing import Final

from api.operations.schemas import Schema

MEANINGS: Final = {
    "after": "Only what follows this number.",
    "cursor": "`next_cursor` of the page before; good for the same filters and the same order.",
    "fields": "Only these fields of each, with commas between them. The answer holds fewer than "
    "its schema requires then.",
    "lag": "When a client reads too slowly, `cut` closes and `drop` leaves out the oldest.",
    "limit": "At most so many.",
    "reverse": "The other way round.",
    "topics": "Types of events, and patterns of them such as `step_*`, with commas between them.",
}
"""Of parameters that mean the same wherever they are."""


def query_parameters(schema: Schema) -> Iterator[Schema]:
    """An OpenAPI parameter for each field; a list is words with commas between them."""
    required = schema.get("required", [])
    for name, field in given(schema).items():
        found: Schema = {"name": name, "in": "query", "required": name in required}
        if field.get("type") == "array":
            found |= {"style": "form", "explode": False}
        if name in MEANINGS:
            found["description"] = MEANINGS[name]
        yield {**found, "schema": field}


def given(schema: Schema) -> dict[str, Schema]:
    """The fields of an object, where one that need not be there is never null."""
    required = schema.get("required", [])
    return {
        name: field if name in required else _without_null(field)
        for name, field in schema.get("properties", {}).items()
    }


def _without_null(field: Schema) -> Schema:
    options = [each for each in field.get("anyOf", []) if each != {"type": "null"}]
    rest = {name: value for name, value in field.items() if name != "anyOf"}
    if field.get("default", 0) is None:
        rest.pop("default")
    if len(options) == 1:
        return {**rest, **options[0]}
    return {**rest, "anyOf": options} if options else rest
