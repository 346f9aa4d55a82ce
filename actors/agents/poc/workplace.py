"""Where a step of the POC agent works: its sandbox, and the files of a commit to try things on.

Builds, tests and measurements run on a commit's files in a work tree of their own, with the
sandbox's environment, so that what they leave behind is nobody's work and can be thrown away.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from actors.agents.kit.checkouts import Checkout, allowed_variables, checked_out
from actors.agents.kit.repository import resolve
from actors.agents.kit.toolbox import Toolbox
from actors.agents.kit.worktrees import Sandbox, open_sandbox
from actors.agents.poc.environment import Environment, environment_of
from actors.agents.protocol import Task


async def sandbox_of(task: Task, key: str) -> Sandbox:
    """The sandbox of a request: the one it names, else the workflow's own."""
    return await open_sandbox(task.site, key=key or task.workflow_id)


async def commit_of(task: Task, sandbox: Sandbox, ref: str) -> str:
    """The commit that a request names; without a name the sandbox's tip."""
    return await resolve(task.site, ref) if ref else await resolve(sandbox.path, "HEAD")


@asynccontextmanager
async def trial(
    task: Task, sandbox: Sandbox, commit: str, name: str
) -> AsyncIterator[tuple[Checkout, Toolbox]]:
    """The files of a commit until the block ends, and tools that see the sandbox's environment."""
    environment = environment_of(task.site, sandbox.path.name)
    key = f"{task.idempotency_key}.{name}"
    async with checked_out(task.site, key=key, ref=commit) as checkout:
        yield checkout, _toolbox(checkout, environment, task)


def _toolbox(checkout: Checkout, environment: Environment | None, task: Task) -> Toolbox:
    allowed = allowed_variables(task.site)
    if environment is None:
        return checkout.guarded(**allowed)
    box = replace(checkout, bins=(environment.bins, *checkout.bins)).guarded(**allowed)
    # A tool that only the server has (pytest, build) runs on the server's Python: it finds what was
    # installed for the project all the same.
    roots = os.pathsep.join((box.env["PYTHONPATH"], str(environment.packages)))
    return replace(box, env={**box.env, "PYTHONPATH": roots})
