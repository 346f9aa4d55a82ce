"""The catalogue shows every type, whatever its class is made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from actors.agents.catalogue import Catalogue, permit
from actors.agents.site import Site
from actors.errors import ValidationError
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


class Frail(Agent):
    agent_type = "frail"

    @classmethod
    def check_config(cls, config: BaseModel, site: Site) -> None:
        raise ZeroDivisionError("in its check")


def test_a_check_that_fails_itself_is_a_refusal(tmp_path: Path) -> None:
    site = Site(repo=tmp_path, workspace=tmp_path)
    with pytest.raises(ValidationError, match="config: its check failed: ZeroDivisionError") as odd:
        permit(Frail, Frail.Config(), site)
    assert odd.value.field == "config"
