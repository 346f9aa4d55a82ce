"""What users import."""

import beadflow
from beadflow import Agent, Context, Task, activity, workflow


def test_every_name_that_is_promised_is_there() -> None:
    assert sorted(beadflow.__all__) == beadflow.__all__
    assert [name for name in beadflow.__all__ if not hasattr(beadflow, name)] == []


def test_a_workflow_needs_nothing_but_the_facade() -> None:
    class Helper(Agent):
        agent_type = "helper"

        @activity
        async def dig(self, task: Task, depth: int) -> int:
            return depth + task.attempt

    @workflow(agent_type="helper")
    async def digging(ctx: Context) -> int:
        return await ctx.activity(Helper.dig, 3)

    assert Helper.capabilities() == ("dig",)
    assert digging.__name__ == "digging"


def test_a_divergence_is_not_caught_by_who_catches_everything() -> None:
    assert not issubclass(beadflow.NonDeterminismError, Exception)
    assert issubclass(beadflow.ActivityError, Exception)
