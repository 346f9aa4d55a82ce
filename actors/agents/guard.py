"""Stands between the server and a program, so that nothing of the program outlives either.

It is run as a script by `actors.agents.guarded`, needs the standard library only, and is quick to
start. It leads a session and a group, adopts what the program leaves behind (Linux: a child that
takes a session of its own, too, stays within reach), and ends all of it when the program has ended,
or when the other end of its control socket is closed: by the server, or by the server's death.

Arguments: an order as JSON (`control`: a socket's descriptor, `hold`: descriptors to keep open as
long as it lives, `limits`: names of RLIMIT_* and numbers, `term_s`), then the program's argv.
On the control socket it says, as one JSON line, how the program ended or why it did not start.
"""
# ruff: noqa: PTH123, PTH208 - to import pathlib takes as long as all the rest of the start

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any, NoReturn

_ADOPTS: bool = os.uname().sysname == "Linux"
_PR_SET_CHILD_SUBREAPER = 36
_SWEEPS = 1000
_SWEEP_PAUSE_S = 0.005
_LEFT_TO_PROGRAMS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv: list[str]) -> int:
    order, program = json.loads(argv[1]), argv[2:]
    control = order["control"]
    for kept in (control, *order["hold"]):
        os.set_inheritable(kept, False)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in _LEFT_TO_PROGRAMS:
        signal.signal(number, signal.SIG_IGN)
    _adopt_orphans()
    child = os.fork()
    if child == 0:
        _become(program, order, control)
    _let_go_of_output()
    status = _watch(child, control, woken, order["term_s"])
    _say(control, {"status": status})
    _sweep()
    return 0


def _become(program: list[str], order: dict[str, Any], control: int) -> NoReturn:
    """In the child: set the limits and run the program."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (*_LEFT_TO_PROGRAMS, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        _limit(order["limits"])
        os.execvp(program[0], program)  # noqa: S606 - a program of its own, and no shell, is meant
    except (OSError, ValueError) as error:
        _say(control, {"error": f"{type(error).__name__}: {error}"})
    os._exit(127)


def _limit(limits: dict[str, int]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, most in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))


def _adopt_orphans() -> None:
    if _ADOPTS:
        import ctypes  # noqa: PLC0415 - takes a third of the time to start; only Linux needs it

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _let_go_of_output() -> None:
    """So that the pipes end when the program's own processes have."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _watch(child: int, control: int, woken: int, term_s: float) -> int:
    """Wait until the program has ended; when it is to stop, ask it to, and wait no longer."""
    watched = select.poll()  # and not select, which knows no descriptor from 1024 on
    watched.register(control, select.POLLIN)
    watched.register(woken, select.POLLIN)
    stop_by: float | None = None
    while True:
        left_ms = None if stop_by is None else max(0.0, stop_by - time.monotonic()) * 1000.0
        ready = {descriptor for descriptor, _ in watched.poll(left_ms)}
        if woken in ready:
            os.read(woken, 512)
            status = _reap(child)
            if status is not None:
                return status
        if control in ready:
            watched.unregister(control)
            stop_by = time.monotonic() + term_s
            os.killpg(0, signal.SIGTERM)
        elif stop_by is not None and time.monotonic() >= stop_by:
            return -signal.SIGKILL


def _reap(child: int) -> int | None:
    """Reap all that have ended; how `child` did, None if it has not.

    Raises:
        ChildProcessError: there are no children at all.
    """
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            if found is None:
                raise
            return found
        if pid == 0:
            return found
        if pid == child:
            found = os.waitstatus_to_exitcode(status)


def _sweep() -> None:
    """Kill and reap everything that is left. Whatever is orphaned meanwhile comes to us."""
    if not _ADOPTS:
        os.killpg(0, signal.SIGKILL)
    for _ in range(_SWEEPS):
        for pid in descendants(os.getpid(), _parents()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            _reap(0)
        except ChildProcessError:
            return
        time.sleep(_SWEEP_PAUSE_S)


def _parents() -> dict[int, int]:
    """The parent of every process."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                # the name in brackets may hold anything; the parent is the second field behind it
                found[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
    return found


def descendants(root: int, parents: dict[int, int]) -> list[int]:
    """Everything below a process."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found = list(children.get(root, ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def _say(control: int, report: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(control, json.dumps(report).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv))
