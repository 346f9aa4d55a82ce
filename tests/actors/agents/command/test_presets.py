import uuid

import pytest
from pydantic import ValidationError as ModelError

from actors.agents.command.messages import CommandRequest, Work
from actors.agents.command.presets import PRESETS, Preset, plain_command
from actors.errors import ValidationError

SESSION = str(uuid.UUID(int=0))


def words(preset: Preset, prompt: str = "Do it.", **more: object) -> tuple[list[str], str]:
    usual: dict[str, object] = {"session": SESSION, "resumes": False, "options": {}}
    return preset.words(prompt=prompt, **{**usual, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_each_preset_takes_a_prompt_that_looks_like_an_option(name: str) -> None:
    argv, stdin = words(PRESETS[name], "--version")
    assert argv[0] == name
    assert stdin == "--version" or argv[argv.index("--version") - 1] == "--"


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_each_preset_can_go_on_with_a_session(name: str) -> None:
    argv, _ = words(PRESETS[name], resumes=True)
    assert SESSION in argv


def test_options_stand_where_the_preset_has_a_place_for_them() -> None:
    argv, stdin = words(PRESETS["codex"], resumes=True, options={"model": "big"})
    assert argv == ["codex", "exec", "--json", "--model", "big", "resume", SESSION, "-"]
    assert stdin == "Do it."


def test_a_prompt_is_not_looked_through_for_places() -> None:
    argv, _ = words(PRESETS["opencode"], "{session} {options} {prompt}", resumes=True)
    assert argv[-1] == "{session} {options} {prompt}"


def test_a_prompt_too_long_for_a_word_is_refused() -> None:
    with pytest.raises(ValidationError, match="120000 bytes"):
        words(PRESETS["opencode"], "ä" * 60_001)
    assert words(PRESETS["claude"], "ä" * 60_001)[1]


def test_a_plain_command_is_called_as_it_is() -> None:
    assert words(plain_command(("sh", "-c", "{prompt}")), "hello") == (["sh", "-c", "hello"], "")
    assert words(plain_command(("wc", "-l")), "hello") == (["wc", "-l"], "hello")


@pytest.mark.parametrize(
    "wrong",
    [
        {"again": ("--resume",)},
        {"options": {"model": ("--model",)}},
        {"program": ""},
        {"first": ("a\0b",)},
        {"env": {"A=B": "c"}},
        {"dialect": "perl"},
        {"shell": True},
    ],
    ids=repr,
)
def test_a_preset_that_could_not_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        Preset.model_validate({"program": "coder", **wrong})


def test_a_command_may_be_given_as_one_line_that_no_shell_reads() -> None:
    assert Work(command="sh -c 'a && b' ; c").command == ("sh", "-c", "a && b", ";", "c")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"prompt": "  "},
        {"prompt": "a\0b"},
        {"prompt": "a", "command": ["b"], "preset": "claude"},
        {"command": "sh -c 'open"},
        {"prompt": "a", "turns": 0},
        {"prompt": "a", "budget": {"usd": -1}},
        {"prompt": "a", "preset": "../claude"},
    ],
    ids=repr,
)
def test_work_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        CommandRequest.model_validate(wrong)
