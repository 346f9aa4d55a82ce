"""What a disk may hold after a power cut: what was synced, and any part of what was not.

The model is as strict as POSIX allows. A sync of a file makes its bytes durable, not its name; a
name, its change and its end are durable once the directory was synced. Of everything else any part
may have reached the disk: nothing, all, the first so many, any of them, or any 512-byte sectors.
"""

import random
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.power.trace import (
    Event,
    MakeDirectory,
    Opened,
    Rename,
    Said,
    Sync,
    Truncate,
    Unlink,
    Write,
)

SECTOR_BYTES = 512
MODES = ("none", "all", "first", "any", "sectors")
AFTER_A_SENTENCE = 6  # so many events: where a loss of what was just acknowledged shows

Change = tuple[int, bytes] | int  # bytes at an offset, or a new size


@dataclass
class File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)
    size: int = 0
    offset: int = 0
    append: bool = False

    def change(self, change: Change) -> None:
        self.pending.append(change)
        self.size = change if isinstance(change, int) else max(self.size, _end(change))

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.durable, change)
        self.pending.clear()

    def after(self, changes: Sequence[Change]) -> bytes:
        content = copy(self.durable)
        for change in changes:
            _apply(content, change)
        return bytes(content)


class Directory:
    """A directory; what is in it stands in the disk's names."""


Node = File | Directory
Step = tuple[str, Node | None]  # a name, and what it leads to from now on
Entry = tuple[Step, ...]  # one atomic change of names: a rename has two steps


class Disk:
    """The state of a disk, event by event.

    Args:
        there: directories that were durable before the run.
    """

    def __init__(self, there: Sequence[str] = ()) -> None:
        self._names: dict[str, Node] = {"": Directory()}
        self._names.update((name, Directory()) for name in there)
        self._durable: dict[str, Node] = dict(self._names)
        self._pending: dict[str, list[Entry]] = {}
        self.heard: list[bytes] = []

    def happen(self, event: Event) -> None:
        match event:
            case Said(data):
                self.heard.append(data)
            case Opened(path, truncate, append):
                file = self._names.get(path)
                if not isinstance(file, File):
                    file = File()
                    self._enter((path, file))
                file.offset, file.append = 0, append
                if truncate:
                    file.change(0)
            case Write(path, data, offset):
                file = self._file(path)
                start = offset if offset is not None else file.offset
                start = file.size if file.append else start
                file.change((start, data))
                if offset is None:
                    file.offset = start + len(data)
            case Truncate(path, size):
                self._file(path).change(size)
            case Sync(path):
                self._sync(path)
            case Rename(old, new):
                self._enter((old, None), (new, self._names[old]))
            case Unlink(path):
                self._enter((path, None))
            case MakeDirectory(path):
                self._enter((path, Directory()))

    def live(self) -> dict[str, bytes]:
        """What a process would read now."""
        return {
            name: node.after(node.pending)
            for name, node in self._names.items()
            if isinstance(node, File)
        }

    def cut(self, chance: random.Random) -> tuple[list[str], dict[str, bytes]]:
        """Draws what is left after a power cut: directories, and files with their content."""
        names = dict(self._durable)
        for pending in self._pending.values():
            for entry in _drawn(pending, chance.choice(MODES[:4]), chance):
                _rename(names, entry)
        directories, files = [], {}
        for name, node in names.items():
            if not all(parent in names for parent in _parents(name)):
                continue  # it is there, and no way leads to it
            if isinstance(node, File):
                files[name] = node.after([*_torn(node.pending, chance.choice(MODES), chance)])
            elif name:
                directories.append(name)
        return sorted(directories), files

    def _file(self, path: str) -> File:
        file = self._names[path]
        assert isinstance(file, File), path
        return file

    def _enter(self, *steps: Step) -> None:
        _rename(self._names, steps)
        directory = _parent(steps[0][0])
        assert all(_parent(name) == directory for name, _ in steps), "two directories at once"
        self._pending.setdefault(directory, []).append(steps)

    def _sync(self, path: str) -> None:
        node = self._names[path]
        if isinstance(node, File):
            node.sync()
            return
        for entry in self._pending.pop(path, []):
            _rename(self._durable, entry)


def moments(events: Sequence[Event], count: int, chance: random.Random) -> list[int]:
    """Draws after how many events the power is cut, in order; half of it right after sentences."""
    sentences = [number for number, event in enumerate(events) if isinstance(event, Said)]
    near = [
        min(len(events), chance.choice(sentences) + 1 + chance.randrange(AFTER_A_SENTENCE))
        for _ in range(count // 2)
    ]
    anywhere = [chance.randrange(len(events) + 1) for _ in range(count - len(near))]
    return sorted(near + anywhere)


def write(root: Path, directories: Sequence[str], files: dict[str, bytes]) -> None:
    """Lays an image down. The index of a write-ahead log is not part of what a cut leaves.

    A trace tells of no modes: all files of ours are private from the moment they are made.
    """
    for name in directories:
        (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in files.items():
        if not name.endswith("-shm"):
            (root / name).touch(0o600)
            (root / name).write_bytes(content)


def _parent(name: str) -> str:
    parent = str(PurePosixPath(name).parent)
    return "" if parent == "." else parent


def _parents(name: str) -> Iterator[str]:
    while name:
        name = _parent(name)
        yield name


def _rename(names: dict[str, Node], entry: Entry) -> None:
    """Changes names; one that was never made durable has nothing to lose."""
    for name, node in entry:
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _drawn(items: Sequence[Entry], mode: str, chance: random.Random) -> Sequence[Entry]:
    match mode:
        case "none":
            return ()
        case "all":
            return items
        case "first":
            return items[: chance.randint(0, len(items))]
    return [item for item in items if chance.random() < 0.5]


def _torn(changes: Sequence[Change], mode: str, chance: random.Random) -> Iterator[Change]:
    match mode:
        case "none":
            return
        case "all":
            yield from changes
        case "first":
            yield from changes[: chance.randint(0, len(changes))]
        case "any":
            yield from (change for change in changes if chance.random() < 0.5)
        case _:
            for change in changes:
                yield from _sectors(change, chance)


def _sectors(change: Change, chance: random.Random) -> Iterator[Change]:
    if isinstance(change, int):
        if chance.random() < 0.5:
            yield change
        return
    offset, data = change
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR_BYTES - (offset + start) % SECTOR_BYTES)
        if chance.random() < 0.5:
            yield offset + start, data[start:end]
        start = end


def _end(change: tuple[int, bytes]) -> int:
    return change[0] + len(change[1])


def _apply(content: bytearray, change: Change) -> None:
    if isinstance(change, int):
        del content[change:]
        content.extend(bytes(change - len(content)))
        return
    offset, data = change
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data
