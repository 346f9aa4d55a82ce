"""Runs a program that is talked with, under a guard, and leaves nothing of it behind.

`run_tool` is for a tool that is asked once: its output is read when it has ended, and its group is
killed. This is for a program that works for an hour, starts others, and says meanwhile how far it
is. A small process of ours (`actors.agents.guard`) stands between: it sets the limits, keeps
whatever the program starts within reach, and ends all of it when the program ends, when the block
here is left, and when this process dies.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from actors.agents import guard

_REAP_S: Final = 5.0
_REPORT_BYTES: Final = 4096


class NotStarted(Exception):  # noqa: N818 - says what it is, as ActivityFailure does
    """The program could not be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rlimits:
    """What each of the program's processes may take; 0 is no limit of ours.

    Args:
        cpu_s: seconds of processor time.
        memory_bytes: address space.
        file_bytes: the largest file it may write.
        processes: of this user, in all; those of others count, and root is not limited.
    """

    cpu_s: int = 0
    memory_bytes: int = 0
    file_bytes: int = 0
    processes: int = 0

    def order(self) -> dict[str, int]:
        named = {
            "RLIMIT_CPU": self.cpu_s,
            "RLIMIT_AS": self.memory_bytes,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NPROC": self.processes,
        }
        return {name: most for name, most in named.items() if most}


@dataclass(slots=True)
class Program:
    """A program that runs.

    Attributes:
        pid: of its guard, which leads its session and its group.
    """

    _process: trio.Process
    _control: trio.SocketStream
    _heard: bytearray = field(default_factory=bytearray)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stdin(self) -> trio.abc.SendStream:
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe below
        return self._process.stdin

    @property
    def stdout(self) -> trio.abc.ReceiveStream:
        assert self._process.stdout is not None  # noqa: S101
        return self._process.stdout

    @property
    def stderr(self) -> trio.abc.ReceiveStream:
        assert self._process.stderr is not None  # noqa: S101
        return self._process.stderr

    async def ended(self) -> int:
        """Wait until the program itself has ended: its status, or minus the signal's number.

        Raises:
            NotStarted: it never ran.
        """
        while True:
            for report in self._reports():
                if "error" in report:
                    raise NotStarted(str(report["error"]))
                return report["status"]  # type: ignore[no-any-return]
            try:
                more = await self._control.receive_some(_REPORT_BYTES)
            except trio.BrokenResourceError:
                more = b""
            if not more:
                return -signal.SIGKILL  # its guard was killed, and could say nothing
            self._heard += more

    def _reports(self) -> Iterator[dict[str, Any]]:
        for line in self._heard.split(b"\n")[:-1]:
            yield json.loads(line)


@asynccontextmanager
async def guarded(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    limits: Rlimits = Rlimits(),
    term_s: float = 2.0,
    hold: Sequence[int] = (),
) -> AsyncIterator[Program]:
    """Run a program for as long as the block goes on.

    Args:
        argv: an absolute path, and its arguments.
        cwd: where it runs.
        env: all of its environment.
        limits: what each of its processes may take.
        term_s: seconds it has to end by itself once it is asked to.
        hold: descriptors that stay open until nothing of it runs any more, e.g. of a lock: also
            when this process is killed. The program itself does not get them.

    Raises:
        OSError: there is no such directory, or no room for a process.

    Whatever ends the block, cancellation too, it is left when nothing of the program runs any more.
    """
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as stack:
        stack.callback(theirs.close)
        stack.callback(ours.close)
        order = {
            "control": theirs.fileno(),
            "hold": [*hold],
            "limits": limits.order(),
            "term_s": term_s,
        }
        process = await trio.lowlevel.open_process(
            [sys.executable, "-I", "-S", guard.__file__, json.dumps(order), *argv],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(theirs.fileno(), *hold),
            start_new_session=True,
        )
        theirs.close()
        control = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        stack.pop_all()
    try:
        yield Program(process, control)
    finally:
        await _end(process, control, term_s)


async def exited(process: trio.Process) -> None:
    """Waits for the exit but leaves the process a zombie where the system allows it.

    Its id then still names its group: once it is reaped, another group could have taken the number
    before the rest of the group is killed.
    """
    if sys.platform != "linux":
        await process.wait()
        return
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:  # no descriptor left, or a kernel before 5.3
        await process.wait()
        return
    try:
        await trio.lowlevel.wait_readable(descriptor)
    finally:
        os.close(descriptor)


async def _end(process: trio.Process, control: trio.SocketStream, term_s: float) -> None:
    """Have the guard end everything; what one has left that was killed ends with its group."""
    with trio.CancelScope(shield=True):
        await trio.aclose_forcefully(control)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                await trio.aclose_forcefully(stream)
        with trio.move_on_after(term_s + _REAP_S):
            await exited(process)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with trio.move_on_after(_REAP_S):
            await process.wait()
