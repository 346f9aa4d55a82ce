"""Plugins: where workflows and agents come from.

Two places, both the operator's: entry points of installed distributions, and files named in the
settings. A request never names code.
"""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from actors.agents.catalogue import AgentSpec, is_complete
from actors.agents.protocol import Agent
from actors.workflows.definition import Definitions, workflow_of
from actors.workflows.lint.reader import Finding

WORKFLOWS = "beadflow.workflows"
AGENTS = "beadflow.agents"


class PluginError(Exception):
    """A plugin cannot be used; the message names it and says why."""


class ForbiddenCallsError(PluginError):
    """Workflows do what a replay would not do again the same, and that is not put up with."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        count = f"{len(findings)} {'finding' if len(findings) == 1 else 'findings'}"
        super().__init__(f"strict_workflows refuses what workflows do: {count}")
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """All that this process can run.

    Args:
        agents: an instance of each type that can do without being set up.
        types: every class of agents.
    """

    definitions: Definitions
    agents: tuple[AgentSpec, ...]
    types: tuple[type[Agent], ...] = ()


def load(files: Sequence[Path] = (), *, strict_workflows: bool = False) -> Plugins:
    """Collect every workflow and agent class.

    Args:
        files: Python files from the operator's settings; each is imported once.
        strict_workflows: whether to refuse what the lint finds in the workflows.

    Raises:
        PluginError: one cannot be imported, is not what it says, or clashes with another.
        ForbiddenCallsError: the lint has found something, and `strict_workflows` was asked for.
    """
    definitions = Definitions()
    classes: dict[str, type[Agent]] = {}
    for source, found in (*_from_entry_points(), *_from_files(files)):
        try:
            _add(found, definitions, classes)
        except TypeError as error:
            raise PluginError(f"{source}: {error}") from error
    if strict_workflows:
        _refuse_forbidden(definitions)
    agents = tuple(
        AgentSpec(agent_id=f"{name}-1", agent_class=classes[name])
        for name in sorted(classes)
        if is_complete(classes[name])
    )
    return Plugins(definitions=definitions, agents=agents, types=tuple(classes.values()))


def _add(found: object, definitions: Definitions, classes: dict[str, type[Agent]]) -> None:
    if not isinstance(found, type):
        definitions.add(found)
        return
    if not issubclass(found, Agent):
        raise TypeError(f"{found!r} is no Agent")
    known = classes.setdefault(found.agent_type, found)
    if known is not found:
        raise TypeError(f"two agents have the type {found.agent_type!r}: {known!r}, {found!r}")


def _refuse_forbidden(definitions: Definitions) -> None:
    found = [one for known in definitions.every() for one in known.report.findings]
    if found:
        raise ForbiddenCallsError(tuple(dict.fromkeys(found)))


def _from_entry_points() -> Iterator[tuple[str, object]]:
    for group in (WORKFLOWS, AGENTS):
        for point in entry_points(group=group):
            yield f"entry point {group}:{point.name}", _load_entry_point(point)


def _load_entry_point(point: EntryPoint) -> object:
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}"
        raise PluginError(f"entry point {point.group}:{point.name}: {what}") from error


def _from_files(files: Sequence[Path]) -> Iterator[tuple[str, object]]:
    for path in dict.fromkeys(file.resolve() for file in files):
        module = _import_file(path)
        for member in vars(module).values():
            if getattr(member, "__module__", None) == module.__name__ and _is_plugin(member):
                yield str(path), member


def _is_plugin(member: object) -> bool:
    is_agent = isinstance(member, type) and issubclass(member, Agent)
    return is_agent or workflow_of(member) is not None


def _import_file(path: Path) -> ModuleType:
    """Import a file under a name of its own, so that two files of one name do not clash."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    name = f"beadflow_plugin_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PluginError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(f"{path}: {type(error).__name__}: {error}") from error
    return module
