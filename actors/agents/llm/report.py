"""What a conversation came to, as the answer of the activity, with its files and evidence."""

import json
from collections.abc import Iterator
from typing import Final

from actors.agents.kit.chat.messages import ChatMessage, Role, ToolCall
from actors.agents.kit.outcome import Evidence, Skipped, StoredFile
from actors.agents.kit.untrusted import code, escaped, plain
from actors.agents.llm.dialogue import Ending
from actors.agents.llm.ledger import Conversation
from actors.agents.llm.messages import Answer, Status
from actors.agents.llm.tools import REFUSED, shown
from actors.agents.protocol import Task
from storage.payload import plain_text

TEXT_CHARACTERS: Final = 100_000
"""Of the answer in the result; all of it is a file."""

DATA_BYTES: Final = 1024 * 1024


async def report(task: Task, state: Conversation, ending: Ending, conversation: str) -> Answer:
    """Store what was said, and give the answer.

    A pause is no end: it stores nothing.
    """
    text = _last_words(state)
    artifacts = () if ending.status is Status.LATER else await _store(task, state, ending, text)
    is_small = len(json.dumps(ending.data)) <= DATA_BYTES
    return Answer(
        summary=_summary(state, ending, text),
        artifacts=artifacts,
        metrics={**state.spent.metrics(), "turns": state.turns},
        evidence=_evidence(state),
        skipped=_refused(state),
        status=ending.status,
        text=text[:TEXT_CHARACTERS],
        markdown=_markdown(state, ending, text[:TEXT_CHARACTERS]),
        data=ending.data if is_small else None,
        model=state.model,
        turns=state.turns,
        usage=state.spent,
        is_counted=state.is_counted,
        wait_s=ending.wait_s,
        conversation=conversation,
    )


async def _store(
    task: Task, state: Conversation, ending: Ending, text: str
) -> tuple[StoredFile, ...]:
    said = [message.model_dump(mode="json") for message in state.messages]
    files = {"transcript.json": json.dumps(said, indent=1, ensure_ascii=True)}
    if ending.status is Status.ANSWERED and ending.data is None:
        files["answer.md"] = text
    elif ending.status is Status.ANSWERED:
        files["answer.json"] = json.dumps(ending.data, indent=1, ensure_ascii=True)
    stored = [await task.artifact(name, plain_text(files[name]).encode()) for name in sorted(files)]
    return tuple(StoredFile(**each) for each in stored)


def _last_words(state: Conversation) -> str:
    said = (m.content for m in reversed(state.messages[state.first :]) if m.role is Role.ASSISTANT)
    return next(said, "")


def _summary(state: Conversation, ending: Ending, text: str) -> str:
    if ending.status is not Status.ANSWERED:
        return plain(f"No answer ({ending.status.value.replace('_', ' ')}): {ending.why}")
    return f"{plain(text)} ({_took(state)})"


def _markdown(state: Conversation, ending: Ending, text: str) -> str:
    if ending.status is not Status.ANSWERED:
        return f"{escaped(_summary(state, ending, text))}\n"
    words = text if ending.data is None else f"```json\n{json.dumps(ending.data, indent=2)}\n```"
    looks = "\n".join(f"- {code(evidence.source)}" for evidence in _evidence(state))
    refused = "\n".join(f"- {code(call.what)}: {escaped(call.why)}" for call in _refused(state))
    parts = (
        words,
        "---",
        looks and f"It has looked at:\n\n{looks}",
        refused and f"It was refused:\n\n{refused}",
        escaped(_took(state)),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _took(state: Conversation) -> str:
    turns = "1 turn" if state.turns == 1 else f"{state.turns} turns"
    return f"{state.model or 'the model'}: {turns}, {state.spent}"


def _evidence(state: Conversation) -> tuple[Evidence, ...]:
    """What the model has looked at."""
    return tuple(
        Evidence(id=f"E{number}", source=plain(shown(call)), statement=plain(answer.content, 200))
        for number, (call, answer) in enumerate(_looks(state, refused=False), 1)
    )


def _refused(state: Conversation) -> tuple[Skipped, ...]:
    """What it wanted to do and was not let, or could not be done."""
    return tuple(
        Skipped(what=plain(shown(call)), why=plain(answer.content.removeprefix(REFUSED), 200))
        for call, answer in _looks(state, refused=True)
    )


def _looks(state: Conversation, *, refused: bool) -> Iterator[tuple[ToolCall, ChatMessage]]:
    """Calls with their answers, which stand in the same order: ids may come again."""
    calls: Iterator[ToolCall] = iter(())
    for message in state.messages:
        if message.role is Role.ASSISTANT:
            calls = iter(message.tool_calls)
        elif message.role is Role.TOOL:
            call = next(calls, None)
            if call is not None and message.content.startswith(REFUSED) is refused:
                yield call, message
