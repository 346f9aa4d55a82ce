"""docs/http.md names every route, field and error code."""

import ast
import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from actors.analytics import messages as analytics
from actors.auth.roles import GRANTS, Role
from actors.coordination import fields
from actors.coordination.assignment_messages import AssignmentRecord
from actors.coordination.messages import HistoryRecord, WorkflowTypeRecord
from actors.coordination.results.messages import (
    ArtifactRecord,
    ArtifactReference,
    ResultRecord,
    ResultTypeRecord,
)
from actors.coordination.transitions import TABLE
from actors.facts import LOG, LoggedFact
from actors.issues.import_messages import Imported
from actors.issues.publishing.sync_messages import IssueVersion, Synced
from actors.workflows.lint.reader import Finding
from actors.workflows.requests import WAITING_LIMIT
from api import (
    agent_models,
    auth_models,
    batch_models,
    gate_models,
    issue_models,
    models,
    result_models,
)
from api.app import create_app, create_metrics_app
from api.body import BODY_LIMIT_BYTES, DEPTH_LIMIT
from api.doors import Where
from api.keys import KEY_LIMIT
from api.logs import line_of
from api.operations import batches
from api.operations.openapi import path_of
from api.problem import problem
from api.routes import imports, sync
from api.streams.desk import SUBSCRIPTIONS
from api.streams.following import BUFFER, BUFFER_BYTES
from api.streams.following import PAGE as FRAME
from api.streams.hangup import GOING_AWAY, TRY_AGAIN_LATER
from api.streams.socket import HEARTBEAT_S
from supervision.dead_letters import REMEMBERED
from supervision.info import Kind, State
from tests.docs.pages import ROOT, first_names, headings, names, page, prose, rows, section

PAGE = "docs/http.md"
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "WS")
DECLARING = [*(ROOT / "api").rglob("*.py")]
DECLARING += [ROOT / "actors" / "errors.py", ROOT / "supervision" / "errors.py"]
DECLARING += [*(ROOT / "actors" / "coordination" / "results").glob("*.py")]
DECLARING += [ROOT / "actors" / "auth" / "errors.py"]
DECLARING += [
    ROOT / "actors" / "agents" / "registration.py",
    ROOT / "actors" / "coordination" / "registering.py",
]
DECLARING += [
    ROOT / "actors" / "issues" / name
    for name in ("verbs.py", "messages.py", "publishing/sync_messages.py")
]
DECLARING += [
    ROOT / "actors" / "coordination" / name
    for name in ("messages.py", "transitions.py", "updating.py")
]
DECLARING += [
    ROOT / "actors" / "workflows" / name
    for name in ("requests.py", "retries.py", "dispatcher.py", "outcome.py", "context.py")
]
DECLARING += [ROOT / "actors" / "coordination" / "handoff.py", ROOT / "actors/agents/moving.py"]

ISSUES = "/api/v1/issues"
ONE = f"{ISSUES}/{{id}}"

FIELDS: list[tuple[str, Any]] = [
    ("`POST /api/v1/workflows`", models.StartRequest),
    ("`GET /api/v1/workflows`", models.ListQuery),
    ("`POST /api/v1/workflows/batch`", [batch_models.StartsRequest, batches.StartOutcome]),
    (f"`POST {ISSUES}/batch`", [batch_models.ChangesRequest, batches.ChangeOutcome]),
    ("`PUT /api/v1/workflows/{id}`", models.UpdateRequest),
    ("`POST /api/v1/workflows/{id}/signal`", models.SignalRequest),
    ("`POST /api/v1/workflows/{id}/query`", models.QueryRequest),
    ("`POST /api/v1/workflows/{id}/handoff`", models.HandoffRequest),
    ("An assignment", AssignmentRecord),
    ("`POST /api/v1/workflows/{id}/pause`", models.ReasonRequest),
    ("`POST /api/v1/workflows/{id}/resume`", models.NoBody),
    ("`POST /api/v1/workflows/{id}/cancel`", models.ReasonRequest),
    ("`DELETE /api/v1/workflows/{id}`", models.ReasonQuery),
    ("`POST /api/v1/workflows/{id}/terminate`", models.ReasonRequest),
    ("`POST /api/v1/workflows/{id}/retry`", models.RetryRequest),
    ("`GET /api/v1/workflows/types`", WorkflowTypeRecord),
    ("A warning", Finding),
    ("`GET /api/v1/workflows/{id}/results`", result_models.ResultsQuery),
    ("`POST /api/v1/workflows/{id}/results`", result_models.ResultRequest),
    ("`GET /api/v1/workflows/{id}/artifacts`", result_models.ArtifactsQuery),
    ("`GET /api/v1/workflows/{id}/artifacts/{name}`", result_models.ArtifactQuery),
    ("`GET /api/v1/results/types`", ResultTypeRecord),
    ("A result", ResultRecord),
    ("An artifact", ArtifactRecord),
    ("A reference", ArtifactReference),
    ("The workflow", models.Workflow),
    ("`POST /api/v1/agents`", agent_models.RegisterRequest),
    ("`GET /api/v1/agents`", agent_models.AgentsQuery),
    ("`GET /api/v1/agents/types`", agent_models.AgentType),
    ("`DELETE /api/v1/agents/{id}`", agent_models.UnregisterQuery),
    ("`GET /api/v1/agents/{id}/config`", agent_models.Config),
    ("`PUT /api/v1/agents/{id}/config`", agent_models.ConfigRequest),
    ("`POST /api/v1/agents/{id}/drain`", models.ReasonRequest),
    ("`GET /api/v1/assignments`", models.AssignmentsQuery),
    ("`POST /api/v1/assignments`", models.AssignRequest),
    ("The agent", agent_models.Agent),
    (f"`POST {ISSUES}`", issue_models.NewIssueRequest),
    (f"`GET {ISSUES}`", issue_models.IssuesQuery),
    (f"`POST {ISSUES}/import`", [imports.ImportQuery, Imported]),
    (f"`GET {ISSUES}/stats`", issue_models.StatsView),
    (f"`GET {ONE}`", issue_models.ShownView),
    (f"`DELETE {ONE}`", issue_models.DeleteQuery),
    (f"`POST {ONE}/close`", issue_models.CloseRequest),
    (f"`POST {ONE}/reopen`", issue_models.ReopenRequest),
    (f"`POST {ONE}/defer`", issue_models.DeferRequest),
    (f"`POST {ONE}/restore`", issue_models.ActorRequest),
    (f"`POST {ONE}/comments`", issue_models.CommentRequest),
    (f"`POST {ONE}/labels`", issue_models.LabelsRequest),
    (f"`POST {ONE}/dependencies`", issue_models.DependencyRequest),
    (f"`DELETE {ONE}/dependencies/{{other}}`", issue_models.ActorQuery),
    (f"`GET {ONE}/tree`", issue_models.TreeQuery),
    (f"`POST {ONE}/claim`", issue_models.ClaimRequest),
    (f"`POST {ONE}/heartbeat`", issue_models.HeartbeatRequest),
    (f"`POST {ONE}/release`", issue_models.ReleaseRequest),
    (f"`GET {ONE}/history`", sync.PastQuery),
    ("A version", IssueVersion),
    (f"`POST {ISSUES}/sync`", sync.SyncRequest),
    ("What a sync did", Synced),
    ("An explained issue", issue_models.ExplainedView),
    ("A cause", issue_models.CauseView),
    ("A claim", issue_models.ClaimView),
    ("`GET /api/v1/gates`", gate_models.GatesQuery),
    ("`POST /api/v1/gates/{id}/approve`", gate_models.AnswerRequest),
    ("`POST /api/v1/gates/{id}/reject`", gate_models.AnswerRequest),
    ("A gate", gate_models.GateView),
    ("`POST /api/v1/auth/token`", auth_models.TokenRequest),
    ("Tokens", auth_models.Tokens),
    ("`POST /api/v1/auth/refresh`", auth_models.RefreshRequest),
    ("`POST /api/v1/auth/revoke`", auth_models.RevokeRequest),
    ("`GET /api/v1/auth/me`", auth_models.PrincipalView),
    ("`GET /api/v1/auth/why`", auth_models.WhyQuery),
    ("An explanation", auth_models.Why),
    ("`GET /api/v1/auth/keys`", auth_models.KeysQuery),
    ("A key", auth_models.KeyView),
    ("`POST /api/v1/auth/keys`", auth_models.KeyRequest),
    ("A signing key", auth_models.SigningKey),
    ("`POST /api/v1/auth/session`", auth_models.SessionRequest),
    ("`GET /api/v1/auth/session`", auth_models.SessionView),
    ("`GET /api/v1/audit`", auth_models.AuditQuery),
    ("An audit line", auth_models.AuditLine),
    ("`GET /api/v1/audit/verify`", auth_models.AuditVerdict),
    ("`GET /api/v1/analytics/performance`", analytics.Performance),
    ("`GET /api/v1/analytics/workflows`", analytics.WorkflowReport),
    ("`GET /api/v1/analytics/agents`", analytics.AgentReport),
    ("`GET /api/v1/analytics/trends`", analytics.Trends),
    ("Counts of workflows", analytics.Workflows),
    ("Counts of steps", analytics.Steps),
    ("An agent's counts", analytics.AgentGroup),
    ("`GET /api/v1/events`", models.EventsPageQuery),
    ("`WS /api/v1/events`", models.EventsQuery),
    ("`GET /api/v1/system`", Where),
    ("`GET /api/v1/system/circuits`", models.Circuit),
    ("An actor", models.Actor),
    ("Totals", models.ActorTotals),
    ("Dead letters", models.Letter),
]


def test_every_route_has_its_heading_and_no_other_has() -> None:
    titles = (title.strip("`") for title in headings(page(PAGE)))
    documented = [title for title in titles if title.startswith(METHODS)]
    served = {*_routes(create_app(_nothing())), *_routes(create_metrics_app(CollectorRegistry()))}
    assert sorted(documented) == sorted(served)


@pytest.mark.parametrize(("title", "model"), FIELDS, ids=[title for title, _ in FIELDS])
def test_the_fields_under_a_heading_are_those_of_its_model(title: str, model: Any) -> None:
    assert first_names(section(PAGE, title)) == _fields(model)


@pytest.mark.parametrize(
    ("title", "model", "beside"),
    [
        ("`GET /api/v1/agents/{id}/status`", agent_models.AgentStatus, agent_models.Agent),
        (f"`GET {ISSUES}/search`", issue_models.SearchQuery, issue_models.IssuesQuery),
        (f"`GET {ISSUES}/ready`", issue_models.ReadyQuery, issue_models.Filter),
        (f"`GET {ISSUES}/blocked`", issue_models.BlockedQuery, issue_models.Filter),
        (f"`POST {ISSUES}/ready/claim`", issue_models.ClaimReadyRequest, issue_models.Filter),
        (f"`PUT {ONE}`", issue_models.UpdateRequest, issue_models.Fields),
    ],
)
def test_a_heading_that_refers_to_another_s_fields_has_the_rest(
    title: str, model: Any, beside: Any
) -> None:
    rest = [name for name in _fields(model) if name not in _fields(beside)]
    assert first_names(section(PAGE, title)) == rest


def test_the_fields_that_an_issue_always_has_are_documented() -> None:
    assert first_names(section(PAGE, "The issue")) == list(issue_models.ALWAYS)


def test_the_fields_of_a_log_line_and_its_query_are_documented() -> None:
    fact = LoggedFact(
        seq=1,
        type=LOG,
        workflow_id=None,
        issue_id=None,
        at="",
        data={"level": "info", "message": ""},
    )
    documented = first_names(section(PAGE, "`GET /api/v1/workflows/{id}/logs`"))
    assert documented == [*_fields(models.LogsQuery), *line_of(fact)]


def test_the_fields_of_the_history_and_its_query_are_documented() -> None:
    documented = first_names(section(PAGE, "`GET /api/v1/workflows/{id}/history`"))
    assert documented == [*_fields(models.HistoryQuery), *_fields(HistoryRecord)]


def test_the_query_kinds_and_states_of_actors_are_documented() -> None:
    text = section(PAGE, "`GET /api/v1/actors`")
    assert first_names(text.partition("\n#### ")[0]) == _fields(models.ActorsQuery)
    table = {names(row[0])[0]: names(row[1]) for row in rows(section(PAGE, "An actor"))}
    assert sorted(table["kind"]) == sorted(typing.get_args(Kind))
    assert sorted(table["state"]) == sorted(typing.get_args(State))


def test_the_table_of_roles_is_that_of_the_code() -> None:
    text = section(PAGE, "Who asks").partition("\n### ")[0]
    table = {names(row[0])[0]: set(names(row[1])) for row in rows(text)}
    assert table.pop("admin") == set()
    assert table == {role: set(GRANTS[role]) for role in Role if role is not Role.ADMIN}


def test_the_states_are_those_of_the_code() -> None:
    table = section(PAGE, "States").partition("The code of a failure")[0]
    assert sorted(first_names(table)) == sorted(typing.get_args(models.Status))


def test_the_states_that_may_be_asked_for_are_those_of_the_code() -> None:
    lines = section(PAGE, "`PUT /api/v1/workflows/{id}`").splitlines()
    found = [names(line) for line in lines if line.startswith("- `")]
    table = {present: tuple(asked) for present, asked in TABLE.items() if asked}
    assert {present: tuple(asked) for present, *asked in found} == table


def test_the_codes_of_failures_are_in_the_code() -> None:
    codes = first_names(section(PAGE, "States").partition("The code of a failure")[2])
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "actors").rglob("*.py"))
    assert [code for code in codes if f'"{code}"' not in sources] == []


async def test_the_fields_of_a_problem_are_documented() -> None:
    answer = problem(status=422, code="c", detail="d", request_id="r", errors=[{"pointer": "/x"}])
    body: dict[str, Any] = await answer.get_json(force=True)
    assert first_names(section(PAGE, "Errors").partition("\n### ")[0]) == list(body)


def test_every_declared_error_code_is_documented_and_no_other() -> None:
    codes = [code for path in DECLARING for code in _codes(path)]
    assert sorted(first_names(section(PAGE, "Codes"))) == sorted(set(codes))


def test_the_statuses_of_refusals_are_those_of_their_classes() -> None:
    documented = {
        names(row[0])[0]: row[1] for row in rows(section(PAGE, "Codes")) if row[1].isdigit()
    }
    declared = {code: str(status) for path in DECLARING for code, status in _statuses(path)}
    wrong = {c: s for c, s in documented.items() if c in declared and declared[c] != s}
    assert wrong == {}


def test_the_page_states_the_limits_of_the_code() -> None:
    text = " ".join(prose(page(PAGE)).split())
    assert f"at most {BODY_LIMIT_BYTES // 1024**2} MiB and {DEPTH_LIMIT} levels deep" in text
    assert f"1 to {KEY_LIMIT} printable characters" in text
    assert f"1 to {fields.NAME_CHARACTERS} characters" in text
    assert f"1 to {fields.MESSAGE_ID_CHARACTERS} printable characters" in text
    assert text.count(f"up to {fields.REASON_CHARACTERS} characters") == 5
    assert f"any JSON, up to {fields.VALUE_LIMIT_BYTES // 1024} KiB" in text
    assert text.count(f"{WAITING_LIMIT:,}") == 2
    assert text.count(f"1 to {issue_models.TTL_LIMIT_S:,.0f}") == 2
    assert f"who asks, 1 to {issue_models.ACTOR_LIMIT} characters" in text
    assert text.count(f"nothing else for {HEARTBEAT_S:g} seconds") == 2
    assert f"up to {SUBSCRIPTIONS} subscriptions" in text
    assert f"at most {FRAME} [events]" in text
    assert f"at most {BUFFER} batches and {BUFFER_BYTES // 1024**2} MiB wait" in text
    assert f"the last {REMEMBERED} of them" in text
    assert text.count(f"at most {models.REASON_LIMIT} characters, in one line") == 2
    assert f"closed with {TRY_AGAIN_LATER}, and with {GOING_AWAY}" in text


def _nothing() -> Any:
    """The doors of an app that nobody asks anything."""
    return None


def _routes(app: Any) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        path = re.sub(r"{\w+_id}", "{id}", path_of(rule.rule))
        if rule.websocket:
            yield f"WS {path}"
        else:
            yield from (f"{method} {path}" for method in rule.methods - {"HEAD", "OPTIONS"})


def _fields(model: Any) -> list[str]:
    if isinstance(model, list):
        return [name for each in model for name in _fields(each)]
    if issubclass(model, BaseModel):
        return list(model.model_fields)
    return [field.name for field in dataclasses.fields(model)]


def _codes(path: Path) -> Iterator[str]:
    """Every `code = "…"`, `code="…"` and (code, hint) that a module declares."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                yield code
            case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(code))):
                yield code
            case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                yield code
            case ast.Tuple(elts=[ast.Constant(value=str(code)), ast.Constant(value=str(hint))]):
                if code.isidentifier() and " " in hint:
                    yield code


def _statuses(path: Path) -> Iterator[tuple[str, int]]:
    """The code and status of every class that declares both."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            declared = dict(_declarations(node))
            if {"code", "status"} <= declared.keys():
                yield declared["code"], declared["status"]


def _declarations(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value)):
                yield name, value
