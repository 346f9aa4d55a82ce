"""The conformance suite lets a good class pass, and finds what others do not do."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from pydantic import BaseModel

from actors.agents.attempt import Attempt
from beadflow import ActivityFailure, Agent, AgentHealth, Task, activity
from beadflow.testing import Nonconformance, Subject, checks, conformance


class Depth(BaseModel):
    metres: int


class Spade(BaseModel):
    width: int
    colour: str = "red"


class Digger(Agent):
    """Digs."""

    agent_type = "digger"
    Config = Spade

    async def configure(self, config: BaseModel) -> None:
        del config

    @activity
    async def dig(self, task: Task, depth: Depth) -> int:
        """Dig a hole."""
        return depth.metres * int(self.config.width)

    @activity
    def dig_by_hand(self, task: Task) -> Path:
        """Dig one in a thread."""
        return task.repo


test_a_class_that_does_what_agents_do_passes = conformance(
    Digger, config={"width": 2}, examples={"dig": {"metres": 3}, "dig_by_hand": None}
)


def test_an_example_of_no_activity_is_refused() -> None:
    with pytest.raises(TypeError, match=r"no activity 'bury'.*dig, dig_by_hand"):
        conformance(Digger, examples={"bury": None})


# --- what is found


class Shouting(Agent):
    """Its name is none."""

    agent_type = "Digger!"


class Silent(Agent):
    agent_type = "silent"


class Unsaid(Agent):
    """What its activity is for is not said."""

    agent_type = "unsaid"

    @activity
    async def dig(self, task: Task) -> None: ...


class Opaque(Agent):
    """Its activity takes what JSON has no words for."""

    agent_type = "opaque"

    @activity
    async def dig(self, task: Task, spade: Callable[[], int]) -> None:
        """Dig."""


class Open(Agent):
    """What it is to keep to itself is shown."""

    agent_type = "open"

    class Config(BaseModel):
        jira_token: str = ""


class Base(Agent):
    """What the rest are made of."""

    agent_type = "base"

    @activity
    async def dig(self, task: Task, depth: Depth) -> int:
        """Dig."""
        return await self.digs(task)

    async def digs(self, task: Task) -> int:
        return task.attempt


class Forgetful(Base):
    """It forgets what its class does at the end."""

    async def on_stop(self) -> None:
        """Leave it."""


class Sulky(Base):
    """It is not well and does not say why."""

    async def health_check(self) -> AgentHealth:
        return AgentHealth(healthy=False)


class Fainting(Base):
    """Its health check fails."""

    async def health_check(self) -> AgentHealth:
        raise OSError("no doctor")


class Failing(Base):
    """It cannot do what it is asked for."""

    async def digs(self, task: Task) -> int:
        raise ActivityFailure("rock", "too hard", retryable=False)


class Greedy(Base):
    """It lets nobody else run."""

    async def digs(self, task: Task) -> int:
        threading.Event().wait(0.3)
        return 1


class Careless(Base):
    """It does not look at what it is given."""

    async def execute_activity(self, attempt: Attempt) -> Any:
        return 1


class Stubborn(Base):
    """It goes on when nobody wants it to."""

    async def digs(self, task: Task) -> int:
        with trio.move_on_after(0.5) as scope:
            scope.shield = True
            await trio.sleep_forever()
        return 1


class Once(Base):
    """What it did before is in its way."""

    async def digs(self, task: Task) -> int:
        task.site.workspace.mkdir(parents=True)
        return 1


class Locked(Base):
    """What its former life left is in its way."""

    async def initialize(self) -> None:
        (self.site.repo / "lock").touch(exist_ok=False)


@pytest.mark.parametrize(
    ("kind", "check", "why"),
    [
        (Shouting, "the_type_is_a_plain_name", "agent_type is 'Digger!'"),
        (Silent, "the_class_and_its_activities_are_described", "Silent has no docstring"),
        (Unsaid, "the_class_and_its_activities_are_described", "'dig' has no docstring"),
        (Silent, "there_are_activities", "has no activity"),
        (Opaque, "activities_are_typed", "the input of activity 'dig' has no JSON schema"),
        (Digger, "its_configuration_is_taken", "config.width: Field required"),
        (Open, "secrets_of_its_configuration_are_masked", "config.jira_token would be shown"),
        (Forgetful, "hooks_are_called_in_order", "initialize, start, stop; does one forget"),
        (Sulky, "it_says_how_it_is", "does not say why"),
        (Fainting, "it_says_how_it_is", "its health check failed: OSError: no doctor"),
        (Failing, "examples_succeed", "'dig' failed: rock: "),
        (Greedy, "examples_succeed", "kept everything else waiting"),
        (Careless, "a_wrong_input_is_an_outcome", "'dig' took 7"),
        (Stubborn, "what_nobody_wants_any_more_ends", "catch trio.Cancelled"),
        (Once, "what_it_did_when_it_crashed_is_done_again", "done again under the same key"),
        (Locked, "a_crash_while_it_is_restarted_is_made_up_for", "has been restarted|has come up"),
    ],
)
def test_it_is_found_that(kind: type[Agent], check: str, why: str) -> None:
    with pytest.raises(Nonconformance, match=why):
        run(kind, check)


def run(kind: type[Agent], check: str) -> None:
    examples = {"dig": {"metres": 1}} if issubclass(kind, Base) else {}
    subject = Subject(
        agent_class=kind, examples=examples, deadline_s=3.0, cancel_s=0.1, blocking_s=0.15
    )
    try:
        _named(subject, check)()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several


def _named(subject: Subject, wanted: str) -> Callable[[], None]:
    return dict(checks(subject))[wanted]
