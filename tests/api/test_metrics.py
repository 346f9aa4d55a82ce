"""/metrics: the names that dashboards rely on."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_metrics_app
from tests.api.asgi import call, stream
from tests.api.problems import refused
from tests.api.site import site

NAMES = {
    "workflow_system_workflows_started",
    "workflow_system_workflows_completed",
    "workflow_system_workflow_duration_seconds",
    "workflow_system_agent_workload",
    "workflow_system_agent_task_duration_seconds",
    "workflow_system_database_connections",
    "workflow_system_database_query_duration_seconds",
}


async def test_a_workflow_that_ran_with_an_agent_shows_under_the_seven_names(repo: Path) -> None:
    async with site(repo) as there:
        await there.done("greeting", variables={"name": "Ada"})
        meters = there.running.world.meters
        meters.database_connections.labels("tempolite").set(3)
        answer = await call(create_metrics_app(meters.registry), "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {f.name: f for f in text_string_to_metric_families(answer.body.decode())}
    assert set(families) >= NAMES
    labels = {name: {frozenset(s.labels) for s in families[name].samples} for name in NAMES}
    assert frozenset({"type"}) in labels["workflow_system_workflows_started"]
    assert frozenset({"type", "status"}) in labels["workflow_system_workflows_completed"]
    assert frozenset({"agent_id", "agent_type"}) in labels["workflow_system_agent_workload"]
    assert {
        s.labels["task"] for s in families["workflow_system_agent_task_duration_seconds"].samples
    } == {"greet"}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("\xff", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("text/html", "text/plain"),
    ],
)
async def test_the_format_is_the_one_that_was_asked_for(accept: str, content_type: str) -> None:
    app = create_metrics_app(CollectorRegistry())
    answer = await call(app, "GET", "/metrics", headers=[("Accept", accept)])
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(content_type)


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/metrics/", 404, "not_found"),
        ("GET", "/api/v1/workflows", 404, "not_found"),
        ("POST", "/metrics", 405, "method_not_allowed"),
    ],
)
async def test_there_is_nothing_else(method: str, target: str, status: int, code: str) -> None:
    refused(await call(create_metrics_app(CollectorRegistry()), method, target), status, code)


async def test_a_page_from_elsewhere_does_not_read_them() -> None:
    app = create_metrics_app(CollectorRegistry())
    refused(await call(app, "GET", "/metrics", host="example.org"), 403, "foreign_host")


async def test_there_is_no_stream() -> None:
    async with stream(create_metrics_app(CollectorRegistry()), "/metrics") as client:
        assert client.refusal is not None
        refused(client.refusal, 400, "websocket_mismatch")
