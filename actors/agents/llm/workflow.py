"""The llm workflow: a prompt, and an answer."""

from actors.agents.llm.agent import LlmAgent
from actors.agents.llm.messages import Answer, AnswerRequest, Status
from actors.workflows.context import Context
from actors.workflows.definition import ActivityFailure, RetryPolicy, workflow

PAUSES = 50
"""As often a service is waited for that has said to come back later."""

RETRY = RetryPolicy(attempts=3, initial_s=5.0, coefficient=4.0, maximum_s=300.0)


@workflow(name="llm", agent_type="llm")
async def llm(ctx: Context, request: AnswerRequest) -> Answer:
    """Have a language model answer a question about the repository.

    A service that is busy is waited for with a durable timer; the conversation goes on then.
    """
    for _ in range(PAUSES):
        answer = await ctx.activity(LlmAgent.answer, request, retry=RETRY)
        if answer.status is Status.ANSWERED:
            return answer
        if answer.status is not Status.LATER:
            raise ActivityFailure(answer.status.value, answer.summary, retryable=False)
        wait_s = answer.wait_s or 0.0
        ctx.log(f"{answer.summary}; goes on in {wait_s:.0f} s")
        await ctx.sleep(wait_s)
        request = request.model_copy(update={"conversation": answer.conversation})
    raise ActivityFailure("later", f"the model was busy {PAUSES} times", retryable=False)
