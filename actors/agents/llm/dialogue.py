"""A conversation with a model, turn by turn, until there is an answer or a limit is reached.

What comes next follows from the last message alone: a question or the answers of tools are put to
the model, its calls are done, its last words are looked at. So a conversation goes on wherever it
was left.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from actors.agents.kit.chat.client import ChatClient
from actors.agents.kit.chat.failures import ChatFailure
from actors.agents.kit.chat.messages import ChatMessage, ChatRequest, Finish, Reply, Role, ToolCall
from actors.agents.kit.usage import Budget
from actors.agents.llm.form import Form
from actors.agents.llm.ledger import Conversation
from actors.agents.llm.messages import Status, ToolName
from actors.agents.llm.purse import Purse
from actors.agents.llm.tools import REFUSED, Repository, offers, shown, use
from actors.agents.protocol import Task
from actors.workflows.definition import ActivityFailure

REPAIRS: Final = 1
CALLS_PER_TURN: Final = 16
PAUSE_S: Final = 30.0
"""Before a service is asked again that did not say when."""

LEAST_PAUSE_S: Final = 1.0
PROGRESS_S: Final = 2.0

_WAITS: Final = frozenset({"model_busy", "model_left_alone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for one conversation.

    Args:
        budgets: none of them may be used up when a turn begins.
        form: that the answer must have; None for free text.
    """

    tools: tuple[ToolName, ...]
    budgets: tuple[Budget, ...]
    max_turns: int
    max_tokens: int
    temperature: float | None = None
    form: Form | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How it ended. `why` says more where there is no answer, `data` is the answer's JSON."""

    status: Status
    why: str = ""
    data: Any = None
    wait_s: float | None = None


@dataclass(slots=True)
class Dialogue:
    """See the module.

    Args:
        keep: called with each new state, which is then safe.
        purse: pays for each turn; no turn begins when it is empty.
    """

    task: Task
    client: ChatClient
    terms: Terms
    repository: Repository
    state: Conversation
    keep: Callable[[Conversation], Awaitable[None]]
    purse: Purse
    _heard: int = field(default=0, init=False)
    _told_at: float = field(default=0.0, init=False)

    async def run(self) -> Ending:
        """Go on to the end.

        Raises:
            ChatFailure: the model cannot be asked; the turns so far are kept.
            ActivityFailure: "bad_answer": it does not have the form, also when told so.
        """
        while True:
            last = self.state.messages[-1]
            if last.role is not Role.ASSISTANT:
                ending = await self._ask()
            elif last.tool_calls and self.state.finish is Finish.TOOL_CALLS:
                await self._use(last.tool_calls)
                continue
            else:
                ending = await self._judge(last.content)
            if ending is not None:
                return ending

    async def _ask(self) -> Ending | None:
        state, terms = self.state, self.terms
        for budget in terms.budgets:
            if why := budget.used_up(state.spent):
                return Ending(status=Status.OUT_OF_BUDGET, why=why)
        if why := await self.purse.used_up():
            return Ending(status=Status.OUT_OF_BUDGET, why=why)
        if state.turns >= terms.max_turns:
            return Ending(status=Status.OUT_OF_TURNS, why=f"after {state.turns} turns")
        try:
            reply = await self.client.ask(
                self._request(), on_text=self._hear, on_retry=self._tell_retry
            )
        except ChatFailure as error:
            if error.code not in _WAITS:
                raise
            await self.keep(self.state)  # also one without an answer is gone on with
            wait_s = PAUSE_S if error.retry_after_s is None else error.retry_after_s
            return Ending(status=Status.LATER, why=error.message, wait_s=max(LEAST_PAUSE_S, wait_s))
        await self._take(reply)
        return None

    def _request(self) -> ChatRequest:
        terms = self.terms
        return ChatRequest(
            messages=self.state.messages,
            tools=offers(terms.tools),
            may_use_tools=self.state.turns + 1 < terms.max_turns,  # the last turn is for the answer
            answer_format=terms.form.response_format if terms.form else None,
            max_tokens=terms.max_tokens,
            temperature=terms.temperature,
        )

    async def _take(self, reply: Reply) -> None:
        state = self.state
        self.task.used(reply.usage)
        await self.purse.pay(f"{self.task.id}#{state.spent.tokens}", reply.usage)
        await self._become(
            state.model_copy(
                update={
                    "messages": (*state.messages, reply.message),
                    "finish": reply.finish,
                    "turns": state.turns + 1,
                    "spent": state.spent + reply.usage,
                    "is_counted": state.is_counted and reply.is_counted,
                    "model": reply.model or state.model,
                }
            )
        )

    async def _use(self, calls: tuple[ToolCall, ...]) -> None:
        """Do what the model wants done; those calls that are too many are told so."""
        answers = []
        for number, call in enumerate(calls):
            if number < CALLS_PER_TURN:
                self.task.progress(shown(call), self._share())
                said = await trio.to_thread.run_sync(use, call, self.repository, self.terms.tools)
            else:
                said = f"{REFUSED}only {CALLS_PER_TURN} calls at once"
            answers.append(ChatMessage(role=Role.TOOL, content=said, tool_call_id=call.id))
        await self._say(*answers)

    async def _judge(self, text: str) -> Ending | None:
        match self.state.finish:
            case Finish.LENGTH:
                return Ending(
                    status=Status.CUT_OFF, why=f"at {self.terms.max_tokens} tokens of one turn"
                )
            case Finish.CONTENT_FILTER:
                return Ending(status=Status.WITHHELD, why="by the service's filter")
        if self.terms.form is None:
            return Ending(status=Status.ANSWERED)
        data, found = self.terms.form.read(text)
        if not found:
            return Ending(status=Status.ANSWERED, data=data)
        await self._repair(found)
        return None

    async def _repair(self, found: list[str]) -> None:
        wrong = "; ".join(found)
        if self.state.repairs >= REPAIRS:
            await self._become(self.state.anew())
            why = f"the model's answer does not fit: {wrong}"
            raise ActivityFailure("bad_answer", why, retryable=False)  # each try would be paid for
        self.task.log(f"the answer does not fit: {wrong}", "warning")
        self.state = self.state.model_copy(update={"repairs": self.state.repairs + 1})
        told = f"Your answer does not fit: {wrong}. Answer again, with the whole JSON only."
        await self._say(ChatMessage(role=Role.USER, content=told))

    async def _say(self, *messages: ChatMessage) -> None:
        said = (*self.state.messages, *messages)
        await self._become(self.state.model_copy(update={"messages": said}))

    async def _become(self, state: Conversation) -> None:
        self.state = state
        await self.keep(state)

    def _hear(self, piece: str) -> None:
        """Pieces come many a second: what is told of them is little."""
        self._heard += len(piece)
        self.task.heartbeat()
        if trio.current_time() >= self._told_at + PROGRESS_S:
            self._told_at = trio.current_time()
            self.task.progress(f"answering: {self._heard:,} characters", self._share())

    def _tell_retry(self, attempt: int, error: Exception, pause_s: float) -> None:
        self._heard = 0
        self.task.progress(f"try {attempt} failed, the next in {pause_s:.1f} s: {error}")

    def _share(self) -> float:
        return self.state.turns / self.terms.max_turns
