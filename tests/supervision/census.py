"""What a process holds: counted before and after, to see what a storm leaves behind."""

import gc
import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pykka
import trio

OURS = ("supervision.", "tests.supervision", "trio.")

__all__ = ["Census", "resident_bytes", "tasks"]


@dataclass(frozen=True, kw_only=True)
class Census:
    """What there is at one moment, outside of trio.

    Attributes:
        threads: names of those that run.
        files: numbers of open file descriptors.
        actors: refs in pykka's registry.
        objects: those of the kernel's classes and of trio's, which the garbage collector knows;
            what other suites of the same process keep does not count.
        resident_bytes: memory of the process.
    """

    threads: frozenset[str]
    files: frozenset[str]
    actors: int
    objects: int
    resident_bytes: int

    @classmethod
    def take(cls) -> "Census":
        gc.collect()
        return cls(
            threads=frozenset(thread.name for thread in threading.enumerate()),
            files=_open_files(),
            actors=len(pykka.ActorRegistry.get_all()),
            objects=sum(str(type(thing).__module__).startswith(OURS) for thing in gc.get_objects()),
            resident_bytes=resident_bytes(),
        )


def resident_bytes() -> int:
    """Reads how much memory the process has, now; about 20 microseconds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def tasks() -> Counter[str]:
    """Counts the tasks of the running trio loop by name, system tasks too."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    found = list(_below(root))
    assert len(found) == trio.lowlevel.current_statistics().tasks_living
    return Counter(task.name for task in found)


def _below(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    yield task
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _below(child)


def _open_files() -> frozenset[str]:
    """Numbers of open files; the one that lists them is gone when it is looked at."""
    listed = list(Path("/proc/self/fd").iterdir())
    return frozenset(file.name for file in listed if file.is_symlink())
