"""Looks into a wheel without downloading it: the archive's table and the few files that matter.

A wheel is a ZIP archive whose table stands at its end, so that a few ranges of bytes (some tens of
kilobytes) tell what it installs and what its metadata says, however large it is. A server that
serves no ranges sends the whole, which is taken up to 2 MiB.
"""

import io
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal

from actors.agents.kit.untrusted import plain
from actors.agents.research.facts import Contents
from actors.agents.research.fetch import Body, Fetcher, Unreachable

ARTEFACT_CAP_BYTES: Final = 2 << 20
METADATA_CAP_BYTES: Final = 1 << 20
_TAIL_BYTES: Final = 65_536
_STEP_BYTES: Final = 32_768
_MAX_NAMES: Final = 20
_MODULE_SUFFIXES: Final = frozenset({".py", ".so", ".pyd"})
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    EOFError,
    ValueError,
    RuntimeError,
    OSError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """What was seen in a wheel; `metadata` is the raw METADATA file."""

    contents: Contents
    metadata: bytes


def look_into(fetcher: Fetcher, url: str) -> Wheel:
    """Reads a wheel's table and metadata.

    Raises:
        Unreachable: it could not be read within the cap and the deadline, or is no wheel.
        Absent: the index lists it but does not have it.
    """
    remote = _Ranges(fetcher, url)
    try:
        with zipfile.ZipFile(io.BufferedReader(remote, _STEP_BYTES)) as archive:
            entries = archive.infolist()
            metadata = next((e for e in entries if _is_metadata(e.filename)), None)
            if metadata is None or metadata.file_size > METADATA_CAP_BYTES:
                raise Unreachable("the wheel has no metadata of a bearable size")
            with archive.open(metadata) as file:
                text = file.read(METADATA_CAP_BYTES)
    except _BROKEN as err:
        raise Unreachable(f"the wheel cannot be read ({type(err).__name__})") from err
    return Wheel(
        contents=contents(
            (entry.filename for entry in entries),
            sum(entry.file_size for entry in entries),
            "wheel contents",
        ),
        metadata=text,
    )


def contents(
    names: Iterable[str],
    installed_bytes: int | None,
    seen_in: Literal["wheel contents", "installed metadata"],
) -> Contents:
    """What a distribution with these files brings: import names, and types or not."""
    files = [PurePosixPath(name) for name in names if not name.endswith("/")]
    modules = {name for file in files if (name := _import_name(file))}
    return Contents(
        import_names=tuple(sorted(modules)[:_MAX_NAMES]),
        typed=any(file.name == "py.typed" for file in files),
        installed_bytes=installed_bytes,
        seen_in=seen_in,
    )


def _import_name(file: PurePosixPath) -> str | None:
    """The top-level module a file belongs to, if it belongs to one."""
    top = file.parts[0] if file.parts else ""
    if file.suffix not in _MODULE_SUFFIXES or (len(file.parts) > 1 and "." in top):
        return None  # data, or inside x.dist-info, x.libs, x.data or a path that leads out
    name = top.partition(".")[0]  # _speedups.cpython-311-x86_64-linux-gnu.so
    return plain(name, 100) if name.isidentifier() else None


def _is_metadata(name: str) -> bool:
    directory, _, file = name.partition("/")
    return file == "METADATA" and directory.endswith(".dist-info")


class _Ranges(io.RawIOBase):
    """A file of which only the parts that are read are fetched."""

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        super().__init__()
        self._fetcher = fetcher
        self._url = url
        self._left_bytes = ARTEFACT_CAP_BYTES
        self._parts: list[Body] = []
        self._position = 0
        self._size = self._fetch((-_TAIL_BYTES, 0)).total

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # any buffer will do
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        part = self._holding(self._position)
        offset = self._position - part.start
        data = part.data[offset : offset + wanted]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _holding(self, position: int) -> Body:
        for part in self._parts:
            if part.start <= position < part.start + len(part.data):
                return part
        part = self._fetch((position, min(self._size, position + _STEP_BYTES)))
        if not part.start <= position < part.start + len(part.data):
            raise Unreachable("the server sent another part than it was asked for")
        return part

    def _fetch(self, part: tuple[int, int]) -> Body:
        body = self._fetcher.get(self._url, cap_bytes=self._left_bytes, part=part)
        self._left_bytes -= len(body.data)
        self._parts.append(body)
        return body
