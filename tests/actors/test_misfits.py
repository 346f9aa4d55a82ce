"""What people are told of a value that does not fit a model."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from actors import misfits
from actors.misfits import Misfit


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colour: str = ""
    veins: tuple[int, ...] = Field(default=(), max_length=2)

    @field_validator("colour")
    @classmethod
    def _is_bright(cls, colour: str) -> str:
        if colour == "grey":
            raise ValueError("grey is no colour")
        return colour


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")
    leaf: Leaf | None = None
    leaves: dict[str, Leaf] = Field(default_factory=dict, max_length=1)
    names: frozenset[str] = frozenset()
    either: Leaf | dict[str, "Tree"] = Field(default_factory=Leaf)


def misfit(given: Any) -> Misfit:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(given)
    return misfits.first(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"leaf": {"veins": 1}}, "Input should be a valid list"),
        ({"names": 1}, "Input should be a valid list"),
        ({"leaves": 1}, "Input should be a valid object"),
        ({"leaf": 1}, "Input should be a valid object"),
        ({"leaf": {"colour": "grey"}}, "grey is no colour"),
        ({"leaf": {"colour": 1}}, "Input should be a valid string"),
        ({"leaf": {"veins": [1, 2, 3]}}, "List should have at most 2 items, not 3"),
        ({"leaves": {"a": {}, "b": {}}}, "Object should have at most 1 item, not more"),
    ],
    ids=str,
)
def test_no_word_is_of_python(given: Any, words: str) -> None:
    assert misfit(given).words == words


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ({"bark": 1}, "; known: leaf, leaves, names, either"),
        ({"leaf": {"bark": 1}}, "; known: colour, veins"),
        ({"leaves": {"leaf": {"bark": 1}}}, "; known: colour, veins"),
        ({"either": {"bark": 1}}, ""),
        ({"leaf": 1}, ""),
    ],
    ids=str,
)
def test_the_fields_that_there_are_are_those_of_the_model_within(given: Any, known: str) -> None:
    assert misfits.fields_there(Tree, misfit(given)) == known
