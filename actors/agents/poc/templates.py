"""The agent's own templates: files that something new begins with, filled with answers.

A template is text of this package, and answers are checked data, never rendered themselves: what a
request says cannot become more than names and sentences.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import Field, JsonValue, StringConstraints
from pydantic import ValidationError as ModelError

from actors import misfits
from actors.agents.kit.outcome import Model
from actors.agents.poc.messages import Template
from actors.workflows.definition import ActivityFailure

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,60}$")]
Sentence = Annotated[str, StringConstraints(pattern=r'^[^"\\\x00-\x1f\x7f]{1,200}$')]


class ModuleAnswers(Model):
    """A module in a package, with functions that are not written yet, and a test of each."""

    package: Name
    name: Name
    summary: Sentence = "Does one thing"
    functions: tuple[Name, ...] = Field(default=("run",), min_length=1, max_length=50)


class PackageAnswers(Model):
    """A Python project: metadata, a package with one function, and its test."""

    name: Name
    summary: Sentence = "Does one thing"
    version: Annotated[str, StringConstraints(pattern=r"^\d{1,5}(\.\d{1,5}){1,3}$")] = "0.1.0"
    python: Annotated[str, StringConstraints(pattern=r"^3\.\d{1,2}$")] = "3.11"


class BenchmarkAnswers(Model):
    """A benchmark that calls functions without arguments."""

    package: Name
    module: Name
    functions: tuple[Name, ...] = Field(min_length=1, max_length=50)


@dataclass(frozen=True, slots=True)
class Pack:
    """A template: the answers it asks for, and its files; their names are templates, too."""

    answers: type[Model]
    files: Mapping[str, str]


_MODULE: Final = '''\
"""{{ summary }}."""
{% for function in functions %}

def {{ function }}() -> None:
    """Do {{ function }}."""
    raise NotImplementedError
{% endfor %}'''

_MODULE_TEST: Final = """\
import pytest

from {{ package }} import {{ name }}
{% for function in functions %}

def test_{{ function }}_is_not_written_yet() -> None:
    with pytest.raises(NotImplementedError):
        {{ name }}.{{ function }}()
{% endfor %}"""

_PYPROJECT: Final = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{{ name }}"
version = "{{ version }}"
description = "{{ summary }}"
readme = "README.md"
requires-python = ">={{ python }}"

[tool.setuptools.packages.find]
where = ["src"]

[tool.pytest.ini_options]
pythonpath = ["src"]
testpaths = ["tests"]
"""

_README: Final = """\
# {{ name }}

{{ summary }}.

```python
from {{ name }} import greet

print(greet("you"))
```
"""

_PACKAGE: Final = '''\
"""{{ summary }}."""


def greet(name: str) -> str:
    """Say hello to somebody."""
    return f"Hello, {name}."
'''

_PACKAGE_TEST: Final = """\
from {{ name }} import greet


def test_it_greets_by_name() -> None:
    assert greet("Ann") == "Hello, Ann."
"""

_BENCHMARK: Final = '''\
"""Benchmarks of {{ package }}.{{ module }}."""

from {{ package }} import {{ module }}
{% for function in functions %}

def bench_{{ function }}() -> None:
    """Time {{ function }}."""
    {{ module }}.{{ function }}()
{% endfor %}'''

PACKS: Final[Mapping[str, Pack]] = MappingProxyType(
    {
        "module": Pack(
            ModuleAnswers,
            {"{{ package }}/{{ name }}.py": _MODULE, "tests/test_{{ name }}.py": _MODULE_TEST},
        ),
        "package": Pack(
            PackageAnswers,
            {
                "pyproject.toml": _PYPROJECT,
                "README.md": _README,
                "src/{{ name }}/__init__.py": _PACKAGE,
                "tests/test_{{ name }}.py": _PACKAGE_TEST,
            },
        ),
        "benchmark": Pack(
            BenchmarkAnswers, {"benchmarks/bench_{{ package }}_{{ module }}.py": _BENCHMARK}
        ),
    }
)


def fill(template: Template) -> dict[str, str]:
    """The files of a template, by their paths.

    Raises:
        ActivityFailure: "unknown_template", or "bad_answers" with the answer's name.
    """
    pack = PACKS.get(template.name)
    if pack is None:
        known = ", ".join(sorted(PACKS))
        raise ActivityFailure(
            "unknown_template", f"there is no template {template.name!r}: {known}", retryable=False
        )
    answers = _answers(pack, template.answers)
    render = _renderer()
    return {render(path, answers): render(text, answers) for path, text in pack.files.items()}


def _answers(pack: Pack, given: Mapping[str, JsonValue]) -> dict[str, Any]:
    try:
        return pack.answers.model_validate(dict(given)).model_dump()
    except ModelError as error:
        first = misfits.first(error)
        where = ".".join(map(str, first.place)) or "answers"
        raise ActivityFailure("bad_answers", f"{where}: {first.words}", retryable=False) from error


def _renderer() -> Callable[[str, Mapping[str, Any]], str]:
    from jinja2 import StrictUndefined  # noqa: PLC0415 - slow to import
    from jinja2.sandbox import SandboxedEnvironment  # noqa: PLC0415

    made = SandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return lambda text, answers: made.from_string(text).render(answers)
