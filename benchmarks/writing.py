"""A database's writer, run as the server runs it: what `writes` and `storage` measure."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from actors.batch import Handler
from actors.writer import DatabaseWriter
from benchmarks.machine import as_served
from supervision import ChildSpec, Named, System, supervisor


@asynccontextmanager
async def writer_of(
    path: Path, schema: Path, handlers: Mapping[type, Handler]
) -> AsyncIterator[Named]:
    """The writer of a new database at `path`, with the interpreter set up as in the server."""

    def build() -> DatabaseWriter:
        return DatabaseWriter(path, schema, handlers, database="benchmark")

    async with System.open() as system:
        spec = ChildSpec(id="writer", name="writer", build=build)
        await system.start(supervisor("root", "one_for_one", [spec]))
        with as_served():
            yield system.named("writer")
