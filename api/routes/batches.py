"""/api/v1/workflows/batch and /api/v1/issues/batch: many things in one request.

A request that is not well-formed is refused as a whole. Else each part is done, or refused, by
itself, and has its own answer; what was done is durable. With an Idempotency-Key each part has one,
too, so that a request that was cut off between two parts goes on with the next.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import trio
from quart import Blueprint, g, request

from actors.coordination.messages import StartWorkflow
from actors.errors import Conflict, Forbidden
from actors.issues.messages import Issue
from actors.issues.verbs import AddDependency, Claim, NewIssue, RemoveDependency
from api import noting, problem
from api.batch_models import ChangesRequest, StartsRequest, Verb
from api.body import read_model, read_query
from api.consequences import allowed
from api.doors import Doors
from api.issue_models import issue_of
from api.keys import idempotency_key
from api.models import NoQuery, StartRequest, Workflow
from api.pointers import sent_as
from api.routes.issues import WRITE_DEADLINE_S
from api.routes.workflows import START_DEADLINE_S
from supervision import ActorDeadError, ActorRestarting, Ask, AskTimeout, Refused, ask

REFUSED: Final = (Refused, ActorDeadError, ActorRestarting, AskTimeout)
REFERENCE: Final = re.compile(r"\$(0|[1-9][0-9]?)")
"""Instead of an id: the issue of an earlier part."""


class NoSuchPart(Conflict):
    """A part of a batch names one before it that gave no issue."""

    code = "no_such_part"
    hint = "$0 is the issue of the first part, if that was not refused"


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("batches", __name__, url_prefix="/api/v1")

    @blueprint.post("/workflows/batch")
    async def start() -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, StartsRequest)
        key = idempotency_key(request)
        found: list[dict[str, Any]] = [{} for _ in body.workflows]

        async def begin(index: int, wanted: StartRequest) -> None:
            found[index] = {"index": index, **await _started(doors, wanted, _of(key, index))}

        async with trio.open_nursery() as nursery:  # they share the commits of the stores
            for index, wanted in enumerate(body.workflows):
                nursery.start_soon(begin, index, wanted)
        return _counted(found)

    @blueprint.post("/issues/batch")
    async def change() -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, ChangesRequest)
        key = idempotency_key(request)
        found: list[dict[str, Any]] = []
        for index, wanted in enumerate(body.changes):
            verb = wanted.verb(body.actor, _of(key, index) or "")
            done = await _changed(doors, verb, [each["id"] for each in found])
            found.append({"index": index, "op": wanted.op, **done})
            if body.stop and done["problem"] is not None:
                break
        return _counted(found) | {"skipped": len(body.changes) - len(found)}

    return blueprint


def _of(key: str | None, index: int) -> str | None:
    return None if key is None else hashlib.sha256(f"{key}\0{index}".encode()).hexdigest()


def _counted(found: list[dict[str, Any]]) -> dict[str, Any]:
    refused = sum(each["problem"] is not None for each in found)
    return {"data": found, "done": len(found) - refused, "refused": refused}


async def _started(doors: Doors, wanted: StartRequest, key: str | None) -> dict[str, Any]:
    message = StartWorkflow(
        title=wanted.issue_title,
        workflow_type=wanted.workflow_type,
        agent_type=wanted.agent_type,
        priority=wanted.priority,
        variables=wanted.variables,
        idempotency_key=key,
        workflow_id=wanted.workflow_id,
    )
    try:
        record = await ask(doors.manager, message, deadline_s=START_DEADLINE_S)
    except REFUSED as error:
        told = _told(error)
        return {"status": told["status"], "workflow": None, "problem": told}
    workflow = Workflow.shown(record)
    return {"status": 201, "workflow": workflow, "problem": None}


async def _changed(doors: Doors, verb: Verb, before: list[str | None]) -> dict[str, Any]:
    nothing: dict[str, Any] = {"id": None, "issue": None, "claim": None, "deleted": []}
    nothing["problem"] = None
    try:
        named = _resolved(verb, before)
        whole: Ask[Any] = named
        with sent_as(issue_id="id", depends_on_id="depends_on"):
            async with allowed(doors, named):
                found = await ask(doors.tracker, whole, deadline_s=WRITE_DEADLINE_S)
    except REFUSED as error:
        if isinstance(error, Forbidden):
            noting.refusal(doors.auth, error)
        told = _told(error)
        return {"status": told["status"], **nothing, "problem": told}
    status = 201 if isinstance(verb, NewIssue) else 200
    return {"status": status, **nothing, **_shown(found)}


def _shown(found: Issue | Claim | tuple[Issue, ...]) -> dict[str, Any]:
    match found:
        case Claim(issue=issue):
            lease = {"holder": found.holder, "token": found.token, "expires_at": found.expires_at}
            return {"id": issue.id, "issue": issue_of(issue), "claim": lease}
        case Issue():
            return {"id": found.id, "issue": issue_of(found)}
        case _:
            ids = [each.id for each in found]
            return {"id": ids[0], "issue": issue_of(found[0]), "deleted": ids}


def _resolved(verb: Verb, before: list[str | None]) -> Verb:
    """The same with ids in place of what names earlier parts."""

    def whole(text: str) -> str:
        return _named(text, before)

    if isinstance(verb, NewIssue):
        return _new(verb, whole)
    if isinstance(verb, AddDependency | RemoveDependency):
        verb = replace(verb, depends_on_id=whole(verb.depends_on_id))
    return replace(verb, issue_id=whole(verb.issue_id))


def _new(verb: NewIssue, whole: Callable[[str], str]) -> NewIssue:
    edges = tuple((kind, whole(target)) for kind, target in verb.depends_on)
    parent = None if verb.parent is None else whole(verb.parent)
    return replace(verb, depends_on=edges, parent=parent)


def _named(text: str, before: list[str | None]) -> str:
    found = REFERENCE.fullmatch(text)
    if found is None:
        return text
    number = int(found[1])
    there = before[number] if number < len(before) else None
    if there is None:
        raise NoSuchPart(f"{text} names no issue: part {number} gave none before this one")
    return there


def _told(error: Any) -> dict[str, Any]:
    return problem.of_part(error, str(g.request_id))
