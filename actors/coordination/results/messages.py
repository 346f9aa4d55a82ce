"""What the results storage is asked, and what it has written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from actors.writer import Command
from storage.artifacts import Content
from supervision import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactReference:
    """An artifact as results speak of it: plain values, so that it may stand in any of them."""

    name: str
    version: int
    sha256: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRecord:
    """One version of an artifact. `step` is the operation that stored it, None for a request."""

    id: int
    workflow_id: str
    name: str
    version: int
    step: str | None
    agent_type: str | None
    agent_id: str | None
    media_type: str
    size: int
    sha256: str
    created_at: str

    @property
    def reference(self) -> ArtifactReference:
        return ArtifactReference(
            name=self.name,
            version=self.version,
            sha256=self.sha256,
            size=self.size,
            media_type=self.media_type,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRecord:
    """One stored result. `step` is the operation's id, "output" for the workflow's own.

    Args:
        version: 1 for the first result of its step, 2 for the next; the newest counts.
        artifacts: what its step has stored as files: the last 20 versions, the newest last.
    """

    id: int
    workflow_id: str
    step: str
    result_type: str
    agent_type: str | None
    agent_id: str | None
    result_data: Any
    confidence_score: float | None
    created_at: str
    version: int
    artifacts: tuple[ArtifactReference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPage:
    """Results, and the cursor for those that follow; None on the last page.

    A page is shorter than its limit where the results are large.
    """

    records: tuple[ResultRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListResults(Ask[ResultPage]):
    """Results of one workflow, in the order in which they were stored; or of all, newest first.

    Refused with `NotFound` (the workflow), and with `ValidationError` for a wrong limit, score or
    time, and for a cursor that is not one of this list's.

    Args:
        since: RFC 3339; stored then or later.
        until: RFC 3339; stored before.
        min_confidence: 0.0 to 1.0; those without a score are left out.
        version: only this version of each step.
        latest: only the newest version of each step.
        limit: 1 to 1000.
    """

    workflow_id: str | None = None
    result_type: str | None = None
    step: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    since: str | None = None
    until: str | None = None
    min_confidence: float | None = None
    version: int | None = None
    latest: bool = False
    limit: int = 1000
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreResult(Ask[ResultRecord]):
    """Store a result by hand: durable once this is answered. The workflow may have ended.

    Refused with `NotFound` (the workflow; a child's results are in its history), with
    `ValidationError` (names the field), and with `Conflict` when the key came with another request.

    Args:
        result_type: not one that the workflow or a handoff alone stores.
        step: whose result it is; None takes the type as a step of its own.
        agent_type: None is that of the agent; another one is refused.
        agent_id: an agent that is there, was registered, or has had the workflow.
        confidence_score: 0.0 to 1.0; None states none.
        idempotency_key: the same key with the same request stores it once.
    """

    workflow_id: str
    result_type: str
    data: Any
    step: str | None = None
    agent_type: str | None = None
    agent_id: str | None = None
    confidence_score: float | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTypeRecord:
    """What results of a type hold.

    Args:
        agent_type: of the agents whose activity it is; None for a workflow's own result.
        workflow_type: whose own result it is; None for a step's.
    """

    result_type: str
    agent_type: str | None
    workflow_type: str | None
    json_schema: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListResultTypes(Ask[tuple[ResultTypeRecord, ...]]):
    """Those whose code says what they hold."""


Chunks = trio.MemoryReceiveChannel[bytes]
"""A content in pieces; an empty one ends it, and a channel that ends before that cuts it off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreArtifact(Ask[ArtifactRecord]):
    """Store a file of a workflow or a child: content and row are durable once this is answered.

    The same content as the newest version of that name is that version; and so is what the same
    step has stored under that name before. Refused with `NotFound`, with `ValidationError` (name,
    media type; `artifact_too_large`, `artifacts_too_large` of a workflow), with `StorageFull`.

    Args:
        source: the content; the path of a file; or a channel of pieces, see `Chunks`.
        media_type: None guesses it from the name.
        size: how many bytes will come, where that is known.
        step: the operation that stores it, when a step does.
    """

    workflow_id: str
    name: str
    source: bytes | Path | Chunks
    media_type: str | None = None
    size: int | None = None
    step: str | None = None
    agent_type: str | None = None
    agent_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetArtifact(Ask[ArtifactRecord]):
    """What is known of an artifact. Refused with `NotFound`, `ValidationError` (name, version).

    Args:
        version: None takes the newest.
    """

    workflow_id: str
    name: str
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedArtifact:
    """An artifact whose content is whole. Whoever asked for it closes the content."""

    record: ArtifactRecord
    content: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenArtifact(Ask[OpenedArtifact]):
    """Open an artifact to be read, once its content was verified.

    Refused as `GetArtifact`, and with `ArtifactUnusable` when its content is damaged or missing.
    """

    workflow_id: str
    name: str
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactPage:
    """By name and version. `next_cursor` is None on the last page."""

    records: tuple[ArtifactRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListArtifacts(Ask[ArtifactPage]):
    """The artifacts of a workflow or a child. Refused with `NotFound`, `ValidationError`.

    Args:
        latest: only the newest version of each name.
        limit: 1 to 1000.
    """

    workflow_id: str
    step: str | None = None
    latest: bool = False
    limit: int = 200
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedContents:
    """What a sweep has removed."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepArtifacts(Ask[RemovedContents]):
    """Remove the contents that no row names, and that are old enough, now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResult(Command[ResultRecord]):
    """Write a result and its fact. Refused with `NotFound`, and `Conflict` (the key).

    Args:
        data: stored JSON text.
        at: with all else it says that a command comes for the second time.
        request_sha256: tells a repeated request from another one with the same key.
    """

    workflow_id: str
    step: str
    result_type: str
    agent_type: str | None
    agent_id: str | None
    data: str
    confidence_score: float | None
    at: str
    idempotency_key: str | None = None
    request_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordArtifact(Command[ArtifactRecord]):
    """Write the row of an artifact whose content is durable, and its fact.

    Refused with `NotFound`, and with `ValidationError` when the workflow's are too large together.

    Args:
        root_id: the workflow above all, which has a mapping; itself, unless it is a child.
        limit: bytes that all artifacts of the workflow may have.
        at: with all else it says that a command comes for the second time.
    """

    workflow_id: str
    root_id: str
    name: str
    step: str | None
    agent_type: str | None
    agent_id: str | None
    media_type: str
    size: int
    sha256: str
    limit: int
    at: str
