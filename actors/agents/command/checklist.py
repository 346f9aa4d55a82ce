"""What must be so before a program is believed that says it is done.

Programs say so with their work uncommitted, on another branch, or with tests that fail. Each point
is looked at here, by our own Git and our own run of the tests, and never asked of the program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from actors.agents.command.messages import Check, Work
from actors.agents.command.secrets import hide
from actors.agents.guarded import Rlimits
from actors.agents.kit.worktrees import Sandbox, ask, is_dirty
from actors.agents.tools import ToolResult, ToolStatus, run_tool
from storage.payload import plain_text

TESTS_S: Final = 1800.0
_WORDS: Final = 400
_FILES: Final = 10


async def look(
    work: Work,
    sandbox: Sandbox,
    base: str,
    *,
    tests: Sequence[str],
    env: Mapping[str, str],
    limits: Rlimits,
    secrets: Sequence[bytes] = (),
    tests_s: float = TESTS_S,
) -> tuple[Check, ...]:
    """Look at everything.

    Args:
        work: what was asked for.
        sandbox: where it was done.
        base: the commit at which it began.
        tests: the command for them as it is run here, cut off the network if need be.
        env: variables for the tests.
        limits: what their processes may take.
        secrets: hidden in what they say.
        tests_s: how long they may take.
    """
    checks = [await _clean(sandbox), await _on_branch(sandbox)]
    if work.wants_commits:
        checks.append(await _commits(sandbox, base))
    if not work.tests:
        checks.append(Check(name="tests", passed=None, why="no command for them was given"))
        return tuple(checks)
    ran = await run_tool(tests, cwd=sandbox.path, deadline_s=tests_s, env=env, limits=limits)
    shown = replace(
        ran,
        tool=Path(work.tests[0]).name,
        stdout=hide(ran.stdout, secrets),
        stderr=hide(ran.stderr, secrets),
    )
    checks.append(_tests(work, shown))
    return tuple(checks)


async def head(sandbox: Sandbox) -> str:
    """The commit that the work tree is at."""
    return await ask(sandbox.path, "rev-parse", "--verify", "HEAD^{commit}")


async def _clean(sandbox: Sandbox) -> Check:
    if not await is_dirty(sandbox):
        return Check(name="clean", passed=True, why="everything is committed")
    listed = (await ask(sandbox.path, "status", "--porcelain")).splitlines()
    names = ", ".join(line[3:] for line in listed[:_FILES])
    more = f" and {len(listed) - _FILES} more" if len(listed) > _FILES else ""
    why = plain_text(f"not committed: {names}{more}")  # names of files need not be text
    return Check(name="clean", passed=False, why=why[:_WORDS])


async def _on_branch(sandbox: Sandbox) -> Check:
    found = await ask(sandbox.path, "rev-parse", "--symbolic-full-name", "HEAD")
    is_on = found == f"refs/heads/{sandbox.branch}"
    where = found.removeprefix("refs/heads/")
    why = f"the work tree is on {where}" if is_on else f"it is on {where}, not {sandbox.branch}"
    return Check(name="branch", passed=is_on, why=why[:_WORDS])


async def _commits(sandbox: Sandbox, base: str) -> Check:
    count = int(await ask(sandbox.path, "rev-list", "--count", f"{base}..HEAD", "--"))
    why = f"{count} since {base[:12]}" if count else f"there is none since {base[:12]}"
    return Check(name="commits", passed=count > 0, why=why)


def _tests(work: Work, ran: ToolResult) -> Check:
    if ran.ok:
        return Check(name="tests", passed=True, why=f"{' '.join(work.tests)} succeeded"[:_WORDS])
    tail = " ".join(ran.text.split())[-_WORDS // 2 :]
    why = ran.why if ran.status is not ToolStatus.FAILED or ran.stderr else ""
    said = why or f"{ran.tool} exited with {ran.returncode}: {tail}"
    return Check(name="tests", passed=False, why=said[:_WORDS])
