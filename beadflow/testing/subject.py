"""Which class is held to what: an agent, its configuration, and inputs that its activities take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.agents.protocol import Agent


class Nonconformance(AssertionError):  # noqa: N818 - it is a finding
    """The class does not do what every agent does; the message says what, and what to do."""


def expect(condition: object, otherwise: str) -> None:
    """See that something holds.

    Raises:
        Nonconformance: it does not.
    """
    if not condition:
        raise Nonconformance(otherwise)


def nothing(repo: Path) -> None:
    """Leave a repository empty."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """See the module.

    Args:
        agent_class: the class.
        config: fields of its `Config`.
        examples: {activity: an input that it takes, None where it takes none}. Those that are not
            named are not run. Each is run several times, also twice under one key.
        prepare: puts files into the repository that the agent works on. It is a Git work tree
            without a commit.
        commands: programs that it may run for whoever asks.
        deadline_s: for one example, and for whatever else is waited for.
        cancel_s: how soon an activity ends that nobody wants any more.
        blocking_s: how long an activity may keep all others from running.
    """

    agent_class: type[Agent]
    config: Mapping[str, Any] = field(default_factory=dict)
    examples: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Path], None] = nothing
    commands: tuple[str, ...] = ()
    deadline_s: float = 60.0
    cancel_s: float = 10.0
    blocking_s: float = 2.0

    def __post_init__(self) -> None:
        unknown = sorted(set(self.examples) - set(self.agent_class.capabilities()))
        if unknown:
            known = ", ".join(self.agent_class.capabilities()) or "none"
            raise TypeError(f"no activity {unknown[0]!r} to give an example of; there are: {known}")
