"""The machine and the interpreter a figure was measured on.

Rates of different machines cannot be compared; the facts here say whether two reports may be. They
name no path, user or host, so that a report can be shown to anybody.
"""

import gc
import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from cli.running import GC_THRESHOLDS, SWITCH_INTERVAL_S

UNKNOWN = "unknown"


def facts(directory: Path) -> dict[str, object]:
    """Describes the machine; `directory` is where the benchmark puts its files."""
    return {
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file_system": _file_system(directory),
        "load_1m": round(os.getloadavg()[0], 2),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        **{package: version(package) for package in ("beadflow", "pykka", "trio")},
    }


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Leaves what lives now out of full garbage collections, as in the server, until the end."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def as_served() -> Iterator[None]:
    """Sets the interpreter up as the server does, and back again."""
    before, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        with frozen_heap():
            gc.set_threshold(*GC_THRESHOLDS)
            yield
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(before)


def _cpu() -> str:
    return _first_value(Path("/proc/cpuinfo"), "model name") or platform.processor() or UNKNOWN


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _first_value(file: Path, key: str) -> str | None:
    if not file.exists():
        return None
    for line in file.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def _file_system(directory: Path) -> str:
    """The type of the file system; on one in memory every commit looks durable and is not."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return UNKNOWN
    place = directory.resolve()
    found = (UNKNOWN, -1)
    for line in mounts.read_text(encoding="utf-8").splitlines():
        _, point, kind, *_ = line.split(" ")
        if place.is_relative_to(point) and len(point) >= found[1]:
            found = (kind, len(point))
    return found[0]
