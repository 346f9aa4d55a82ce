"""What tests ask of the engine itself, by the road that every request takes."""

from typing import Any

import trio

from actors.clock import rfc3339
from actors.hints import hint
from actors.workflows.history import Kind
from actors.workflows.messages import (
    AddSignal,
    Launch,
    PauseInstance,
    QueryWorkflow,
    RequestCancel,
    ResumeInstance,
    RetryInstance,
    TerminateInstance,
)
from actors.writer import Command, write
from storage import payload
from storage.workflows import queries
from tests.support.world import Running


async def send(running: Running, command: Command[tuple[str, ...]]) -> None:
    for workflow_id in await write(running.system.named("tempolite_writer"), command):
        hint(running.system.named("dispatcher"), Launch(workflow_id=workflow_id))


def now(running: Running) -> str:
    return rfc3339(running.world.clock())


async def signal(
    running: Running, workflow_id: str, name: str, value: Any = None, message_id: str = ""
) -> None:
    command = AddSignal(
        workflow_id=workflow_id,
        message_id=message_id or f"{name}-{payload.encode(value)}",
        name=name,
        value=payload.encode(value),
        at=now(running),
    )
    await send(running, command)


async def cancel(running: Running, workflow_id: str, reason: str = "not wanted") -> None:
    await send(running, RequestCancel(workflow_id=workflow_id, reason=reason, at=now(running)))


async def terminate(running: Running, workflow_id: str, reason: str = "enough") -> None:
    await send(running, TerminateInstance(workflow_id=workflow_id, reason=reason, at=now(running)))


async def retry(running: Running, workflow_id: str, author: str = "operator") -> None:
    await send(running, RetryInstance(workflow_id=workflow_id, author=author, at=now(running)))


async def pause(running: Running, workflow_id: str) -> None:
    await send(running, PauseInstance(workflow_id=workflow_id, reason="wait", at=now(running)))


async def resume(running: Running, workflow_id: str) -> None:
    await send(running, ResumeInstance(workflow_id=workflow_id, at=now(running)))


async def query(running: Running, workflow_id: str, name: str, argument: Any = None) -> Any:
    question = QueryWorkflow(workflow_id=workflow_id, name=name, argument=argument)
    return await running.ask("dispatcher", question)


def status(running: Running, workflow_id: str) -> str | None:
    return queries.status(running.stores.tempolite.inline, workflow_id)


def is_parked(running: Running, workflow_id: str) -> bool:
    row = queries.instance(running.stores.tempolite.inline, workflow_id)
    return row is not None and bool(row.parked)


def kinds(running: Running, workflow_id: str) -> list[Kind]:
    rows = running.stores.tempolite.inline.execute(queries.HISTORY, (workflow_id,)).fetchall()
    return [Kind(row["kind"]) for row in rows]


def last(running: Running, workflow_id: str) -> Any:
    """What the last event of a history holds."""
    _, _, text = queries.last_event(running.stores.tempolite.inline, workflow_id)
    return payload.decode(text)


async def recorded(running: Running, workflow_id: str, kind: Kind, count: int = 1) -> None:
    """Wait until a history holds so many events of a kind."""
    with trio.fail_after(20):
        while kinds(running, workflow_id).count(kind) < count:
            await trio.sleep(0.002)


async def closed(running: Running, workflow_id: str) -> str:
    """Wait until a workflow, a child perhaps, is closed; answers how."""
    final = {"completed", "failed", "cancelled", "terminated", "dead_letter"}
    with trio.fail_after(20):
        while (found := status(running, workflow_id)) not in final:
            await trio.sleep(0.002)
    return str(found)
