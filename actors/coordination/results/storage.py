"""The results storage: results by request and in versions, and artifacts, which are files.

The results that steps return are stored from the engine's history, with the facts of them
(`actors.coordination.store`). Here is what comes by request, and all that is asked of either. A
content is durable under its hash before its row is: a crash in between leaves a file that no row
names, and the sweep takes those away once they are a day old.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
import trio

from actors import bus
from actors.clock import Clock, rfc3339
from actors.coordination import repeats
from actors.coordination.results import names
from actors.coordination.results.contents import Contents
from actors.coordination.results.errors import TooMuch
from actors.coordination.results.messages import (
    ArtifactRecord,
    GetArtifact,
    ListArtifacts,
    ListResults,
    ListResultTypes,
    OpenArtifact,
    OpenedArtifact,
    RecordArtifact,
    RecordResult,
    RemovedContents,
    ResultRecord,
    StoreArtifact,
    StoreResult,
    SweepArtifacts,
)
from actors.coordination.results.reading import Reading, check_score
from actors.coordination.results.types import ResultTypes
from actors.errors import DatabaseUnavailable, Overloaded, StoreLost, ValidationError
from actors.workflows.activities import RESULT_LIMIT_BYTES
from actors.writer import Command, write
from storage import payload
from storage.artifacts import Artifacts
from storage.errors import PayloadError, StorageError
from storage.pool import ReadPool
from storage.sweeping import GRACE_S, Swept, sweep
from supervision import Actor, Named

T = TypeVar("T")

MIB: Final = 1 << 20
ARTIFACT_LIMIT_BYTES: Final = 64 * MIB
ARTIFACTS_LIMIT_BYTES: Final = 1024 * MIB

FIRST_S: Final = 90.0
"""From the start to the first sweep: the start has enough to do."""

PERIOD_S: Final = 3600.0

log = structlog.get_logger("beadflow.results")


class ResultsStorage(Actor):
    """See the module.

    Args:
        directory: the data directory.
        artifacts: its contents; the same for each incarnation.
        pool: read-only connections to the coordination database.
        histories: the same, to the engine's.
        types: what results of known types hold.
        agents: the types of the agents that are there by the settings, by their ids.
        coordination: the coordination database's writer.
        artifact_limit: bytes that one artifact may have.
        artifacts_limit: bytes that all artifacts of one workflow may have, all versions.
        sweeps: False for who does not hold the data directory, and only reads.
    """

    mailbox_bound = 2000
    deferred_bound = 500

    def __init__(
        self,
        *,
        directory: Path,
        artifacts: Artifacts,
        pool: ReadPool,
        histories: ReadPool,
        coordination: Named,
        event_bus: Named,
        types: ResultTypes,
        clock: Clock,
        agents: Mapping[str, str],
        artifact_limit: int = ARTIFACT_LIMIT_BYTES,
        artifacts_limit: int = ARTIFACTS_LIMIT_BYTES,
        sweeps: bool = True,
    ) -> None:
        super().__init__()
        self._directory = directory
        self._artifacts = artifacts
        self._reading = Reading(pool, histories)
        self._contents = Contents(artifacts, limit=artifact_limit, blocking=self._blocking)
        self._coordination = coordination
        self._bus = event_bus
        self._types = types
        self._agents = agents
        self._clock = clock
        self._artifacts_limit = artifacts_limit
        self._sweeps = sweeps

    async def on_start(self) -> None:
        # a file has the time of this machine, a simulation its own
        if self._sweeps and not self.system.inline:
            self.spawn(self._sweep_now_and_then)

    async def on_receive(self, message: object) -> object:
        match message:
            case ListResults():
                return self.defer(self._reading.results(message))
            case ListResultTypes():
                return self._types.listed()
            case StoreResult():
                return self.defer(self._store_result(message))
            case StoreArtifact():
                return self.defer(self._store_artifact(message))
            case OpenArtifact():
                return self.defer(self._open(message))
            case GetArtifact():
                return self.defer(self._reading.artifact(message))
            case ListArtifacts():
                return self.defer(self._reading.artifacts(message))
            case SweepArtifacts():
                return self.defer(self._sweep())
            case _:
                return await super().on_receive(message)

    async def _store_result(self, request: StoreResult) -> ResultRecord:
        command = _recorded(request, rfc3339(self._clock()))
        self._types.check(request.result_type, request.data)
        if request.agent_id is not None:
            own = await self._type_of(request, request.agent_id)
            command = replace(command, agent_type=own)
        return await self._write(command, f"a result of workflow {request.workflow_id}")

    async def _type_of(self, request: StoreResult, agent_id: str) -> str:
        """The type of the agent that a result is said to be of."""
        of_settings = self._agents.get(agent_id)
        types = await self._reading.types_of_agent(request.workflow_id, agent_id)
        known = [of_settings, *types] if of_settings is not None else types
        if not known:
            raise ValidationError(
                f"there is no agent {agent_id}, and workflow {request.workflow_id} never had one"
                " of this id",
                field="agent_id",
                value=agent_id,
                hint="name the agent that did it, or none",
            )
        if request.agent_type is None:
            return known[0]
        if request.agent_type not in known:
            raise ValidationError(
                f"agent {agent_id} is of type {known[0]!r}, not {request.agent_type!r}",
                field="agent_type",
                value=request.agent_type,
                hint="leave the type out: it is known of the agent",
            )
        return request.agent_type

    async def _store_artifact(self, request: StoreArtifact) -> ArtifactRecord:
        name = names.parse_name(request.name)
        media_type = names.parse_media_type(request.media_type, name)
        root = await self._reading.root_of(request.workflow_id)
        await self._refuse_more(request)
        placed = await self._contents.take(request.source, request.size)
        command = RecordArtifact(
            workflow_id=request.workflow_id,
            root_id=root.id,
            name=name,
            step=request.step,
            agent_type=request.agent_type,
            agent_id=request.agent_id,
            media_type=media_type,
            size=placed.size,
            sha256=placed.sha256,
            limit=self._artifacts_limit,
            at=rfc3339(self._clock()),
        )
        return await self._write(command, f"artifact {name!r} of {request.workflow_id}")

    async def _refuse_more(self, request: StoreArtifact) -> None:
        """Refuse, before any of it comes, what would be refused at its end."""
        source = request.source
        size = len(source) if isinstance(source, bytes) else request.size or 0
        total = await self._reading.total_size(request.workflow_id)
        if total + size > self._artifacts_limit:
            raise TooMuch(
                f"the artifacts of workflow {request.workflow_id} have {total} bytes, the limit"
                f" is {self._artifacts_limit}",
                field="size",
            )

    async def _write(self, command: Command[T], what: str) -> T:
        try:
            made = await write(self._coordination, command)
        except StoreLost:
            raise
        except DatabaseUnavailable as error:
            raise Overloaded(
                f"the stores did not answer in time; {what} may have been stored: look before"
                " you store it again"
            ) from error
        bus.ring(self._bus)
        return made

    async def _open(self, request: OpenArtifact) -> OpenedArtifact:
        record = await self._reading.artifact(request)
        return OpenedArtifact(record=record, content=await self._contents.open(record))

    async def _sweep_now_and_then(self) -> None:
        await trio.sleep(FIRST_S)
        while True:
            await self._sweep()
            await trio.sleep(PERIOD_S)

    async def _sweep(self) -> RemovedContents:
        """A failure leaves the rest for the next time."""
        swept = Swept()
        before = self._clock().timestamp() - GRACE_S
        try:
            swept = await self._blocking(_swept, self._directory, self._artifacts, before)
        except (StorageError, OSError, sqlite3.Error) as error:
            log.warning("contents not swept yet", why=str(error))
        if swept.files:
            log.info("contents swept", files=swept.files, bytes=swept.bytes)
        return RemovedContents(files=swept.files, bytes=swept.bytes)

    async def _blocking(self, function: Callable[..., Any], *given: Any) -> Any:
        """Run what blocks in a thread; in a simulation, which has none, here."""
        if self.system.inline:
            return function(*given)
        return await trio.to_thread.run_sync(function, *given)


def _swept(directory: Path, artifacts: Artifacts, before: float) -> Swept:
    return sweep(directory, artifacts, before=before)


def _recorded(request: StoreResult, at: str) -> RecordResult:
    """The command for a result. Everything that can refuse without asking does so here."""
    result_type = names.parse_result_type(request.result_type)
    step = result_type if request.step is None else names.parse_step(request.step)
    for field in ("agent_type", "agent_id"):
        if (given := getattr(request, field)) is not None:
            names.parse_word(field, given)
    if request.confidence_score is not None:
        check_score("confidence_score", request.confidence_score)
    data = _stored(request.data)
    return RecordResult(
        workflow_id=request.workflow_id,
        step=step,
        result_type=result_type,
        agent_type=request.agent_type,
        agent_id=request.agent_id,
        data=data,
        confidence_score=request.confidence_score,
        at=at,
        idempotency_key=request.idempotency_key,
        request_sha256=repeats.fingerprint(request),
    )


def _stored(data: Any) -> str:
    try:
        text = payload.encode(data)
    except PayloadError as error:
        raise ValidationError(f"result_data: {error}", field="result_data") from error
    size = len(text.encode())
    if size > RESULT_LIMIT_BYTES:
        raise ValidationError(
            f"the data are {size} bytes, the limit is {RESULT_LIMIT_BYTES}",
            field="result_data",
            code="result_too_large",
            hint="store it as an artifact, and name that in the result",
        )
    return text
