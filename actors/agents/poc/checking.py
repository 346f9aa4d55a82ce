"""Finds out whether a change could be tried at all, before anybody is asked. Keeps nothing."""

from actors.agents.kit.checkouts import checked_out
from actors.agents.kit.linked import tip_of
from actors.agents.kit.repository import resolve
from actors.agents.kit.worktrees import Sandbox, check_free
from actors.agents.poc.implement import change
from actors.agents.poc.messages import Checked, ImplementRequest, PocRequest
from actors.agents.protocol import Task


async def check(task: Task, request: PocRequest) -> Checked:
    """Refuse what cannot be tried: commands, commits, the branch, the change itself."""
    benches = (bench.command for bench in request.benches)
    for command in (request.command, request.build_command, request.test_command, *benches):
        if command:
            task.site.check(command)
    if request.baseline:
        await resolve(task.site, request.baseline)
    base = await _base(task, request)
    await _change(task, request, base)
    return Checked(summary=f"It can be tried from {base[:12]}.", base=base)


async def _base(task: Task, request: PocRequest) -> str:
    """The commit that the change would be made at."""
    if request.branch is None:
        return await resolve(task.site, request.ref)
    await check_free(task.site, request.branch)
    return await tip_of(task.site, request.branch) or await resolve(task.site, request.ref)


async def _change(task: Task, request: PocRequest, base: str) -> None:
    if not (request.patch or request.files or request.template):
        return
    wanted = ImplementRequest(patch=request.patch, files=request.files, template=request.template)
    key = f"{task.idempotency_key}.check"
    async with checked_out(task.site, key=key, ref=base) as checkout:
        await change(task, Sandbox(checkout.path, "", base), wanted)
