"""POST /api/v1/reconcile, on a whole running system."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.api.asgi import Answer
from tests.api.problems import refused
from tests.api.site import SharedSite, site

ADDRESS = "/api/v1/reconcile"
JSON = ("Content-Type", "application/json")


def post(shared: SharedSite, **body: Any) -> Answer:
    return shared.call("POST", ADDRESS, headers=[JSON], body=[json.dumps(body).encode()])


@pytest.mark.parametrize("body", [{"repair": 1}, {"complete": "no"}, {"force": True}])
def test_a_body_that_is_none_is_refused(shared: SharedSite, body: dict[str, Any]) -> None:
    refused(post(shared, **body), 422, "validation_error")


async def test_what_disagrees_is_told_and_then_repaired(repo: Path) -> None:
    async with site(repo) as at:
        workflow_id = await at.done("failing")
        writer = at.running.stores.coordination.path
        spoil(writer, workflow_id)
        headers = {"headers": [JSON]}
        told = await at.call("POST", ADDRESS, body=[b'{"repair": false}'], **headers)
        assert [one["done"] for one in told.json()["data"]] == ["reported"]
        done = (await at.call("POST", ADDRESS, body=[b"{}"], **headers)).json()
        (one,) = done["data"]
        assert (one["code"], one["workflow_id"]) == ("status_behind", workflow_id)
        assert (done["repaired"], done["reported"], done["complete"]) == (1, 0, True)
        again = await at.call("POST", ADDRESS, body=[b"{}"], **headers)
        assert again.json()["data"] == []


def spoil(path: Path, workflow_id: str) -> None:
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE workflow_mappings SET status = 'paused' WHERE tempolite_workflow_id = ?",
            (workflow_id,),
        )
