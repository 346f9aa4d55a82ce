"""An agent class that writes down which of its hooks are called, and breaks where it is told to."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import trio
from pydantic import BaseModel

from actors.agents.attempt import Attempt
from actors.agents.messages import TaskOrder
from actors.agents.protocol import Agent
from actors.agents.report import AgentHealth


class BrokenError(RuntimeError):
    """What a hook raises that was told to."""


class Fall:
    """Told to an agent that is to crash: no class knows it."""


@dataclass(slots=True)
class Diary:
    """What happened to the instances of a class.

    Args:
        hooks: (agent id, hook) in the order in which they were called.
        orders: what they were given to do, in order.
        left: how many attempts are over, however they ended.
        breaks: how often a hook is to break from now on.
        gate: attempts go on once it is open, before their activity begins.
        unsaid: how many attempts crash the agent once their activity has ended.
    """

    hooks: list[tuple[str, str]] = field(default_factory=list)
    orders: list[TaskOrder] = field(default_factory=list)
    left: int = 0
    breaks: Counter[str] = field(default_factory=Counter)
    gate: trio.Event = field(default_factory=trio.Event)
    unsaid: int = 0

    def of(self, agent_id: str) -> list[str]:
        return [hook for who, hook in self.hooks if who == agent_id]

    def note(self, agent_id: str, hook: str) -> None:
        """Write it down.

        Raises:
            BrokenError: it is to break.
        """
        self.hooks.append((agent_id, hook))
        if self.breaks[hook] > 0:
            self.breaks[hook] -= 1
            raise BrokenError(f"{hook} was told to break")


def watched(agent_class: type[Agent], diary: Diary) -> type[Agent]:
    """The same class; what it does is in the diary."""

    class Watched(agent_class):  # type: ignore[valid-type, misc]
        __doc__ = agent_class.__doc__

        async def initialize(self) -> None:
            diary.note(self.agent_id, "initialize")
            await super().initialize()

        async def on_start(self) -> None:
            await super().on_start()
            diary.note(self.agent_id, "start")

        async def on_stop(self) -> None:
            diary.note(self.agent_id, "stop")
            await super().on_stop()

        async def shutdown(self) -> None:
            diary.note(self.agent_id, "shutdown")
            await super().shutdown()

        async def health_check(self) -> AgentHealth:
            diary.note(self.agent_id, "health_check")
            found: AgentHealth = await super().health_check()
            return found

        async def on_receive(self, message: object) -> object:
            if isinstance(message, Fall):
                raise BrokenError("the agent was told to crash")
            return await super().on_receive(message)

        async def execute_activity(self, attempt: Attempt) -> Any:
            diary.orders.append(attempt.order)
            try:
                await diary.gate.wait()
                result = await super().execute_activity(attempt)
            finally:
                diary.left += 1
            if diary.unsaid > 0:
                diary.unsaid -= 1
                self.me.tell(Fall())
                await trio.sleep_forever()
            return result

    if agent_class.configure is not Agent.configure:
        Watched.configure = _noted(agent_class.configure, diary)
    return Watched


def _noted(configure: Callable[..., Any], diary: Diary) -> Any:
    async def noted(self: Agent, config: BaseModel) -> None:
        diary.note(self.agent_id, "configure")
        await configure(self, config)

    return noted
