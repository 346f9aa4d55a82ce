"""A plug-in: an agent and a workflow in a distribution of their own."""

from typing import Any

from pydantic import BaseModel, Field

from beadflow import Agent, Context, Task, activity, workflow


class Loudness(BaseModel):
    marks: int = Field(ge=1, le=9)


class Shouter(Agent):
    """Says it louder."""

    agent_type = "shout"
    Config = Loudness

    @activity
    async def shout(self, task: Task, words: str) -> dict[str, str]:
        """Say it in capitals."""
        said = words.upper() + "!" * self.config.marks
        return {"said": said, "by": self.agent_id, "summary": said}


@workflow(agent_type="shout")
async def shouting(ctx: Context, variables: dict[str, Any]) -> dict[str, str]:
    """Shout."""
    return await ctx.activity(Shouter.shout, variables["words"])
