"""Taking a content in, and opening one: the part of the results storage that touches files.

File work blocks, so it runs in threads, and a content comes in pieces that are gathered to some
size first: a way to a thread and back costs as much as writing 100 kB.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import trio

from actors.coordination.results.errors import ArtifactUnusable, CutOff, NotStored, TooLarge
from actors.coordination.results.messages import ArtifactRecord, Chunks
from actors.errors import Overloaded, StorageFull, ValidationError
from storage import regular
from storage.artifacts import CHUNK_BYTES, Artifacts, Content, Incoming, Placed
from storage.errors import ArtifactDamaged, DiskFull, plain

T = TypeVar("T")

PIECE_S: Final = 30.0
"""How long to wait for the next piece of a content."""

AT_ONCE: Final = 32
"""Contents that are taken in beside each other; each holds an open file, and at times a thread."""


class Contents:
    """See the module.

    Args:
        artifacts: where they lie.
        limit: bytes that one content may have.
        blocking: runs a function that blocks, and gives its answer.
    """

    def __init__(self, artifacts: Artifacts, *, limit: int, blocking: Callable[..., Any]) -> None:
        self._artifacts = artifacts
        self._limit = limit
        self._blocking = blocking
        self._slots = trio.CapacityLimiter(AT_ONCE)

    async def take(self, source: bytes | Path | Chunks, size: int | None) -> Placed:
        """Store a content, durably. Cancelling it leaves nothing.

        Raises:
            TooLarge, CutOff, StorageFull, NotStored, Overloaded: see there; nothing is left of it.
            ValidationError: the file that is the source cannot be read.
        """
        self._refuse_larger(len(source) if isinstance(source, bytes) else size or 0)
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock as error:
            raise Overloaded(f"{AT_ONCE} artifacts are being stored already") from error
        try:
            return await self._take(source, size)
        except DiskFull as error:
            raise StorageFull(f"the artifact was not stored: {error}") from error
        except OSError as error:
            raise NotStored(f"the artifact was not stored: {error}") from error
        finally:
            self._slots.release()

    async def open(self, record: ArtifactRecord) -> Content:
        """Open a content that is whole.

        Raises:
            ArtifactUnusable: it is not.
        """
        try:
            content: Content = await self._blocking(
                self._artifacts.open, record.sha256, record.size
            )
        except ArtifactDamaged as error:
            raise ArtifactUnusable(
                f"version {record.version} of artifact {record.name!r} of workflow"
                f" {record.workflow_id} is damaged: {error}"
            ) from error
        return content

    async def _take(self, source: bytes | Path | Chunks, size: int | None) -> Placed:
        known = len(source) if isinstance(source, bytes) else size
        incoming: Incoming = await self._blocking(self._artifacts.begin, known)
        try:
            match source:
                case bytes():
                    await self._blocking(incoming.write, source)
                case Path():
                    await self._blocking(self._copy, incoming, source)
                case _:
                    await self._gather(incoming, source)
            if size is not None and incoming.size != size:
                raise CutOff(f"{incoming.size} bytes came of an artifact of {size}")
            placed: Placed = await self._blocking(incoming.place)
            return placed
        finally:
            with trio.CancelScope(shield=True):
                await self._blocking(incoming.discard)

    async def _gather(self, incoming: Incoming, pieces: Chunks) -> None:
        waiting = bytearray()
        while piece := await _next(pieces):
            waiting += piece
            self._refuse_larger(incoming.size + len(waiting))
            if len(waiting) >= CHUNK_BYTES:
                await self._blocking(incoming.write, bytes(waiting))
                waiting.clear()
        if waiting:
            await self._blocking(incoming.write, bytes(waiting))

    def _copy(self, incoming: Incoming, path: Path) -> None:
        try:
            source = regular.reading(path)
        except OSError as error:
            raise ValidationError(
                f"{path} cannot be read: {plain(error)}", field="source"
            ) from error
        with source:
            while chunk := source.read(CHUNK_BYTES):
                self._refuse_larger(incoming.size + len(chunk))
                incoming.write(chunk)

    def _refuse_larger(self, size: int) -> None:
        if size > self._limit:
            raise TooLarge(f"an artifact has at most {self._limit} bytes", field="size")


async def _next(pieces: Chunks) -> bytes:
    """The next piece; an empty one is the end."""
    with trio.move_on_after(PIECE_S):
        try:
            return await pieces.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError) as error:
            raise CutOff("the artifact ended before it was whole") from error
    raise CutOff(f"nothing came of the artifact for {PIECE_S:g} s")
