"""The workflow that the fault suites start: three steps, one of them an agent's.

Also a plugin of the installed server, so it imports nothing but what users import.
"""

from typing import Any

from beadflow import Agent, Context, Task, activity, workflow


class Clerk(Agent):
    agent_type = "clerk"
    max_workload = 64

    @activity
    async def note(self, task: Task, number: int) -> str:
        return f"{task.id} {number}"


@activity
async def count(number: int) -> int:
    return number + 1


@workflow(agent_type="clerk")
async def noted(ctx: Context, variables: dict[str, Any]) -> dict[str, Any]:
    one = await ctx.activity(count, variables["number"])
    await ctx.activity(Clerk.note, one)
    two = await ctx.activity(count, one)
    return {"number": two, "summary": f"counted to {two}"}
