"""What a process wrote, synced, renamed and said, from strace's record of a real run.

Only what happened below one directory is kept, in the order in which the kernel finished it, and
what the process said: a line on its standard output, or an answer on a socket. A sentence counts
from the moment its system call began, so that nothing synced after it can count for it.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CALLS = (
    "openat,write,writev,pwrite64,pwritev,ftruncate,truncate,fallocate,fsync,fdatasync,"
    "sync_file_range,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,"
    "sendto,sendmsg"
)
_LINE = re.compile(rb"(\d+) +(.*)")
_RESUMED = re.compile(rb"<\.\.\. \w+ resumed>(.*)")
_CALL = re.compile(rb"(\w+)\((.*)\) += (-?\w+)(.*)", re.DOTALL)
_HEX = re.compile(rb'["<]((?:\\x[0-9a-f]{2})*)[">]')
_LAST_NUMBER = re.compile(rb"(\d+)$")
_UNFINISHED = b" <unfinished ...>"


@dataclass(frozen=True, slots=True)
class Write:
    path: str
    data: bytes
    offset: int | None  # None: where the last write of the file ended


@dataclass(frozen=True, slots=True)
class Truncate:
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Opened:
    """Opened to be written; made when it was not there."""

    path: str
    truncate: bool
    append: bool


@dataclass(frozen=True, slots=True)
class Sync:
    path: str


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Unlink:
    path: str


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    path: str


@dataclass(frozen=True, slots=True)
class Said:
    data: bytes


Event = Write | Truncate | Opened | Sync | Rename | Unlink | MakeDirectory | Said


@cache
def why_not() -> str:
    """Says why nothing can be traced here; empty when it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    probe = subprocess.run(
        ["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, check=False
    )
    return "" if probe.returncode == 0 else f"strace may not trace here: {probe.stderr!r}"


def traced(output: Path, command: Sequence[str]) -> list[str]:
    """Gives the command that runs another one and records it."""
    options = ["-f", "-qq", "-y", "-xx", "-s", "100000000", "--seccomp-bpf"]
    return ["strace", *options, "-e", f"trace={CALLS}", "-o", str(output), *command]


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def read(trace: Path, root: Path) -> list[Event]:
    """Reads the events below `root`, whose paths are given relative to it."""
    prefix = b"".join(b"\\x%02x" % byte for byte in bytes(root))
    return [*_events(trace, prefix, str(root))]


def _events(trace: Path, prefix: bytes, root: str) -> Iterator[Event]:
    started: dict[bytes, bytes] = {}
    with trace.open("rb") as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            thread, text = found.groups()
            if text.endswith(_UNFINISHED):
                started[thread] = text.removesuffix(_UNFINISHED)
                yield from _said(started[thread])
                continue
            if resumed := _RESUMED.match(text):
                text = started.pop(thread, b"") + resumed[1]
            else:
                yield from _said(text)
            if prefix in text and (call := _CALL.match(text)) and not call[3].startswith(b"-"):
                yield from _event(call[1].decode(), call[2], call[3], root)


def _said(text: bytes) -> Iterator[Event]:
    if text.startswith((b"write(1<", b"sendto(", b"sendmsg(")):
        data = b"".join(map(_bytes, _HEX.findall(text.partition(b">")[2])))
        if b"{" in data:  # neither a log line nor the byte that wakes a loop
            yield Said(data)


def _bytes(escaped: bytes) -> bytes:
    return bytes.fromhex(escaped.replace(b"\\x", b"").decode())


def _event(name: str, arguments: bytes, answer: bytes, root: str) -> Iterator[Event]:
    if b">(deleted)" in arguments:
        return  # what is written into a file without a name is lost in any case
    texts = [_bytes(found) for found in _HEX.findall(arguments)]

    def path(number: int) -> str:
        full = texts[number].decode()
        return full.removeprefix(root).lstrip("/") if full.startswith(root) else ""

    def last() -> int:
        found = _LAST_NUMBER.search(arguments)
        assert found is not None, arguments[-80:]
        return int(found[1])

    match name:
        case "openat" if b"O_WRONLY" in arguments or b"O_RDWR" in arguments:
            if here := path(1):
                yield Opened(here, b"O_TRUNC" in arguments, b"O_APPEND" in arguments)
        case "write" if here := path(0):
            yield Write(here, texts[1][: int(answer)], None)
        case "pwrite64" if here := path(0):
            yield Write(here, texts[1][: int(answer)], last())
        case "ftruncate" | "truncate" if here := path(0):
            yield Truncate(here, last())
        case "fsync" | "fdatasync" if texts[0].decode().startswith(root):
            yield Sync(path(0))
        case "rename" | "renameat" | "renameat2":
            full = [text.decode() for text in texts if text.decode().startswith(root)]
            yield Rename(*(text.removeprefix(root).lstrip("/") for text in full[-2:]))
        case "unlink" | "unlinkat":
            yield Unlink(path(-1))
        case "mkdir" | "mkdirat":
            yield MakeDirectory(path(-1))
        case "openat" | "sendto" | "sendmsg":
            return
        case _ if path(0):
            raise AssertionError(f"{name} on {path(0)} is not part of the model of a disk")
