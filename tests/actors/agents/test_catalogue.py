"""The catalogue shows every type, whatever its class is made of."""

from collections.abc import Callable
from typing import Any

import pytest

from actors.agents.catalogue import Catalogue
from beadflow import Agent, Task, activity


class Thing:
    """A class that pydantic knows nothing of."""


@pytest.mark.parametrize("odd", [Thing, Callable[[], int], object])
def test_what_has_no_schema_is_shown_without_one(odd: Any) -> None:
    class Odd(Agent):
        agent_type = "odd"

        @activity
        async def turn(self, task: Task, thing: odd) -> odd:
            return thing

    (record,) = Catalogue({"odd": Odd}).records({})
    assert [(one["input"], one["output"]) for one in record.activities] == [({}, {})]
