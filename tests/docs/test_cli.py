"""docs/cli.md names every command, option, exit code, variable and setting."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from cyclopts import App

from cli.commands import app
from cli.credentials import KEY, PLAIN_HTTP
from cli.exits import ExitCode
from cli.serve import REDIS_URL
from cli.settings import Settings
from tests.docs.pages import first_names, headings, names, page, rows, section

PAGE = "docs/cli.md"

Options = dict[str, tuple[str, ...]]
"""An option's name with the environment variables that stand for it."""


def commands(of: App, path: tuple[str, ...]) -> Iterator[tuple[str, App]]:
    below = [name for name in of if not name.startswith("-")]
    if not below:
        yield " ".join(path), of
    for name in below:
        yield from commands(of[name], (*path, name))


COMMANDS = dict(commands(app, ("beadflow",)))
SHARED = {
    "Who answers": ("--url", "--key-file", "--repo", "--data-dir"),
    "Which issues": (
        *("--status", "--type", "--priority", "--assignee", "--unassigned"),
        *("--label", "--label-any", "--exclude-label", "--parent"),
    ),
    "Parts of lists": ("--sort", "--reverse", "--all", "--limit", "--cursor"),
    "Who asks": ("--actor",),
    "Only ids": ("--silent",),
}
"""Options that many commands have, by the heading under which they stand."""

SHORT = {
    "beadflow issue ready": "beadflow ready",
    "beadflow issue claim": "beadflow claim",
    "beadflow issue close": "beadflow done",
    "beadflow issue done": "beadflow done",
}
"""Commands that have a shorter name, under which their options stand."""


def test_every_command_has_its_heading_and_no_other_has() -> None:
    documented = [title.strip("`") for title in headings(section(PAGE, "Commands"))]
    assert sorted(documented) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_s_options_are_those_of_its_table(command: str) -> None:
    real = _options(COMMANDS[command].assemble_argument_collection())
    for heading, shared in SHARED.items():
        if set(shared) <= set(real):
            assert _documented(heading) == {name: real.pop(name) for name in shared}
    assert _documented(f"`{SHORT.get(command, command)}`") == real


def test_the_options_of_all_commands_are_documented() -> None:
    real = _options(app.meta.assemble_argument_collection())
    top = page(PAGE).partition("\n## ")[0]
    always = {app.help_flags[0]: (), app.version_flags[0]: ()}
    assert _in_table(top) == {**real, **always}


def test_the_exit_codes_are_those_of_the_code_word_for_word() -> None:
    documented = {int(code): meaning for code, meaning in rows(section(PAGE, "Exit codes"))}
    assert documented == {code.value: code.meaning for code in ExitCode}


def test_every_environment_variable_is_listed() -> None:
    given = [_options(command.assemble_argument_collection()) for command in COMMANDS.values()]
    given.append(_options(app.meta.assemble_argument_collection()))
    variables = {name for options in given for found in options.values() for name in found}
    read = {"NO_COLOR", REDIS_URL, KEY, PLAIN_HTTP}
    assert set(first_names(section(PAGE, "Environment"))) == variables | read


def test_every_setting_is_listed_with_its_default() -> None:
    documented = {names(key)[0]: names(default)[0] for key, default, _ in _settings()}
    spelt = {field.name: _toml(field.default) for field in fields(Settings)}
    assert documented == spelt


def _settings() -> Iterator[list[str]]:
    return rows(section(PAGE, "Settings file"))


def _toml(value: object) -> str:
    match value:
        case str():
            return f'"{value}"'
        case ():
            return "[]"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _options(arguments: Any) -> Options:
    return {
        argument.names[0]: tuple(argument.parameter.env_var or ())
        for argument in arguments
        if argument.names[0].startswith("--") and argument.parameter.parse is not False
    }


def _documented(title: str) -> Options:
    return _in_table(section(PAGE, title))


def _in_table(text: str) -> Options:
    return {
        names(option)[0]: tuple(names(variable))
        for option, variable, _ in rows(text)
        if option.startswith("`--")
    }
