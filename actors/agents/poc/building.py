"""Builds what is committed, and keeps what comes of it."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import trio

from actors.agents.kit.beating import beating
from actors.agents.kit.checkouts import Checkout
from actors.agents.kit.outcome import Evidence, Level, Skipped, StoredFile
from actors.agents.kit.runners import SCRATCH
from actors.agents.kit.toolbox import Toolbox
from actors.agents.kit.untrusted import plain
from actors.agents.poc.builders import DIST, PYTHON, Builder, detect
from actors.agents.poc.messages import BuildRequest, Built
from actors.agents.poc.wheels import check_wheel, finding
from actors.agents.poc.workplace import commit_of, sandbox_of, trial
from actors.agents.protocol import Task
from actors.agents.tools import ToolResult

_LOG_BYTES: Final = 4 << 20
_TAIL: Final = 300
_KEPT: Final = 20
_KEPT_BYTES: Final = 256 << 20
_DISTRIBUTION: Final = re.compile(r"[A-Za-z0-9][\w.+!-]{0,150}\.(whl|tar\.gz|zip)", re.ASCII)
_NOT_THERE: Final = re.compile(r"ERROR (Missing dependencies:\s+\S.*|Backend .* is not available)")


async def build(task: Task, request: BuildRequest, *, deadline_s: float) -> Built:
    """Build what a request names, by its command or as such projects are built."""
    if request.command:
        task.site.check(request.command)
    sandbox = await sandbox_of(task, request.key)
    commit = await commit_of(task, sandbox, request.ref)
    async with trial(task, sandbox, commit, "build") as (checkout, box):
        builder = await _builder(request, checkout)
        if builder is None:
            nothing = Skipped(what="build", why="there is nothing that is known to be built")
            return Built(summary="Nothing to build.", ok=None, commit=commit, skipped=(nothing,))
        task.progress(f"building with {builder.name}", 0.1)
        ran = await beating(task, partial(_run, builder, box, checkout, deadline_s))
        if isinstance(ran, Skipped):
            return Built(summary=f"{ran}.", ok=None, commit=commit, skipped=(ran,))
        task.progress("keeping what was built", 0.8)
        return await _outcome(task, builder, commit, checkout, ran)


async def _builder(request: BuildRequest, checkout: Checkout) -> Builder | None:
    if request.command:
        return Builder(name=request.command[0], argv=request.command)
    return await trio.to_thread.run_sync(detect, checkout.path)


async def _run(
    builder: Builder, box: Toolbox, checkout: Checkout, deadline_s: float
) -> ToolResult | Skipped:
    def filled(text: str) -> str:
        return text.replace(SCRATCH, str(checkout.scratch))

    env = {**box.env, **{name: filled(value) for name, value in builder.env}}
    tools = replace(box, env=env)
    program, *args = map(filled, builder.argv)
    ran = await tools.run(program, *args, deadline_s=deadline_s, output_cap_bytes=_LOG_BYTES)
    if isinstance(ran, Skipped) or ran.ok or builder is not PYTHON:
        return ran
    missing = _NOT_THERE.search(_said(ran))
    if missing is None:
        return ran
    why = f"what it is built with is not installed ({plain(missing[0], 200)})"
    return Skipped(what="build", why=why, install="install it, or let the index be reached")


def _said(ran: ToolResult) -> str:
    return f"{ran.text}\n{ran.stderr.decode('utf-8', 'replace')}".strip()


async def _outcome(
    task: Task, builder: Builder, commit: str, checkout: Checkout, ran: ToolResult
) -> Built:
    log = _said(ran)
    stored = [await task.artifact("build.log", f"{log}\n".encode(), "text/plain")]
    made = await trio.to_thread.run_sync(made_in, checkout.scratch / DIST) if ran.ok else []
    stored += [await task.artifact(f"dist/{file.name}", file) for file in made]
    wheels = [file for file in made if file.suffix == ".whl"]
    found = await trio.to_thread.run_sync(lambda: [f for w in wheels for f in check_wheel(w)])
    if not ran.ok:
        found.append(finding("build-failed", Level.ERROR, plain(log[-_TAIL:] or ran.why)))
    names = tuple(file.name for file in made)
    words = f"made {', '.join(names)}" if names else "ended well" if ran.ok else "failed"
    return Built(
        summary=f"{builder.name.capitalize()} {words}.",
        ok=ran.ok and not any(one.level is Level.ERROR for one in found),
        commit=commit,
        distributions=names,
        findings=tuple(found),
        artifacts=tuple(StoredFile.model_validate(one) for one in stored),
        evidence=(
            Evidence(
                id="E1", source=" ".join(builder.argv), statement=f"exit status {ran.returncode}"
            ),
        ),
        metrics={"bytes": float(sum(file.stat().st_size for file in made))},
    )


def made_in(place: Path) -> list[Path]:
    """The distributions of a build, which may have left anything there."""
    found = [
        file
        for file in place.glob("*")
        if _DISTRIBUTION.fullmatch(file.name)
        and not file.is_symlink()
        and file.is_file()
        and file.stat().st_size <= _KEPT_BYTES
    ]
    return sorted(found)[:_KEPT]
