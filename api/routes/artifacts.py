"""/api/v1/workflows/{id}/artifacts: store files of a workflow, list them and read them.

A file comes and goes in pieces. What is given out was verified against its hash, which is its ETag;
a browser saves it and never shows it, since it may be anything.
"""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import trio
from quart import Blueprint, Response, request
from werkzeug.http import parse_range_header

from actors.coordination.results.messages import (
    ArtifactRecord,
    GetArtifact,
    ListArtifacts,
    OpenArtifact,
    OpenedArtifact,
    StoreArtifact,
)
from api.attribution import see_that_it_holds
from api.body import BadBody, UnsupportedMediaType, read_query, said_of_itself
from api.conventions import links
from api.conventions.freshness import FOREVER, KEEP
from api.doors import Doors
from api.models import NoQuery
from api.result_models import ArtifactQuery, ArtifactsQuery
from api.uploads import UploadBody
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused, ask

READ_DEADLINE_S = 30.0
STORE_DEADLINE_S = 600.0
PIECE_BYTES = 1 << 18


class OutOfRange(BadBody):
    """The file has no such bytes."""

    code = "range_not_satisfiable"
    status = 416
    hint = "ask for bytes that the file has; its size is in the list of artifacts"


class EncodedFile(UnsupportedMediaType):
    """A file came compressed, or otherwise encoded."""

    hint = "send the file as it is, without Content-Encoding"


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("artifacts", __name__, url_prefix="/api/v1/workflows/<workflow_id>")

    @blueprint.get("/artifacts")
    async def listing(workflow_id: str) -> Response:
        query = read_query(request, ArtifactsQuery)
        message = ListArtifacts(
            workflow_id=workflow_id,
            step=query.step,
            latest=query.latest,
            limit=query.limit,
            cursor=query.cursor,
        )
        page = await ask(doors.results, message, deadline_s=READ_DEADLINE_S)
        return links.page(request, [asdict(each) for each in page.records], page.next_cursor)

    @blueprint.get("/artifacts/<anything:name>")
    async def read(workflow_id: str, name: str) -> Response:
        query = read_query(request, ArtifactQuery)
        asked = GetArtifact(workflow_id=workflow_id, name=name, version=query.version)
        record = await ask(doors.results, asked, deadline_s=READ_DEADLINE_S)
        if request.if_none_match.contains_weak(record.sha256):
            return Response(b"", status=304, headers=_headers(record))
        start, stop = _wanted(record)
        if request.method == "HEAD":
            return _answered(record, start, stop, b"")
        message = OpenArtifact(workflow_id=workflow_id, name=name, version=record.version)
        opened = await ask(doors.results, message, deadline_s=READ_DEADLINE_S)
        return _answered(record, start, stop, _pieces(opened, start, stop))

    @blueprint.put("/artifacts/<anything:name>")
    async def store(workflow_id: str, name: str) -> tuple[dict[str, Any], int, dict[str, str]]:
        read_query(request, NoQuery)
        if "Content-Encoding" in request.headers:
            raise EncodedFile(f"cannot store a file of {said_of_itself(request)}")
        await see_that_it_holds(doors, workflow_id)
        coming, pieces = trio.open_memory_channel[bytes](0)
        message = StoreArtifact(
            workflow_id=workflow_id,
            name=name,
            source=pieces,
            media_type=request.headers.get("Content-Type"),
            size=request.content_length,
        )
        with coming, pieces:
            record = await _stored(doors, message, coming)
        return asdict(record), 201, {"Location": _place(record), "ETag": f'"{record.sha256}"'}

    return blueprint


async def _stored(
    doors: Doors, message: StoreArtifact, coming: trio.MemorySendChannel[bytes]
) -> ArtifactRecord:
    """Have it stored while it comes. A client that goes away leaves nothing of it."""
    body: Any = request.body
    refused: Exception
    async with trio.open_nursery() as feeding:
        feeding.start_soon(_feed, body, coming)
        try:
            return await ask(doors.results, message, deadline_s=STORE_DEADLINE_S)
        except (Refused, ActorDeadError, ActorRestarting, AskTimeout) as error:
            refused = error  # not out of here: the nursery would wrap it
        finally:
            feeding.cancel_scope.cancel()
    if isinstance(body, UploadBody):
        await body.drop_rest()
    raise refused


async def _feed(body: Any, coming: trio.MemorySendChannel[bytes]) -> None:
    async for piece in body:
        await coming.send(piece)
    await coming.send(b"")


def _wanted(record: ArtifactRecord) -> tuple[int, int]:
    """The bytes that are asked for; several ranges at once are answered with the whole file."""
    given = parse_range_header(request.headers.get("Range"), make_inclusive=False)
    changed = request.headers.get("If-Range", f'"{record.sha256}"') != f'"{record.sha256}"'
    if given is None or given.units != "bytes" or len(given.ranges) != 1 or changed:
        return 0, record.size
    found = given.range_for_length(record.size)
    if found is None:
        raise OutOfRange(f"the file has {record.size} bytes")
    return found


def _answered(record: ArtifactRecord, start: int, stop: int, body: Any) -> Response:
    headers = _headers(record)
    status = 200
    if (start, stop) != (0, record.size):
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{record.size}"
        status = 206
    response = Response(body, status=status, headers=headers, content_type=record.media_type)
    response.headers["Content-Length"] = str(stop - start)
    response.timeout = None  # as long as it takes; each piece of it has its deadline
    return response


def _headers(record: ArtifactRecord) -> dict[str, str]:
    saved_as = quote(record.name.rpartition("/")[2], safe="")
    return {
        "ETag": f'"{record.sha256}"',
        "Accept-Ranges": "bytes",
        "Artifact-Version": str(record.version),
        "Content-Disposition": f"attachment; filename*=UTF-8''{saved_as}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": FOREVER if "version" in request.args else KEEP,
    }


def _place(record: ArtifactRecord) -> str:
    named = f"/api/v1/workflows/{record.workflow_id}/artifacts/{quote(record.name)}"
    return f"{named}?version={record.version}"


async def _pieces(opened: OpenedArtifact, start: int, stop: int) -> AsyncIterator[bytes]:
    with opened.content as content:
        while start < stop:
            size = min(PIECE_BYTES, stop - start)
            piece = await trio.to_thread.run_sync(content.read, start, size)
            if not piece:
                raise EOFError("a file became shorter while it was read")
            yield piece
            start += len(piece)
