"""The command agent's page says all that it can be asked and set up with."""

import json
import re
from pathlib import Path

import pytest

from actors.agents.command.config import CommandConfig
from actors.agents.command.dialects import DIALECTS
from actors.agents.command.messages import CommandRequest, Status
from actors.agents.command.presets import PRESETS

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
SECTION = PAGE.read_text().partition("\n## Command\n")[2].partition("\n## ")[0]
NAMES = {
    "variables": (*CommandRequest.model_fields,),
    "configuration": (*CommandConfig.model_fields,),
    "presets": (*PRESETS,),
    "outcomes": tuple(status.value for status in Status),
}


@pytest.mark.parametrize("what", sorted(NAMES))
def test_each_name_is_on_the_page(what: str) -> None:
    assert [name for name in NAMES[what] if f"`{name}`" not in SECTION] == []


def test_the_configuration_on_the_page_can_be_given() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)
    config = CommandConfig.model_validate(json.loads(text))
    words, stdin = config.find(config.preset).words(
        prompt="Do it.", session="s-1", resumes=True, options={"model": "big"}
    )
    assert words == [*("/opt/tools/coder", "run", "--json", "--model", "big", "--continue", "s-1")]
    assert stdin == "Do it."


def test_the_frames_on_the_page_are_understood() -> None:
    frames = re.findall(r"`(\{\"type\":.*?\})`", SECTION, re.DOTALL)
    assert len(frames) == 6
    for frame in frames:
        read = json.loads(frame.replace("…", '"1"').replace("\n", " "))
        assert list(DIALECTS["lines"](read)), frame
