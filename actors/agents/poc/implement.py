"""Changes files in a sandbox and commits them, once however often it is asked.

The commit says which step made it. A step that runs again after a crash finds its commit by that,
or its files half written, and goes on.
"""

import re
from collections.abc import Mapping
from typing import Final

import trio

from actors.agents.kit import patches
from actors.agents.kit.repository import ask
from actors.agents.kit.worktrees import Sandbox, apply_patch, commit
from actors.agents.poc.messages import Implemented, ImplementRequest
from actors.agents.poc.templates import fill
from actors.agents.poc.workplace import sandbox_of
from actors.agents.poc.writing import Writing
from actors.agents.protocol import Task
from actors.workflows.definition import ActivityFailure

FILES_LIMIT_BYTES: Final = 32 << 20
_STEP: Final = "Beadflow-Step"
_BLANK: Final = re.compile(r"\s+")


async def implement(task: Task, request: ImplementRequest) -> Implemented:
    """Change what the request says, and commit it."""
    sandbox = await sandbox_of(task, request.key)
    done = await _done_before(task, sandbox)
    if not done:
        await change(task, sandbox, request)
        task.progress("committing", 0.8)
        done = await commit(sandbox, _message(task, request)) or ""
    tip = await ask(sandbox.path, "rev-parse", "HEAD")
    files = await _files_of(sandbox, done) if done else ()
    count = f"{len(files)} file" + "s" * (len(files) != 1)
    return Implemented(
        summary=f"Changed {count}." if done else "Nothing changed.",
        commit=tip,
        files=files,
        metrics={"files": float(len(files))},
    )


async def change(task: Task, sandbox: Sandbox, request: ImplementRequest) -> None:
    """Change files as a request says, all of them or none, without a commit.

    Raises:
        ActivityFailure: part of it cannot be made; the files are as they were.
    """
    writing = Writing(sandbox.path)
    try:
        await _change(task, sandbox, request, writing)
    except BaseException:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(writing.undo)
        raise


async def _change(
    task: Task, sandbox: Sandbox, request: ImplementRequest, writing: Writing
) -> None:
    """The template comes first, then whole files, and the patch last: it changes what is there."""
    _check(request.files)
    if request.template is not None:
        task.progress(f"filling the template {request.template.name}", 0.1)
        filled = await trio.to_thread.run_sync(fill, request.template)
        _check(filled)
        await trio.to_thread.run_sync(writing.write, filled)
    if request.files:
        task.progress(f"writing {len(request.files)} files", 0.3)
        await trio.to_thread.run_sync(writing.write, request.files)
    if request.patch:
        task.progress("applying the patch", 0.5)
        await apply_patch(sandbox, _as_bytes(request.patch))


def _as_bytes(patch: str) -> bytes:
    """A shell's `$(git diff)` has lost the newlines at the end, which belong to the last change."""
    whole = patch if patch.endswith("\n") else f"{patch}\n\n"
    return whole.encode("utf-8", "surrogateescape")


def _check(files: Mapping[str, str]) -> None:
    patches.check_paths(tuple(files))
    if sum(len(text) for text in files.values()) > FILES_LIMIT_BYTES:
        raise ActivityFailure(
            "too_large", f"the files hold more than {FILES_LIMIT_BYTES} bytes", retryable=False
        )


def _message(task: Task, request: ImplementRequest) -> str:
    said = request.message.strip() or "Try it out"
    return f"{said}\n\n{_trailer(task)}\n"


def _trailer(task: Task) -> str:
    return f"{_STEP}: {_BLANK.sub(' ', task.idempotency_key)}"


async def _done_before(task: Task, sandbox: Sandbox) -> str:
    """The commit that an attempt before has made; "" when there is none."""
    log = await ask(sandbox.path, "log", "--format=%H%x00%B%x01", f"{sandbox.base}..HEAD", "--")
    for entry in log.split("\x01"):
        made, _, message = entry.strip("\n").partition("\0")
        if _trailer(task) in message.splitlines():
            return made
    return ""


async def _files_of(sandbox: Sandbox, made: str) -> tuple[str, ...]:
    named = await ask(
        sandbox.path,
        *("diff-tree", "-r", "-z", "--root", "--no-commit-id", "--name-only", made, "--"),
    )
    return tuple(path for path in named.split("\0") if path)
