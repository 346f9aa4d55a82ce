"""One system call fails, at its Nth time, in a life of the real tree; then the stores are judged.

Run by `test_io_faults.py` in a process of its own, because it forks: everything is imported once,
and strace is attached to each life before it begins. Only calls on our own files count, and each
thread counts its own. A fault that shall not stay is over when strace has told of it and was sent
away; one that stays meets every thread and every incarnation.

    python -m tests.faults.sweep DIRECTORY STEP PARTS
"""

import ctypes
import faulthandler
import json
import os
import re
import resource
import select
import shutil
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import trio

from tests.support import life
from tests.support.ledger import Ledger, losses
from tests.support.life import Plan
from tests.support.parts import in_parts

STARTS = 5
PATIENCE_S = 60.0
LET_GO_S = 2.0
DATABASES = ("coordination.db", "tempolite.db", "beads.db")
PUBLISHED = ("", "issues.jsonl", ".issues.jsonl.beadflow-tmp")
PAGE_BYTES = 4096
LONGEST_PAGES = 60
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)

WRITES, SYNCS, OPENS = "pwrite64,write", "fdatasync,fsync", "openat"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong.

    Args:
        calls: system calls, as strace names them; empty for a limit of the size of files.
        how: strace's words for it; `retval=0` is the shortest of short writes.
        first: the number of the first call that fails, or the limit in bytes.
        stays: whether all later calls fail, too.
        new: whether the databases are made by the life, or were there before.
    """

    calls: str
    how: str
    first: int
    new: bool
    stays: bool = False

    def __str__(self) -> str:
        where = "new databases" if self.new else "databases that were there"
        if not self.calls:
            return f"files end at {self.first} bytes, {where}"
        ever = " and ever after" if self.stays else ""
        return f"{self.calls} {self.how} at {self.first}{ever}, {where}"


ONCE = (
    (WRITES, "error=EIO"),
    (WRITES, "error=ENOSPC"),
    (WRITES, "retval=0"),
    (SYNCS, "error=EIO"),
    (SYNCS, "error=ENOSPC"),
    (OPENS, "error=EIO"),
    (OPENS, "error=ENOSPC"),
)
EVER_AFTER = ((WRITES, "error=EIO"), (WRITES, "error=ENOSPC"), (SYNCS, "error=EIO"))


STAYING_STEP = 20
"""A fault that stays is waited out by whoever stops: seconds each."""


def faults(most: dict[str, int], step: int, *, new: bool) -> Iterator[Fault]:
    """Every `step`th fault of each kind, the first ones included; with all, those that stay.

    Args:
        most: how often a thread makes each kind of call.
        new: whether the databases are made by the life, or were there before.
    """
    for calls, how in ONCE:
        for first in range(1, most[calls] + 1, step):
            yield Fault(calls=calls, how=how, first=first, new=new)
    if step > 1 or new:
        return
    for calls, how in EVER_AFTER:
        for first in range(1, most[calls] + 1, STAYING_STEP):
            yield Fault(calls=calls, how=how, first=first, new=new, stays=True)
    for limit in range(PAGE_BYTES // 2, LONGEST_PAGES * PAGE_BYTES, STAYING_STEP * PAGE_BYTES):
        yield Fault(calls="", how="", first=limit, new=new)


def paths(root: Path) -> list[Path]:
    data = root / ".beadflow"
    databases = [data / f"{name}{end}" for name in DATABASES for end in ("", "-wal", "-journal")]
    return [data, *databases, *(root / ".beads" / name for name in PUBLISHED)]


def counted(root: Path) -> dict[str, int]:
    """How often a thread of a whole life calls what is to fail, at most."""
    _, traced, _ = run(root, ["-e", f"trace={WRITES},{SYNCS},{OPENS}"])
    calls = Counter(re.findall(r"^(\d+) +(\w+)\(", traced.decode(), re.MULTILINE))
    return {
        kind: max(n for (_, name), n in calls.items() if name in kind.split(","))
        for kind in (WRITES, SYNCS, OPENS)
    }


def run(
    root: Path,
    options: Sequence[str] = (),
    *,
    limit: int | None = None,
    once: bool = False,
    plan: Plan | None = None,
) -> tuple[bytes, bytes, int]:
    """One life, with strace attached where it is given options.

    Returns:
        What the life said, what strace said, and the life's exit code.
    """
    root.mkdir(parents=True, exist_ok=True)
    (waiting, go), (said, saying), (traced, tracing) = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        for end in (go, said, traced, tracing):
            os.close(end)
        usual = Plan(repo=str(root), starts=STARTS, settle=once or not options)
        _live(plan or usual, waiting, saying, limit)
    tracer = _attached(child, root, options, tracing) if options else None
    for end in (waiting, saying, tracing):
        os.close(end)
    os.close(go)
    texts = {said: b"", traced: b""}
    open_ends = [said, traced]
    while open_ends:
        # A life that ends while strace lets go of a thread can leave both waiting for ever.
        ready = select.select(open_ends, [], [], LET_GO_S)[0]
        if not ready and tracer is not None and (said not in open_ends or _has_ended(child)):
            tracer.kill()
        for end in ready:
            more = os.read(end, 1 << 16)
            texts[end] += more
            if not more:
                open_ends.remove(end)
                os.close(end)
            elif once and tracer is not None and end == traced and b"(INJECTED)" in texts[end]:
                tracer.terminate()  # it lets go of all threads, and they go on
                once = False
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if tracer is not None:
        tracer.wait()
    return texts[said], texts[traced], status


def _has_ended(child: int) -> bool:
    """Whether it has called exit, although one of its threads may still be held by strace."""
    return "State:\tZ" in Path(f"/proc/{child}/status").read_text()


def _attached(
    child: int, root: Path, options: Sequence[str], tracing: int
) -> subprocess.Popen[bytes]:
    ours = [word for path in paths(root) for word in ("-P", str(path))]
    command = ["strace", "-f", "-s", "0", *ours, *options]
    command += ["-o", f"/dev/fd/{tracing}", "-p", str(child)]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL, pass_fds=[tracing])
    while "TracerPid:\t0" in Path(f"/proc/{child}/status").read_text():
        assert tracer.poll() is None, f"{command} did not attach"
        time.sleep(0.001)
    return tracer


def _live(plan: Plan, go: int, speaking: int, limit: int | None) -> NoReturn:
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
    os.dup2(speaking, 1)
    os.dup2(speaking, 2)
    os.close(speaking)
    os.read(go, 1)
    faulthandler.dump_traceback_later(PATIENCE_S, exit=True)  # a hang says where
    status = 1
    try:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        trio.run(life.live, plan)
        status = 0
    except BaseException:  # noqa: BLE001 - it is said, and ends this process
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def judged(fault: Fault, root: Path) -> dict[str, Any]:
    when = f"when={fault.first}{'+' if fault.stays else ''}"
    inject = ["-e", f"trace={fault.calls}", "-e", f"inject={fault.calls}:{fault.how}:{when}"]
    limit = None if fault.calls else fault.first
    started = time.monotonic()
    text, traced, status = run(
        root, inject if fault.calls else (), limit=limit, once=not fault.stays
    )
    seconds = time.monotonic() - started
    ledger = Ledger.read(text.splitlines())
    lost: list[str] = []
    if b"Timeout (" in text:
        lost.append(f"it hung: {text[-4000:].decode(errors='replace')}")
    try:
        lost += trio.run(losses, root, ledger, status == 0 and not fault.stays)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        lost.append("".join(traceback.format_exception(error)))
    return {
        "fault": str(fault),
        "status": status,
        "met": not fault.calls or b"(INJECTED)" in traced,
        "seconds": round(seconds, 2),
        "started": len(ledger.started),
        "refused": sorted(set(re.findall(r'{"refused": "(\w+)"', text.decode(errors="replace")))),
        "gave_up": b'{"gave_up"' in text,
        "lost": [*lost, str(ledger), text[-6000:].decode(errors="replace")] if lost else [],
        "said": text[-1500:].decode(errors="replace"),
    }


def main() -> None:
    directory, step, parts = Path(sys.argv[1]), *map(int, sys.argv[2:])
    made, before, there = (directory / name for name in ("made", "before", "there"))
    directory.mkdir(parents=True)
    life.warm()
    run(made)
    made.rename(before)  # what lay there is moved, and no copy beside its original
    every = [*faults(counted(directory / "new"), step, new=True)]
    shutil.copytree(before, there)
    every += faults(counted(there), step, new=False)

    def swept(part: int) -> Iterator[dict[str, Any]]:
        root = directory / f"site-{part}"
        for fault in every[part::parts]:
            shutil.rmtree(root, ignore_errors=True)
            if not fault.new:
                shutil.copytree(before, root)
            found = judged(fault, root)
            yield found
            if found["lost"]:
                return  # what is left stays where it is, to be looked at

    for found in in_parts(parts, swept):
        print(json.dumps(found))


if __name__ == "__main__":
    main()
