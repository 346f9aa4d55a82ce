"""Opens the sandbox of a workflow, with an environment beside it where it is a Python project."""

import platform

from actors.agents.kit.beating import beating
from actors.agents.kit.worktrees import open_sandbox
from actors.agents.poc.environment import Environment, is_python, prepare
from actors.agents.poc.messages import SandboxReady, SandboxRequest
from actors.agents.protocol import Task


async def open_for(
    task: Task, request: SandboxRequest, *, install: bool, offline: bool
) -> SandboxReady:
    """Open what a request asks for; the same again when it is asked again."""
    key = request.key or task.workflow_id
    task.progress("opening the work tree", 0.0)
    sandbox = await open_sandbox(task.site, key=key, ref=request.ref, branch=request.branch)
    made = None
    if request.environment and is_python(sandbox.path):
        task.progress("making its environment", 0.3)
        made = await beating(
            task,
            lambda: prepare(
                task.site,
                sandbox.path.name,
                sandbox.path,
                install=install and request.install,
                offline=offline,
            ),
        )
    return SandboxReady(
        summary=_summary(sandbox.branch, sandbox.base, made),
        key=key,
        path=str(sandbox.path),
        branch=sandbox.branch,
        base=sandbox.base,
        python=platform.python_version() if made is not None else "",
        installed=made.installed if made is not None else (),
        skipped=made.skipped if made is not None else (),
    )


def _summary(branch: str, base: str, made: Environment | None) -> str:
    where = f"A work tree on {branch} from {base[:12]}"
    if made is None:
        return f"{where}, without an environment."
    count = len(made.installed)
    return f"{where}, with {count} requirements installed." if count else f"{where}."
