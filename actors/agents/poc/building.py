"""Builds what is committed, keeps what comes of it, and looks into the wheels."""

import email
import re
import zipfile
from collections.abc import Iterator
from email.message import Message
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

import trio

from actors.agents.kit.beating import beating
from actors.agents.kit.checkouts import Checkout
from actors.agents.kit.outcome import Evidence, Finding, Level, Place, Skipped, StoredFile
from actors.agents.kit.runners import SCRATCH
from actors.agents.kit.toolbox import Toolbox
from actors.agents.kit.untrusted import plain
from actors.agents.poc.builders import DIST, PYTHON, Builder, detect
from actors.agents.poc.messages import BuildRequest, Built
from actors.agents.poc.workplace import commit_of, sandbox_of, trial
from actors.agents.protocol import Task
from actors.agents.tools import ToolResult

_LOG_BYTES: Final = 4 << 20
_TAIL: Final = 300
_NOT_THERE: Final = re.compile(r"ERROR (Missing dependencies:\s+\S.*|Backend .* is not available)")
_MODULE_BYTES: Final = 4 << 20


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
    tools = Toolbox(box.cwd, box.bins, env)
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
    made = sorted((checkout.scratch / DIST).glob("*")) if ran.ok else []
    stored += [await task.artifact(f"dist/{file.name}", file) for file in made]
    wheels = [file for file in made if file.suffix == ".whl"]
    found = await trio.to_thread.run_sync(lambda: [f for w in wheels for f in check_wheel(w)])
    if not ran.ok:
        found.append(_finding("build-failed", Level.ERROR, plain(log[-_TAIL:] or ran.why)))
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


def check_wheel(path: Path) -> Iterator[Finding]:
    """What is wrong with a wheel: no code, code that is none, or metadata that says too little."""
    try:
        with zipfile.ZipFile(path) as wheel:
            yield from _check_code(wheel)
            yield from _check_metadata(wheel)
    except (zipfile.BadZipFile, OSError, KeyError) as error:
        yield _finding("broken-wheel", Level.ERROR, plain(f"{path.name} cannot be read: {error}"))


def _check_code(wheel: zipfile.ZipFile) -> Iterator[Finding]:
    modules = [info for info in wheel.infolist() if info.filename.endswith(".py")]
    compiled = [name for name in wheel.namelist() if name.endswith((".so", ".pyd"))]
    if not modules and not compiled:
        yield _finding("empty-wheel", Level.ERROR, "the wheel has no module in it")
    for info in modules:
        if info.file_size > _MODULE_BYTES:
            continue
        try:
            compile(wheel.read(info), info.filename, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or None
            place = Place(path=info.filename, line=line)
            yield _finding("no-python", Level.ERROR, plain(str(error)), place)
    tops = {PurePosixPath(info.filename).parts[0] for info in modules}
    for name in sorted(tops & {"tests", "test", "docs", "benchmarks"}):
        message = f"the wheel installs a top-level package {name!r}, as others do"
        yield _finding("stray-package", Level.WARNING, message)


def _check_metadata(wheel: zipfile.ZipFile) -> Iterator[Finding]:
    (name,) = [n for n in wheel.namelist() if n.endswith(".dist-info/METADATA")] or [""]
    found: Message = email.message_from_bytes(wheel.read(name))
    wanted = {
        "Requires-Python": "it does not say which Pythons it runs on",
        "Summary": "it has no summary",
    }
    for key, message in wanted.items():
        if not found.get(key):
            yield _finding("thin-metadata", Level.NOTE, message)
    if not any(found.get(key) for key in ("License-Expression", "License")):
        yield _finding("thin-metadata", Level.NOTE, "it names no licence")


def _finding(rule: str, level: Level, message: str, place: Place | None = None) -> Finding:
    return Finding(tool="beadflow", rule=rule, level=level, message=message, place=place)
