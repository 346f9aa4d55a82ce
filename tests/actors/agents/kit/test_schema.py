from typing import Any

import pytest
from pydantic import BaseModel, Field

from actors.agents.kit.schema import SchemaError, check_schema, is_strict, problems

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True},
    },
    "required": ["name"],
    "additionalProperties": False,
}


class Leaf(BaseModel):
    size: float | None = None
    kind: str = Field(default="x", max_length=3)


class Tree(BaseModel):
    leaves: list[Leaf]
    below: "list[Tree]" = []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"name": "Ada", "age": 36.0, "tags": ["a", "b"]}, []),
        ({"name": "", "age": -1}, ["name is shorter than 1", "age is less than 0"]),
        (
            {"age": 1.5, "more": 1},
            ["name is missing", "age is not of type integer", "more is not allowed"],
        ),
        ({"name": "x", "tags": ["a", "a"]}, ["tags has an item twice"]),
        ({"name": "x", "tags": ["c"]}, ["tags/0 is none of 'a', 'b'"]),
        ({"name": True}, ["name is not of type string"]),
        ([], ["the answer is not of type object"]),
    ],
    ids=str,
)
def test_a_value_is_compared_with_its_schema(value: Any, found: list[str]) -> None:
    check_schema(PERSON)
    assert problems(PERSON, value) == found


@pytest.mark.parametrize(
    ("schema", "fitting", "failing"),
    [
        ({"type": ["string", "null"]}, None, 1),
        ({"const": 1}, 1.0, True),
        ({"enum": [[1, {"a": None}]]}, [1, {"a": None}], [1, {"a": 0}]),
        ({"exclusiveMinimum": 0, "exclusiveMaximum": 2, "maximum": 3}, 1, 0),
        ({"minItems": 1, "maxItems": 2}, [1], [1, 2, 3]),
        ({"maxLength": 2}, "ab", "abc"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
        ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, 1, 3),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 2, 3),
        ({"additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "b"}),
        ({"$defs": {"a/b": {"type": "null"}}, "$ref": "#/$defs/a~1b"}, None, 1),
        (True, 1, None),
        ({"minimum": 1}, "no number", 0),
    ],
    ids=str,
)
def test_each_keyword_is_looked_at(schema: Any, fitting: Any, failing: Any) -> None:
    check_schema(schema)
    assert problems(schema, fitting) == []
    assert schema is True or problems(schema, failing)


def test_schemas_of_models_can_be_used() -> None:
    schema = Tree.model_json_schema()
    check_schema(schema)
    assert problems(schema, {"leaves": [{"size": None}], "below": [{"leaves": []}]}) == []
    assert problems(schema, {"leaves": [{"kind": "long"}], "below": [{}]}) == [
        "leaves/0/kind is longer than 3",
        "below/0/leaves is missing",
    ]


@pytest.mark.parametrize(
    "schema",
    [
        *(1, "object", None, [], {"type": "text"}, {"type": []}, {"type": 1}, {"type": [[]]}),
        *({"pattern": "(a+)+$"}, {"properties": []}, {"items": 3}, {"anyOf": []}, {"anyOf": {}}),
        *({"required": "name"}, {"required": [1]}, {"enum": []}, {"minLength": -1}),
        *({"minLength": True}, {"minimum": "1"}, {"$ref": "http://h/s"}, {"$ref": "#/$defs/x"}),
        *({"$ref": 1}, {"uniqueItems": 1}, {"not": {}}, {"properties": {"a": {"if": {}}}}),
    ],
    ids=str,
)
def test_a_schema_that_is_not_understood_is_refused(schema: Any) -> None:
    with pytest.raises(SchemaError):
        check_schema(schema)


def test_a_schema_that_goes_in_circles_comes_to_an_end() -> None:
    circle = {"$ref": "#"}
    check_schema(circle)
    assert problems(circle, 1) == ["the answer is too deep"]
    wide = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}
    check_schema(wide)
    assert problems(wide, 1)


def test_a_schema_that_is_too_deep_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100):
        schema = {"items": schema}
    with pytest.raises(SchemaError, match="too deep"):
        check_schema(schema)


def test_ten_problems_are_enough() -> None:
    assert len(problems({"items": {"type": "null"}}, list(range(50)))) == 10


def test_a_schema_is_strict_when_each_object_has_all_of_its_properties_and_no_more() -> None:
    inner = {**PERSON, "required": ["name", "age", "tags"]}
    assert is_strict(inner)
    assert not is_strict(PERSON)
    assert not is_strict({"type": "array", "items": {"type": "object"}})
    assert is_strict({"type": "string"})
