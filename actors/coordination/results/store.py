"""How results and artifacts are written. Run by the coordination database's writer.

A row and its fact are one transaction. A command that comes twice finds what it wrote: by its
values and its time, which whoever asked has chosen once, or by its key.
"""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from actors import facts
from actors.coordination import repeats
from actors.coordination.results.errors import TooMuch
from actors.coordination.results.messages import (
    ArtifactRecord,
    RecordArtifact,
    RecordResult,
    ResultRecord,
)
from actors.coordination.store import log_own
from actors.errors import NotFound
from actors.facts import Fact, Result
from actors.writer import Handler
from storage import payload
from storage.coordination import queries, results


def record_result(connection: sqlite3.Connection, command: RecordResult) -> ResultRecord:
    known = _known_result(connection, command)
    if known is not None:
        return result_record(known)
    if queries.mapping(connection, command.workflow_id) is None:
        raise NotFound(f"there is no workflow {command.workflow_id!r} that results are kept of")
    fact = Fact(
        type=facts.RESULT_STORED,
        workflow_id=command.workflow_id,
        at=command.at,
        data={
            "result_type": command.result_type,
            "step": command.step,
            "version": 1 + results.count_results(connection, command.workflow_id, command.step),
            "agent_type": command.agent_type,
            "agent_id": command.agent_id,
            "confidence_score": command.confidence_score,
        },
        result=Result(
            step=command.step,
            result_type=command.result_type,
            agent_type=command.agent_type,
            agent_id=command.agent_id,
            value=command.data,
            confidence_score=command.confidence_score,
        ),
    )
    log_own(connection, [fact])
    made = results.last_result(connection, command.workflow_id, command.step)
    if command.idempotency_key is not None:
        repeats.remember(
            connection,
            command.idempotency_key,
            command.request_sha256,
            answer={"result": made["id"]},
            at=command.at,
        )
    return result_record(made)


def _known_result(connection: sqlite3.Connection, command: RecordResult) -> sqlite3.Row | None:
    if command.idempotency_key is None:
        values = {
            "workflow_id": command.workflow_id,
            "step": command.step,
            "at": command.at,
            "result_type": command.result_type,
            "data": command.data,
        }
        return results.same_result(connection, values)
    answer = repeats.known(connection, command.idempotency_key, command.request_sha256)
    if answer is None:
        return None
    ids = json.dumps([answer["result"]])
    row: sqlite3.Row | None = connection.execute(results.BY_IDS, {"ids": ids}).fetchone()
    if row is None:
        raise NotFound("the result that this key stands for was archived")
    return row


def record_artifact(connection: sqlite3.Connection, command: RecordArtifact) -> ArtifactRecord:
    values: dict[str, Any] = {
        "workflow_id": command.workflow_id,
        "name": command.name,
        "step": command.step,
        "agent_type": command.agent_type,
        "agent_id": command.agent_id,
        "media_type": command.media_type,
        "size": command.size,
        "sha256": command.sha256,
        "at": command.at,
    }
    known = results.same_artifact(connection, values)
    if known is not None:
        return artifact_record(known)
    if queries.mapping(connection, command.root_id) is None:
        raise NotFound(f"there is no workflow {command.root_id!r} any more")
    newest = results.newest_artifact(connection, command.workflow_id, command.name)
    if newest is not None and _is_same(newest, command):
        return artifact_record(newest)
    total = results.total_size(connection, command.workflow_id) + command.size
    if total > command.limit:
        raise TooMuch(
            f"the artifacts of workflow {command.workflow_id} would have {total} bytes, the limit"
            f" is {command.limit}",
            field="size",
        )
    values["version"] = 1 if newest is None else newest["version"] + 1
    results.insert_artifact(connection, values)
    log_own(connection, [_stored(command, values["version"])])
    made = results.newest_artifact(connection, command.workflow_id, command.name)
    if made is None:
        raise RuntimeError("the row that was just written is not there")
    return artifact_record(made)


def _is_same(newest: sqlite3.Row, command: RecordArtifact) -> bool:
    """Whether the same was stored by the same: another step's is a version of its own."""
    return (newest["sha256"], newest["step"]) == (command.sha256, command.step)


def _stored(command: RecordArtifact, version: int) -> Fact:
    return Fact(
        type=facts.ARTIFACT_STORED,
        workflow_id=command.workflow_id,
        at=command.at,
        data={
            "name": command.name,
            "version": version,
            "sha256": command.sha256,
            "size": command.size,
            "media_type": command.media_type,
            "step": command.step,
            "agent_type": command.agent_type,
            "agent_id": command.agent_id,
        },
    )


def result_record(row: sqlite3.Row) -> ResultRecord:
    """A result without its artifacts."""
    return ResultRecord(**{**dict(row), "result_data": payload.decode(row["result_data"])})


def artifact_record(row: sqlite3.Row) -> ArtifactRecord:
    return ArtifactRecord(**dict(row))


HANDLERS: Mapping[type, Handler] = {
    RecordResult: record_result,
    RecordArtifact: record_artifact,
}
