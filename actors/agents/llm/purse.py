"""An agent's budget for all its questions: looked into before each turn, paid from after it."""

from dataclasses import dataclass

import trio

from actors.agents.kit.spending import AgentBudget, Entry, Spending
from actors.agents.kit.usage import Usage
from actors.clock import Clock, system_clock


@dataclass(frozen=True, slots=True)
class Purse:
    """See the module.

    Args:
        account: what was spent, also in former lives of the process.
    """

    agent_id: str
    budget: AgentBudget
    account: Spending
    clock: Clock = system_clock

    async def used_up(self) -> str:
        """Why no more may be spent; empty when it may."""
        if self.budget.usd is None and self.budget.tokens is None:
            return ""
        spent = await trio.to_thread.run_sync(
            self.account.total, self.clock(), self.budget.window_s
        )
        why = self.budget.used_up(spent)
        return why and f"the budget of agent {self.agent_id} is used up: {why}"

    async def pay(self, key: str, usage: Usage) -> None:
        """Write a turn down, once for each key."""
        entry = Entry(at=self.clock(), key=key, usage=usage)
        await trio.to_thread.run_sync(self.account.add, entry, self.budget.window_s)
