"""Workflows of the crash tests, loaded by the server as a plugin.

Every attempt of a step leaves a line in the ledger the test reads: what really ran, in whichever
life of the process.
"""

import os
from pathlib import Path
from typing import Any

import trio

from beadflow import (
    Agent,
    CancelledError,
    Context,
    Task,
    activity,
    activity_info,
    workflow,
)


def _note(ledger: str, line: str) -> None:
    handle = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


async def _wait_for(gate: str) -> None:
    while not Path(gate).exists():
        await trio.sleep(0.01)


class Clerk(Agent):
    """Does the steps that leave traces."""

    agent_type = "clerk"
    max_workload = 64

    @activity
    async def first(self, task: Task, request: dict[str, str]) -> str:
        _note(request["ledger"], f"{task.id} first")
        return "one"

    @activity
    async def second(self, task: Task, request: dict[str, str]) -> str:
        _note(request["ledger"], f"{task.id} second")
        await _wait_for(request["gate"])
        return "two"


class Fuse(Agent):
    """Dies of every step."""

    agent_type = "fuse"

    @activity
    async def blow(self, task: Task) -> None:
        self.spawn(self._burn)
        await trio.sleep_forever()

    async def _burn(self) -> None:
        raise OSError("blown\n\x1b[31mfor good")


@activity
async def third(request: dict[str, str]) -> str:
    _note(request["ledger"], f"{activity_info().idempotency_key} third")
    return "three"


@workflow(agent_type="clerk")
async def three_steps(ctx: Context, variables: dict[str, Any]) -> dict[str, Any]:
    one = await ctx.activity(Clerk.first, variables)
    two = await ctx.activity(Clerk.second, variables)
    three = await ctx.activity(third, variables)
    return {"steps": [one, two, three], "summary": f"{one}, {two}, {three}"}


@workflow
async def quick_steps(ctx: Context, variables: dict[str, Any]) -> list[str]:
    return [await ctx.activity(third, variables) for _ in range(3)]


@workflow(agent_type="fuse")
async def fused(ctx: Context) -> None:
    await ctx.activity(Fuse.blow)


@activity
async def put_away(ledger: str) -> None:
    _note(ledger, "put away")


@workflow
async def steered(ctx: Context, variables: dict[str, Any]) -> list[Any]:
    """Takes two signals, says which it has, and cleans up when it is cancelled."""
    taken: list[Any] = []
    ctx.on_query("taken", lambda: taken)
    try:
        for _ in range(2):
            taken.append(await ctx.signal("thing"))  # noqa: PERF401 - the query sees each one
    except CancelledError:
        await ctx.activity(put_away, variables["ledger"])
        raise
    return taken


class Scribe(Agent):
    """Writes down what a clerk has found."""

    agent_type = "scribe"

    @activity
    async def write_down(self, task: Task, found: str) -> str:
        task.log(f"writing down {found}")
        return f"{found}, written down by {self.agent_id}"


@workflow(agent_type="clerk")
async def inquiry(ctx: Context, variables: dict[str, Any]) -> Any:
    """Waits for an answer; whoever asks may also find it himself."""
    return {"summary": variables["query"], "answer": await ctx.signal("answer")}


@workflow(agent_type="clerk")
async def found_and_written(ctx: Context, variables: dict[str, Any]) -> dict[str, Any]:
    """Passes from a clerk, who finds something, to a scribe, who writes it down."""
    found = await ctx.activity(Clerk.first, variables)
    written = await ctx.activity(Scribe.write_down, found)
    told = await ctx.signal("agent_handoff")
    return {"summary": written, "told": told}
