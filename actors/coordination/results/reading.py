"""Finding results and artifacts, from read-only connections."""

import json
import math
import sqlite3
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import Any

from actors.clock import rfc3339
from actors.coordination.messages import WorkflowRecord
from actors.coordination.reading import get_workflow
from actors.coordination.results.messages import (
    ArtifactPage,
    ArtifactRecord,
    ArtifactReference,
    GetArtifact,
    ListArtifacts,
    ListResults,
    OpenArtifact,
    ResultPage,
    ResultRecord,
)
from actors.coordination.results.names import parse_name
from actors.coordination.results.pages import check_limit, cursor, cut, parse_cursor
from actors.coordination.results.store import artifact_record, result_record
from actors.coordination.rows import fetch
from actors.errors import NotFound, ValidationError
from storage.coordination import results as queries
from storage.pool import ReadPool

ARTIFACTS_SHOWN = 20
"""Beside each result; the list of artifacts has all of them."""

_ROWS = range(1, 2**63)


class Reading:
    """Answers questions. Raises `Refused` as the messages say, and `Overloaded`.

    Args:
        pool: of the coordination database.
        histories: of the engine's, which knows the children.
    """

    def __init__(self, pool: ReadPool, histories: ReadPool) -> None:
        self._pool = pool
        self._histories = histories

    async def root_of(self, workflow_id: str) -> WorkflowRecord:
        """The workflow above all of a workflow or a child: the one that has a mapping."""
        found = await get_workflow(self._pool, self._histories, workflow_id)
        while found.parent_id is not None:
            found = await get_workflow(self._pool, self._histories, found.parent_id)
        return found

    async def results(self, request: ListResults) -> ResultPage:
        check_limit(request.limit)
        sql, params = _question(request)
        if request.workflow_id is not None:
            await get_workflow(self._pool, self._histories, request.workflow_id)
        sizes = await fetch(self._pool, "result_sizes", sql, params)
        page = cut(sizes, request.limit)
        rows = await fetch(self._pool, "results", queries.BY_IDS, {"ids": queries.ids(page)})
        last = page[-1] if len(page) < len(sizes) else None
        return ResultPage(
            records=await self._with_artifacts([result_record(row) for row in rows]),
            next_cursor=None if last is None else _place(request, last),
        )

    async def _with_artifacts(self, found: list[ResultRecord]) -> tuple[ResultRecord, ...]:
        ids = json.dumps(sorted({record.workflow_id for record in found}))
        stored: defaultdict[tuple[str, str | None], deque[ArtifactReference]]
        stored = defaultdict(partial(deque, maxlen=ARTIFACTS_SHOWN))
        rows = await fetch(
            self._pool, "result_artifacts", queries.ARTIFACTS_OF_STEPS, {"workflow_ids": ids}
        )
        for record in sorted(map(artifact_record, rows), key=attrgetter("id")):
            stored[record.workflow_id, record.step].append(record.reference)
        return tuple(
            replace(record, artifacts=tuple(stored.get((record.workflow_id, record.step), ())))
            for record in found
        )

    async def artifacts(self, request: ListArtifacts) -> ArtifactPage:
        check_limit(request.limit)
        after: tuple[Any, ...] = (queries.FIRST, 0)
        if request.cursor is not None:
            after = parse_cursor(request.cursor, str, int)
        await get_workflow(self._pool, self._histories, request.workflow_id)
        params = {
            "workflow_id": request.workflow_id,
            "step": request.step,
            "latest": request.latest,
            "after_name": after[0],
            "after_version": after[1],
            "limit": request.limit + 1,
        }
        rows = await fetch(self._pool, "artifacts", queries.ARTIFACTS, params)
        records = tuple(map(artifact_record, rows[: request.limit]))
        more = len(rows) > request.limit
        return ArtifactPage(
            records=records,
            next_cursor=cursor(records[-1].name, records[-1].version) if more else None,
        )

    async def artifact(self, request: GetArtifact | OpenArtifact) -> ArtifactRecord:
        name = parse_name(request.name)
        _check_version(request.version)
        await get_workflow(self._pool, self._histories, request.workflow_id)
        params = {
            "workflow_id": request.workflow_id,
            "name": name,
            "version": request.version,
        }
        rows = await fetch(self._pool, "artifact", queries.ARTIFACT, params)
        if not rows:
            which = "" if request.version is None else f" version {request.version} of"
            raise NotFound(f"workflow {request.workflow_id} has no{which} artifact {name!r}")
        return artifact_record(rows[0])

    async def types_of_agent(self, workflow_id: str, agent_id: str) -> list[str]:
        """The type that an agent was registered with, and those it has had this workflow as."""
        params = {"workflow_id": workflow_id, "agent_id": agent_id}
        rows = await fetch(self._pool, "agent_types", queries.TYPES_OF_AGENT, params)
        return [row["agent_type"] for row in rows]

    async def total_size(self, workflow_id: str) -> int:
        rows = await fetch(self._pool, "artifacts_size", queries.TOTAL, (workflow_id,))
        return int(rows[0]["total"])


def _question(request: ListResults) -> tuple[str, dict[str, Any]]:
    """The statement whose index fits, and its parameters."""
    _check_version(request.version)
    score = request.min_confidence
    if score is not None:
        check_score("min_confidence", score)
    params: dict[str, Any] = {
        "step": request.step,
        "result_type": request.result_type,
        "agent_id": request.agent_id,
        "agent_type": request.agent_type,
        "confidence": score,
        "version": request.version,
        "latest": request.latest,
        "limit": request.limit + 1,
        "since": _moment("since", request.since),
        "until": _moment("until", request.until),
    }
    if request.workflow_id is not None:
        (after,) = (0,) if request.cursor is None else parse_cursor(request.cursor, int)
        params |= {"workflow_id": request.workflow_id, "after_id": after}
        return (queries.OF_WORKFLOW if request.step is None else queries.OF_STEP), params
    before: tuple[Any, ...] = (params["until"] or "~", 0)
    if request.cursor is not None:
        before = parse_cursor(request.cursor, str, int)
    params |= {"before_at": before[0], "before_id": before[1]}
    params["since"] = params["since"] or queries.FIRST
    return _across(request), params


def _across(request: ListResults) -> str:
    """Of what is asked for, what usually leaves the fewest."""
    choices: Iterable[tuple[str | None, str]] = (
        (request.agent_id, queries.OF_AGENT),
        (request.result_type, queries.OF_TYPE),
        (request.agent_type, queries.OF_AGENT_TYPE),
    )
    return next((sql for asked, sql in choices if asked is not None), queries.NEWEST)


def _place(request: ListResults, last: sqlite3.Row) -> str:
    if request.workflow_id is not None:
        return cursor(last["id"])
    return cursor(last["created_at"], last["id"])


def _check_version(version: int | None) -> None:
    if version is not None and version not in _ROWS:
        raise ValidationError(f"a version is 1 or more, not {version}", field="version")


def check_score(field: str, score: float) -> None:
    """Raises `ValidationError` unless it is 0.0 to 1.0; what is no number is neither."""
    if math.isnan(score) or not 0.0 <= score <= 1.0:
        raise ValidationError(f"{field} is 0.0 to 1.0, not {score}", field=field, value=score)


def _moment(field: str, given: str | None) -> str | None:
    """A time as it is stored."""
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
        if found.tzinfo is None:
            raise ValueError("it says no offset from UTC")
        return rfc3339(found.astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise ValidationError(
            f"{field} is a time like 2026-01-02T03:04:05Z: {error}", field=field, value=given
        ) from error
