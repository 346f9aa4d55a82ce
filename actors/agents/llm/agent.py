"""The llm agent: a worker that is a language model behind an OpenAI-compatible address.

It is there without a model, too, and says then what is missing. Which model it asks, what that may
cost and what it may look at is said by the settings and its configuration, never by a question.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Final

import trio
from pydantic import BaseModel

from actors.agents.kit.chat.client import chat_client
from actors.agents.kit.chat.messages import ChatMessage
from actors.agents.kit.files import list_files
from actors.agents.kit.spending import Spending
from actors.agents.llm.address import check, endpoint_of
from actors.agents.llm.dialogue import Dialogue, Terms
from actors.agents.llm.form import Form
from actors.agents.llm.ledger import Conversation, Ledger, conversation_id
from actors.agents.llm.messages import Answer, AnswerRequest, LlmConfig, ToolName
from actors.agents.llm.purse import Purse
from actors.agents.llm.question import digest, opening
from actors.agents.llm.report import report
from actors.agents.llm.tools import Repository
from actors.agents.protocol import Agent, Task
from actors.agents.report import AgentHealth
from actors.agents.site import Site
from actors.breakers import State
from actors.clock import system_clock
from actors.workflows.definition import ActivityFailure, activity

ROOM: Final = PurePath("llm", "conversations")


class LlmAgent(Agent):
    """Has a language model answer, with the repository at hand."""

    agent_type = "llm"
    Config = LlmConfig

    async def initialize(self) -> None:
        """Forget old conversations."""
        ledger = Ledger(self.site.workspace / ROOM)
        await trio.to_thread.run_sync(ledger.sweep, system_clock().timestamp())

    @classmethod
    def check_config(cls, config: LlmConfig, site: Site) -> None:  # type: ignore[override]
        """What it names is what the operator has named; the model itself may come later."""
        check(config, site)

    async def configure(self, config: BaseModel) -> None:
        """The next question is asked as the new configuration says."""

    async def health_check(self) -> AgentHealth:
        """Whether it has a model that can be asked; the model is not asked for that."""
        try:
            endpoint = endpoint_of(self.config, self.site)
        except ActivityFailure as error:
            return AgentHealth(healthy=error.code == "no_model", message=error.message)
        circuit = self.breakers.of(endpoint.service).state()
        details = {"model": endpoint.model, "url": endpoint.url, "circuit": circuit.state.value}
        if circuit.state is State.OPEN:
            return AgentHealth(healthy=False, message=circuit.last_error, details=details)
        return AgentHealth(details=details)

    @activity(timeout_s=3600.0)
    async def answer(self, task: Task, request: AnswerRequest) -> Answer:
        """Ask the model until it has answered, doing what it wants done with the repository.

        An attempt goes on where the one before was left: no turn is asked, or paid for, twice.
        """
        config: LlmConfig = self.config
        endpoint = endpoint_of(config, task.site)
        book = _Book(Ledger(task.site.workspace / ROOM), task, request)
        terms = _terms(config, request)
        repository = Repository(await list_files(task.repo))
        begin = partial(opening, request, repository, terms.form, config.system)
        state = await trio.to_thread.run_sync(book.open, begin)
        async with chat_client(endpoint, task.breakers) as client:
            dialogue = Dialogue(
                task, client, terms, repository, state, book.keep, self._purse(task)
            )
            ending = await dialogue.run()
        return await report(task, dialogue.state, ending, book.id)

    def _purse(self, task: Task) -> Purse:
        directory = task.site.workspace / "llm"
        return Purse(self.agent_id, self.config.budget, Spending(directory, self.agent_id))


@dataclass(slots=True)
class _Book:
    """The conversation of one step."""

    ledger: Ledger
    task: Task
    request: AnswerRequest

    @property
    def id(self) -> str:
        return self.request.conversation or conversation_id(self.task.idempotency_key)

    def open(self, begin: Callable[[], tuple[ChatMessage, ...]]) -> Conversation:
        """Go on with it, or begin it."""
        question = digest(self.request)
        found = self.ledger.find(self.id)
        is_ours = found is not None and (found.workflow_id, found.question) == (
            self.task.workflow_id,
            question,
        )
        if found is not None and is_ours:
            return found
        if self.request.conversation:
            raise ActivityFailure(
                "no_such_conversation",
                "this workflow has had no such conversation about this question",
                retryable=False,
            )
        messages = begin()
        return Conversation(
            workflow_id=self.task.workflow_id,
            question=question,
            messages=messages,
            first=len(messages),
        )

    async def keep(self, state: Conversation) -> None:
        await trio.to_thread.run_sync(self.ledger.keep, self.id, state)


def _terms(config: LlmConfig, request: AnswerRequest) -> Terms:
    tools = config.tools if request.tools is None else request.tools
    refused = [name for name in tools if name not in config.tools]
    if refused:
        raise ActivityFailure(
            "tool_not_allowed", f"this agent's model may not use {refused[0]}", retryable=False
        )
    schema = request.json_schema
    return Terms(
        tools=tuple(name for name in ToolName if name in tools),
        budgets=(config.answer_budget, request.budget),
        max_turns=config.max_turns,
        max_tokens=min(config.max_tokens, request.max_tokens or config.max_tokens),
        temperature=config.temperature if request.temperature is None else request.temperature,
        form=None if schema is None else Form(schema, config.answer_format),
    )
