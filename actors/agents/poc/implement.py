"""Changes files in a sandbox and commits them, once however often it is asked.

The commit says which step made it. A step that runs again after a crash finds its commit by that,
or its files half written, and goes on.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio

from actors.agents.kit import patches
from actors.agents.kit.repository import ask
from actors.agents.kit.worktrees import Sandbox, apply_patch, commit
from actors.agents.poc.messages import Implemented, ImplementRequest
from actors.agents.poc.templates import fill
from actors.agents.poc.workplace import sandbox_of
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
        await _change(task, sandbox, request)
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


async def _change(task: Task, sandbox: Sandbox, request: ImplementRequest) -> None:
    """The template comes first, then whole files, and the patch last: it changes what is there."""
    if request.template is not None:
        task.progress(f"filling the template {request.template.name}", 0.1)
        await _write(sandbox, await trio.to_thread.run_sync(fill, request.template))
    if request.files:
        task.progress(f"writing {len(request.files)} files", 0.3)
        await _write(sandbox, request.files)
    if request.patch:
        task.progress("applying the patch", 0.5)
        await apply_patch(sandbox, _as_bytes(request.patch))


def _as_bytes(patch: str) -> bytes:
    """A shell's `$(git diff)` has lost the newlines at the end, which belong to the last change."""
    whole = patch if patch.endswith("\n") else f"{patch}\n\n"
    return whole.encode("utf-8", "surrogateescape")


async def _write(sandbox: Sandbox, files: Mapping[str, str]) -> None:
    patches.check_paths(tuple(files))
    if sum(len(text) for text in files.values()) > FILES_LIMIT_BYTES:
        raise ActivityFailure(
            "too_large", f"the files hold more than {FILES_LIMIT_BYTES} bytes", retryable=False
        )
    await trio.to_thread.run_sync(_write_all, sandbox.path, files)


def _write_all(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        try:
            _write_one(root, path, text)
        except (OSError, UnicodeEncodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise ActivityFailure(
                "bad_path", f"{path!r} cannot be written: {why}", retryable=False
            ) from error


def _write_one(root: Path, path: str, text: str) -> None:
    """Write a file; no link is followed, neither to it nor on the way."""
    place = root
    for part in Path(path).parts[:-1]:
        place /= part
        if place.is_symlink():
            raise NotADirectoryError(0, "a symbolic link is on the way")
        place.mkdir(exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(place / Path(path).name, flags, 0o644), "wb") as file:
        file.write(text.encode())


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
