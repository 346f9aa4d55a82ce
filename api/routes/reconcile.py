"""/api/v1/reconcile: compare all stores, and repair what can be."""

from dataclasses import asdict
from typing import Any

from pydantic import Field
from quart import Blueprint, request

from actors.coordination.reconciling.messages import Reconcile
from api.body import read_model, read_query
from api.doors import Doors
from api.models import NoQuery, Strict
from supervision import ask

DEADLINE_S = 600.0


class ReconcileRequest(Strict):
    """Body of POST /api/v1/reconcile."""

    repair: bool = Field(default=True, strict=True)
    complete: bool = Field(default=True, strict=True)


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("reconcile", __name__, url_prefix="/api/v1/reconcile")

    @blueprint.post("")
    async def reconcile() -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, ReconcileRequest)
        message = Reconcile(repair=body.repair, complete=body.complete)
        report = await ask(doors.reconciler, message, deadline_s=DEADLINE_S)
        return {
            "data": [asdict(one) for one in report.found],
            "looked_at": report.looked_at,
            "complete": report.complete,
            "repaired": report.repaired,
            "reported": report.reported,
        }

    return blueprint
