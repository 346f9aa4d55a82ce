"""Runs one outside tool and brings back what it said.

A tool is a subprocess: argv only, never a shell, its own session, nothing on stdin, an environment
built from an allow-list. Whatever ends the call (the tool's exit, the deadline, cancellation, a bug
here) also ends the tool's whole process group. A tool that is not installed is a result with the
status `missing` and never an exception, so that an agent can say what it skipped and why.

What this does not do: a descendant that starts a session of its own leaves the group and is not
killed; the call still returns, because the pipes are read only a short while after the tool's exit.
Code that nobody has vetted is better run with `limits`: under a guard, which such a descendant does
not escape either.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

import trio

from actors.agents.guarded import NotStarted, Program, Rlimits, exited, guarded

ALLOWED_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ")
OUTPUT_CAP_BYTES: Final = 1 << 20
_DRAIN_S: Final = 1.0  # for pipes that a descendant outside the group keeps open
_REAP_S: Final = 5.0  # a killed process that cannot die (blocked in the kernel) is not waited for
_CHUNK_BYTES: Final = 65_536
_REASON_CHARACTERS: Final = 200


class ToolStatus(StrEnum):
    """How a tool's run ended."""

    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool left behind; output is bytes, because file names need not be text."""

    tool: str
    status: ToolStatus
    returncode: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False

    @property
    def ok(self) -> bool:
        return self.status is ToolStatus.OK

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")

    def succeeded(self) -> "ToolResult":
        """The same, of a tool whose exit status does not mean that it failed."""
        return replace(self, status=ToolStatus.OK)

    @property
    def why(self) -> str:
        """Says in a few words how the run ended, fit for a sentence that starts with a dash."""
        said = " ".join(self.stderr.decode("utf-8", "replace").split())[:_REASON_CHARACTERS]
        match self.status:
            case ToolStatus.OK:
                return f"{self.tool} succeeded"
            case ToolStatus.MISSING:
                return f"{self.tool} cannot be started here: {said or 'it is not installed'}"
            case ToolStatus.TIMED_OUT:
                return f"{self.tool} did not finish before its deadline"
            case ToolStatus.FAILED:
                return f"{self.tool} exited with {self.returncode}: {said}"


@dataclass(slots=True)
class _Output:
    cap_bytes: int
    data: bytearray
    truncated: bool = False

    async def drain(self, stream: trio.abc.ReceiveStream) -> None:
        """Keeps the first `cap_bytes` and reads on, so that a talkative tool can still finish."""
        async for chunk in stream:
            room = self.cap_bytes - len(self.data)
            self.data += chunk[:room]
            self.truncated |= len(chunk) > room


@dataclass(slots=True)
class _Group:
    """The process group of a tool, killed at most once.

    Not asked of `trio.Process` whether the tool has ended: the answer reaps it, and then the number
    no longer stands for this group.
    """

    id: int
    killed: bool = False

    def kill(self) -> None:
        if self.killed:
            return
        self.killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):  # EPERM: macOS on zombies
            os.killpg(self.id, signal.SIGKILL)


async def run_tool(
    argv: Sequence[str],
    *,
    cwd: Path,
    deadline_s: float,
    output_cap_bytes: int = OUTPUT_CAP_BYTES,
    env: Mapping[str, str] = MappingProxyType({}),
    limits: Rlimits | None = None,
) -> ToolResult:
    """Runs `argv` in `cwd` and returns once the tool and its process group are gone.

    Args:
        argv: The tool and its arguments; the tool is found on the allow-listed `PATH`.
        cwd: An existing directory.
        deadline_s: Wall time after which the group is killed and the status is `timed_out`.
        output_cap_bytes: Kept of stdout and of stderr each; the rest is read and dropped.
        env: Variables added to the allow-listed ones (they win).
        limits: What each of its processes may take; it then runs under a guard, which takes some 20
            ms to start, and ends also what has left the group or outlives this process.

    Cancellation kills the group and waits for the tool to be reaped, at most five seconds.
    """
    variables = {name: os.environ[name] for name in ALLOWED_VARIABLES if name in os.environ}
    variables.update(env)
    tool = Path(argv[0]).name
    found = shutil.which(argv[0], path=variables.get("PATH"))
    if found is None:
        return ToolResult(tool=tool, status=ToolStatus.MISSING)
    if limits is not None:
        out, err = _Output(output_cap_bytes, bytearray()), _Output(output_cap_bytes, bytearray())
        program = guarded([found, *argv[1:]], cwd=cwd, env=variables, limits=limits, term_s=0.0)
        return await _run_guarded(tool, program, deadline_s, out, err)
    try:
        process = await trio.lowlevel.open_process(
            [found, *argv[1:]],
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:  # not an executable after all, no such directory, no more processes
        return ToolResult(tool=tool, status=ToolStatus.MISSING, stderr=str(error).encode())
    group = _Group(process.pid)
    out, err = _Output(output_cap_bytes, bytearray()), _Output(output_cap_bytes, bytearray())
    try:
        with trio.move_on_after(deadline_s) as deadline:
            await _communicate(process, group, out, err)
    finally:
        group.kill()
        await _close(process)
    if deadline.cancelled_caught:
        status = ToolStatus.TIMED_OUT
    else:
        status = ToolStatus.FAILED if process.returncode else ToolStatus.OK
    return ToolResult(
        tool=tool,
        status=status,
        returncode=process.returncode,
        stdout=bytes(out.data),
        stderr=bytes(err.data),
        truncated=out.truncated or err.truncated,
    )


async def _run_guarded(
    tool: str,
    start: AbstractAsyncContextManager[Program],
    deadline_s: float,
    out: _Output,
    err: _Output,
) -> ToolResult:
    returncode, failure = None, ""
    try:
        async with start as program:
            with trio.move_on_after(deadline_s):
                await program.stdin.aclose()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(out.drain, program.stdout)
                    nursery.start_soon(err.drain, program.stderr)
                    try:
                        returncode = await program.ended()
                    except NotStarted as error:
                        failure = str(error)
                    nursery.cancel_scope.deadline = trio.current_time() + _DRAIN_S
    except OSError as error:
        failure = str(error)
    if failure:
        return ToolResult(tool=tool, status=ToolStatus.MISSING, stderr=failure.encode())
    status = ToolStatus.FAILED if returncode else ToolStatus.OK
    return ToolResult(
        tool=tool,
        status=ToolStatus.TIMED_OUT if returncode is None else status,
        returncode=returncode,
        stdout=bytes(out.data),
        stderr=bytes(err.data),
        truncated=out.truncated or err.truncated,
    )


async def _communicate(process: trio.Process, group: _Group, out: _Output, err: _Output) -> None:
    assert process.stdout is not None  # noqa: S101 - opened as pipes above
    assert process.stderr is not None  # noqa: S101
    async with trio.open_nursery() as nursery:
        nursery.start_soon(out.drain, process.stdout)
        nursery.start_soon(err.drain, process.stderr)
        await exited(process)
        group.kill()
        nursery.cancel_scope.deadline = trio.current_time() + _DRAIN_S


async def _close(process: trio.Process) -> None:
    with trio.CancelScope(shield=True):
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                await trio.aclose_forcefully(stream)
        with trio.move_on_after(_REAP_S):
            await process.wait()
