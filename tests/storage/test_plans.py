"""How SQLite answers every statement of the three databases: none reads a table it need not.

Every function of a `queries` module is called, and what it executes is explained; every constant of
such a module that is a statement is explained too. A new one has to be added here.
"""

import inspect
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from storage.coordination import listing
from storage.coordination.queries import Progress
from storage.database import open_writer
from storage.issues.bulk import Edit
from storage.issues.leases import Lease
from storage.migrate import migrate

ROOMS = ("coordination", "workflows", "issues")
MODULES = (
    "queries",
    "agents",
    "assignments",
    "bulk",
    "leases",
    "reading",
    "repeats",
    "results",
    "updates",
    "divergences",
    "provenance",
    "listing",
    "results",
    "waiting",
    "auth",
    "audit",
)
"""Where a room keeps its statements."""
MAPPING = {
    "issue_id": "x-1",
    "workflow_id": "w-1",
    "workflow_type": "t",
    "version": 1,
    "title": "T",
    "status": "active",
    "priority": 2,
    "agent_type": None,
    "variables": "",
    "at": "t",
    "idempotency_key": None,
    "request_sha256": "",
}
ASSIGNMENT = {
    "workflow_id": "w",
    "agent_type": "a",
    "agent_id": None,
    "step_number": 1,
    "status": "queued",
    "priority": 2,
    "handoff_from": None,
    "assigned_by": "beadflow",
    "reason": "",
    "created_at": "t",
    "assigned_at": None,
}
RESULT = {"workflow_id": "w", "step": "1", "at": "t", "result_type": "r", "data": "{}"}
ARTIFACT = {
    "workflow_id": "w",
    "name": "n",
    "version": 1,
    "step": None,
    "agent_type": None,
    "agent_id": None,
    "media_type": "text/plain",
    "size": 1,
    "sha256": "s",
    "at": "t",
}
INSTANCE = {
    "workflow_id": "w",
    "name": "n",
    "version": 1,
    "status": "running",
    "input": "",
    "at": "t",
}
TASK = {"workflow_id": "w", "op": "1", "fence": 0, "at": "t"}
AGENT = {
    "agent_id": "a-1",
    "agent_type": "a",
    "origin": "request",
    "status": "active",
    "config": "{}",
    "max_workload": None,
    "at": "t",
}
API_KEY = {
    "id": "k",
    "name": "",
    "user_id": "u",
    "roles": "[]",
    "scopes": None,
    "secret_sha256": "s",
    "at": "t",
    "by": "b",
    "expires_at": None,
}
FAMILY = {
    "family_id": "f",
    "key_id": "k",
    "user_id": "u",
    "scopes": None,
    "token_s": 900,
    "at": "t",
    "expires_at": "t",
}
TOKEN = {"sha256": "s", "family_id": "f", "jti": "j", "at": "t", "expires_at": "t"}
LINE = {
    "seq": 1,
    "id": "l",
    "at": "t",
    "actor": "a",
    "action": "a",
    "target": "",
    "outcome": "done",
    "address": "",
    "detail": "{}",
    "previous": "",
    "hash": "h",
}
LEASE = Lease(
    issue_id="x-1",
    holder="h",
    home="home",
    token=1,
    request="r",
    claimed_at="2026-01-01T00:00:00.000000Z",
    expires_at="2026-01-01T00:00:00.000000Z",
)

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]

EDIT = Edit(row={"id": "x-1", "title": "T"}, line="{}", detail={}, base=None, at="t")

CALLS: dict[str, Arguments] = {
    "coordination.meta": (("home",), {}),
    "coordination.set_meta": (("home", "h"), {}),
    "coordination.mapping": (("w",), {}),
    "coordination.mapping_of_key": (("k",), {}),
    "coordination.insert_mapping": ((MAPPING,), {}),
    "coordination.insert_intent": (
        (),
        {"intent_id": "w", "workflow_id": "w", "kind": "start", "payload": "{}", "at": "t"},
    ),
    "coordination.delete_intent": (("w",), {}),
    "coordination.insert_assignment": (
        (),
        {"workflow_id": "w", "agent_type": "a", "agent_id": None, "priority": 2, "at": "t"},
    ),
    "coordination.assign": (("w", "a", "t"), {}),
    "coordination.queue_again": (("w", "t"), {}),
    "coordination.complete_assignments": (({"w": "t"},), {}),
    "coordination.note_progress": (({"w": Progress("active")},), {}),
    "coordination.insert_results": (([("w", "1", "step", None, None, "{}", None, "t")],), {}),
    "coordination.cursor": (("beads",), {}),
    "coordination.set_cursor": (("beads", 1), {}),
    "coordination.insert_events": (([(1, "step", "w", None, "t", "{}")],), {}),
    "coordination.last_event": ((), {}),
    "coordination.workflow_ids": ((), {}),
    "coordination.told_of": ((["w"],), {}),
    "coordination.assignments.open_of": (("w",), {}),
    "coordination.assignments.held_by": (("a-1",), {}),
    "coordination.assignments.last_of": (("w",), {}),
    "coordination.assignments.close": ((1,), {"status": "completed", "at": "t"}),
    "coordination.assignments.insert": ((ASSIGNMENT,), {}),
    "coordination.assignments.waiting": (("a", 1), {}),
    "coordination.leases.renew": (([("a-1", "a", "t")],), {"expires_at": "t"}),
    "coordination.leases.find": (("a-1",), {}),
    "coordination.leases.lose": (("a-1",), {"agent_type": "a", "reason": "r", "at": "t"}),
    "coordination.leases.recover": (("a-1",), {}),
    "coordination.issues_of": ((["w"],), {}),
    "coordination.workflows_of": ((["x-1"],), {}),
    "coordination.auth.key": (("k",), {}),
    "coordination.auth.insert_key": ((API_KEY,), {}),
    "coordination.auth.revoke_key": (("k",), {"by": "b", "at": "t"}),
    "coordination.auth.note_uses": (([("k", "t")],), {}),
    "coordination.auth.token": (("s",), {}),
    "coordination.auth.family_of": (("j",), {}),
    "coordination.auth.insert_family": ((FAMILY,), {}),
    "coordination.auth.insert_token": ((TOKEN,), {}),
    "coordination.auth.replace_token": (
        ("s",),
        {"successor": "s2", "family_id": "f", "at": "t", "end": "t"},
    ),
    "coordination.auth.revoke_family": (("f",), {"by": "b", "reason": "r", "at": "t"}),
    "coordination.auth.revoke_families": (("u",), {"by": "b", "reason": "r", "at": "t"}),
    "coordination.auth.forget": (("t", 10), {}),
    "coordination.audit.head": ((), {}),
    "coordination.audit.seq_of": (("l",), {}),
    "coordination.audit.detail_of": (("l",), {}),
    "coordination.audit.insert": ((LINE,), {}),
    "coordination.repeats.get": (("k",), {}),
    "coordination.repeats.started": (("k",), {}),
    "coordination.repeats.forget": (("t", 10), {}),
    "coordination.repeats.put": (("k",), {"request_sha256": "s", "answer": "", "at": "t"}),
    "coordination.results.same_result": ((RESULT,), {}),
    "coordination.results.last_result": (("w", "1"), {}),
    "coordination.results.count_results": (("w", "1"), {}),
    "coordination.results.newest_artifact": (("w", "n"), {}),
    "coordination.results.same_artifact": ((ARTIFACT,), {}),
    "coordination.results.total_size": (("w",), {}),
    "coordination.results.insert_artifact": ((ARTIFACT,), {}),
    "coordination.results.is_content": (("s",), {}),
    "coordination.updates.open_update": (("w",), {}),
    "coordination.updates.update": (
        ("w",),
        {"title": "T", "priority": 1, "variables": "{}", "at": "t"},
    ),
    "coordination.updates.of_issues": ((["x-1"],), {}),
    "workflows.instance": (("w",), {}),
    "workflows.workflow_ids": ((), {}),
    "workflows.status": (("w",), {}),
    "workflows.live_instances": ((), {}),
    "workflows.task": (("w", "1"), {}),
    "workflows.open_tasks": ((), {}),
    "workflows.open_types": (("w",), {}),
    "workflows.waiting.line": (("a", "t"), {}),
    "workflows.waiting.first": (("a", "w"), {"at": "t", "limit": 2}),
    "workflows.waiting.due": (("s", "t"), {}),
    "workflows.late_tasks": (("t",), {}),
    "workflows.next_task_at": (("t",), {}),
    "workflows.ended_tasks": ((), {}),
    "workflows.insert_instance": ((), INSTANCE),
    "workflows.children_with_status": (("w",), {}),
    "workflows.last_of_kind": (("w", "k"), {}),
    "workflows.last_seq_of_kind": (("w", "k"), {}),
    "workflows.outcome_of_child": (("w", "1"), {}),
    "workflows.restore_message": (("w", "1", 2), {}),
    "workflows.insert_child": ((), {**INSTANCE, "parent": ("p", "1", "cancel")}),
    "workflows.set_priority": (("w", 1), {}),
    "coordination.agents.every": ((), {}),
    "coordination.agents.find": (("a-1",), {}),
    "coordination.agents.put": ((AGENT,), {}),
    "coordination.agents.set_status": (("a-1", "active", ""), {}),
    "coordination.agents.set_drained": (("a-1", "t"), {}),
    "coordination.agents.set_config": (("a-1", "{}", None), {}),
    "coordination.agents.take_away": (("a-1",), {"author": "a", "reason": "r", "at": "t"}),
    "coordination.agents.open_of_agent": (("a-1",), {}),
    "workflows.last_position": ((), {}),
    "workflows.count_trial": (("t", "[]", 2), {}),
    "workflows.has_suspects": ((2,), {}),
    "workflows.why_stalled": (("w",), {}),
    "workflows.set_status": (("w", "running", "t"), {}),
    "workflows.last_seq": (("w",), {}),
    "workflows.begin_run": (("w",), {"version": 1, "input": "", "seq": 2}),
    "workflows.cancel_task": (("w", "1", "t"), {}),
    "workflows.children": (("w",), {}),
    "workflows.children_of": (("w", "1"), {}),
    "workflows.consume_message": (("w", "m", "1"), {}),
    "workflows.count_messages": (("w",), {}),
    "workflows.delete_heartbeat": (("w", "1"), {}),
    "workflows.delete_waits": (("w",), {}),
    "workflows.events_after": (("w", 1), {}),
    "workflows.first_payload": (("w",), {}),
    "workflows.has_event": (("w", "k", 1), {}),
    "workflows.has_heartbeats": (("w",), {}),
    "workflows.heartbeat": (("w", "1"), {}),
    "workflows.replace_message": (("w", "n", "k"), {}),
    "workflows.insert_message": (("w", ("m", "n", "", "t")), {}),
    "workflows.last_event": (("w",), {}),
    "workflows.live_children": (("w",), {}),
    "workflows.message": (("w", "m"), {}),
    "workflows.next_wake": ((), {}),
    "workflows.park": (("w", None), {}),
    "workflows.requests_after": (("w", 1), {}),
    "workflows.set_heartbeat": (("w", ("1", 1, "", "t")), {}),
    "workflows.ties": (("w",), {}),
    "workflows.unpark": (("w",), {}),
    "workflows.unpark_due": (("t", 10), {}),
    "workflows.waiting_messages": (("w", 0), {}),
    "workflows.insert_events": (("w", [(1, "k", "", "", "{}", "t")]), {}),
    "workflows.delete_segments": (("w",), {}),
    "workflows.insert_segment": (("w", (1, 2), b""), {}),
    "workflows.note_progress": (("w",), {}),
    "workflows.insert_task": ((("w", "1", "a", "dig", "", "", None, None, "t"),), {}),
    "workflows.consume_task": (("w", "1", "t"), {}),
    "workflows.start_task": ((), {**TASK, "agent_id": "a-1"}),
    "workflows.end_attempt": ((), {**TASK, "state": "done", "outcome": None, "next_at": None}),
    "workflows.give_up_task": ((), {**TASK, "outcome": ""}),
    "workflows.meta": (("epoch",), {}),
    "workflows.set_meta": (("epoch", "1"), {}),
    "workflows.count_recovery": (("t",), {}),
    "workflows.poisoned": ((5,), {}),
    "workflows.set_input": (("w", "{}", "t"), {}),
    "coordination.bulk.started": ((["w"],), {}),
    "coordination.bulk.used_keys": ((["k"],), {}),
    "coordination.bulk.insert_mappings": (
        ([("i", "w", "t", 1, "n", "active", 2, None, "", "t", None, "s")],),
        {},
    ),
    "coordination.bulk.insert_intents": (([("w", "w", "start", "", "t")],), {}),
    "coordination.bulk.delete_intents": ((["w"],), {}),
    "coordination.bulk.insert_assignments": (
        ([("w", "a", "a-1", 1, "assigned", "t", 2, "t")],),
        {},
    ),
    "issues.bulk.lines_of": ((["x-1"],), {}),
    "issues.bulk.insert": (([EDIT],), {}),
    "issues.bulk.edit": (([EDIT],), {}),
    "issues.bulk._put": (([EDIT], ""), {}),
    "issues.bulk._record": (("created", [EDIT]), {}),
    "workflows.bulk.present": ((["w"],), {}),
    "workflows.bulk.elsewhere": (([("w", 1)],), {}),
    "workflows.bulk.tied": ((["w"],), {}),
    "workflows.bulk.runs": (({"w": 1}, 100), {}),
    "workflows.bulk.visited": ((["w"],), {}),
    "workflows.bulk.insert_instances": (([("w", "n", 1, "running", "", "t", "t", 2)],), {}),
    "workflows.bulk.insert_events": (([("w", 1, "k", "", "", "", "t")],), {}),
    "workflows.bulk.set_statuses": (([("w", "running", "t")],), {}),
    "workflows.bulk.note_progress": ((["w"],), {}),
    "issues.get_line": (("x-1",), {}),
    "issues.put_row": (({"id": "x-1", "title": "T"},), {}),
    "issues.delete_row": (("x-1",), {}),
    "issues.all_lines": ((), {}),
    "issues.lines_by_id": ((), {}),
    "issues.shared_line": (("x-1",), {}),
    "issues.all_ids": ((), {}),
    "issues.is_journaled": ((), {}),
    "issues.last_row": ((), {}),
    "issues.put_line": (('{"id":"x-1","title":"T"}',), {}),
    "issues.reading.stored_lines": ((10,), {}),
    "issues.reading.changed": ((0, 10), {}),
    "issues.append_journal": (("x-1", "created"), {"detail": {}, "base": None, "at": "t"}),
    "issues.read_journal": ((0, 10), {}),
    "issues.last_seq": ((), {}),
    "issues.last_seq_of": (("x-1",), {}),
    "issues.published_line": (("x-1",), {}),
    "issues.published_lines": ((), {}),
    "issues.publication": ((), {}),
    "issues.ids_below": (("x-1",), {}),
    "issues.created_below": (("x-1", "k"), {}),
    "issues.creation_key": (("x-1",), {}),
    "issues.creation_request": (("x-1",), {}),
    "issues.lately_created": (("k",), {}),
    "issues.carried_out": (("x-1", "r"), {}),
    "issues.changed_with": (("x-1", "r"), {}),
    "issues.lines_naming": (("x-1",), {}),
    "issues.lines_with_reference": (("gh-1",), {}),
    "issues.all_edges": ((), {}),
    "issues.has_status": (("parked",), {}),
    "issues.has_type": (("ritual",), {}),
    "issues.mark_intent": ((1, "s"), {}),
    "issues.mark_flushed": ((1, "s"), {}),
    "issues.mark_adopted": (("s",), {}),
    "issues.cursor": (("c",), {}),
    "issues.last_applied": ((), {}),
    "issues.advance_cursor": (("c", 1), {}),
    "issues.placed": (("p",), {}),
    "issues.mark_placed": (("p", 1), {}),
    "issues.local_ids": ((), {}),
    "issues.is_local": (("x-1",), {}),
    "issues.changed_after": ((0,), {}),
    "issues.leases.move": (("x-1", "x-2"), {}),
    "issues.leases.move_with_those_below": (("x-1", "x-2"), {}),
    "issues.leases.by_token": ((1,), {}),
    "issues.leases.next_token": ((0,), {}),
    "issues.leases.take": ((LEASE,), {}),
    "issues.leases.renew": (("x-1", "2026-01-01T00:00:00.000000Z"), {}),
    "issues.leases.end": (("x-1",), {}),
    "issues.leases.get": (("x-1",), {}),
    "issues.leases.expired": (("2026-01-01T00:00:00.000000Z", 10), {}),
    "issues.leases.count": ((), {}),
    "issues.leases.first_open": ((["x-1"],), {}),
    "issues.divergences.set_back": (("reconciler", 1), {}),
    "issues.provenance.last_stroke": (("x-1",), {}),
    "workflows.divergences.complete_task": ((), {**TASK, "agent_id": "a-1", "outcome": ""}),
    "coordination.divergences.follow_issue": (
        (),
        {"workflow_id": "w", "title": "T", "priority": 2, "at": "t"},
    ),
    "coordination.divergences.queue_assignment": (
        (),
        {"workflow_id": "w", "agent_type": "a", "reason": "", "at": "t"},
    ),
    "coordination.divergences.seen": ((["w"],), {}),
    "coordination.divergences.set_back": (("beads", 1), {}),
}
"""The arguments that each function is called with, after its connection."""

WHOLE = {
    "SCAN workflow_mappings USING INDEX sqlite_autoindex_workflow_mappings_2": (
        "the ids of all workflows, once at the start"
    ),
    "SCAN instances": "the ids of all workflows, once at the start",
    "SCAN publication": "a table of one row",
    "SCAN agents": "a row for each agent there is or was, and all are wanted",
    "SCAN fence": "a table of one row",
    "SCAN leases USING INDEX sqlite_autoindex_leases_2": "an index of claims, and all count",
    "SCAN issues USING INDEX issues_local": "an index of the wisps, and all are counted",
    "SCAN artifacts USING INDEX artifacts_of_content": "all contents, to be verified",
    "SCAN CONSTANT ROW": "no table at all",
    "SCAN (subquery)": "the rows of a page, which were found by an index, packed into one",
    "SCAN json_each VIRTUAL TABLE INDEX 1:": "the argument itself, a few ids",
    "SCAN json_each VIRTUAL TABLE INDEX 3:": "one issue's labels",
    "SCAN one VIRTUAL TABLE INDEX 1:": "the argument itself, a stretch of workflows",
    "SCAN stretch": "a stretch of rows, read by primary key, and all are compared",
    "SCAN api_keys USING INDEX api_keys_newest": "all keys are wanted, the newest first",
    "SCAN api_keys": "whether there is one, up to the first",
    "SCAN audit_head": "a table of one row",
    "SCAN audit": "the last record, from the end",
    "SCAN sqlite_sequence": "a table of one row for each table that counts",
    "SCAN wanted VIRTUAL TABLE INDEX 1:": "the argument itself, a few ids",
    "SCAN asked VIRTUAL TABLE INDEX 1:": "the argument itself, the keys of a batch",
    "SCAN sqlite_master": "the schema: a row for each table, index and trigger",
    "SCAN agent_assignments USING INDEX agent_assignments_open": (
        "an index of assignments that are not over, and all are wanted"
    ),
    "SCAN intents": "holds open starts only, and all of them are wanted",
    "SCAN tasks USING INDEX tasks_open": "an index of open tasks, and all of them are wanted",
    "SCAN tasks USING INDEX tasks_ended": "an index of outcomes, and all are wanted",
    "SCAN instances USING INDEX instances_live": "an index of live workflows, and all are wanted",
    "SCAN agent_assignments USING INDEX agent_assignments_assigned": (
        "an index of assignments in force, and all are wanted"
    ),
    "SCAN issues USING INDEX sqlite_autoindex_issues_1": "the published file, all lines in order",
    "SCAN issues": "the published file, all lines",
    "SCAN edge VIRTUAL TABLE INDEX 3:": "the edges of one line",
    "SCAN word VIRTUAL TABLE INDEX 1:": "the argument itself, the words of a search",
    "SCAN spelling VIRTUAL TABLE INDEX 1:": "the spellings of one word",
    "SCAN comment VIRTUAL TABLE INDEX 3:": "the comments of one line",
    "SCAN lately": "the last changes of one issue, up to a limit",
    "SCAN issues USING INDEX issues_by_time": "the newest, in order, up to a limit",
}
"""What may be read from end to end, and why."""

WHETHER_ANY = {"issues.is_journaled"}
"""These begin to read a table, and stop at its first row."""

STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
PARAMETER = re.compile(r":(\w+)")


@dataclass(frozen=True)
class Statement:
    where: str
    sql: str

    def plan(self, conn: sqlite3.Connection) -> list[str]:
        named = dict.fromkeys(PARAMETER.findall(self.sql), 1)
        given: Any = named or (1,) * self.sql.count("?")
        return [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {self.sql}", given)]


def modules(room: str) -> list[ModuleType]:
    """Those that the room has, the first one under the room's name."""
    places = [
        name
        for name in MODULES
        if resources.files(f"storage.{room}").joinpath(f"{name}.py").is_file()
    ]
    return [import_module(f"storage.{room}.{name}") for name in places]


def prefix(room: str, module: ModuleType) -> str:
    last = module.__name__.rpartition(".")[2]
    return room if last == "queries" else f"{room}.{last}"


def functions(room: str) -> dict[str, Callable[..., Any]]:
    """The functions of a room's modules that take a connection."""
    return {
        f"{prefix(room, module)}.{name}": function
        for module in modules(room)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and set(inspect.signature(function).parameters) & {"conn", "connection"}
    }


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def conn(tmp_path: Path, room: str) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "x.db")) as opened:
        migrate(opened, resources.files(f"storage.{room}") / "schema")
        yield opened


def statements(conn: sqlite3.Connection, room: str) -> list[Statement]:
    """All that a room's queries hold as constants, and all that its functions execute."""
    constants = [
        Statement(f"{prefix(room, module)}.{name}", value)
        for module in modules(room)
        for name, value in vars(module).items()
        if isinstance(value, str) and STATEMENT.match(value) and not name.startswith("_")
    ]
    executed: list[Statement] = []
    for name, function in functions(room).items():
        if name in CALLS:
            heard: list[str] = []
            positional, named = CALLS[name]
            conn.set_trace_callback(heard.append)
            conn.execute("BEGIN")
            function(conn, *positional, **named)
            conn.set_trace_callback(None)
            conn.execute("ROLLBACK")
            executed += [Statement(name, sql) for sql in heard if STATEMENT.match(sql)]
    return constants + executed


def test_every_function_of_the_queries_is_called_here(room: str) -> None:
    assert {name for name in CALLS if name.startswith(f"{room}.")} == set(functions(room))


def test_no_statement_reads_more_than_it_must(conn: sqlite3.Connection, room: str) -> None:
    found = statements(conn, room)
    assert len({one.where for one in found}) >= len(functions(room))
    offending = [
        (one.where, step)
        for one in found
        for step in one.plan(conn)
        if step.startswith("SCAN") and _scanned(step) not in WHOLE
        if one.where not in WHETHER_ANY
    ]
    assert offending == []


def _scanned(step: str) -> str:
    return re.sub(r"\(subquery-\d+\)", "(subquery)", step.replace("COVERING ", ""))


def test_nothing_is_sorted_but_the_few_rows_of_what_is_open(
    conn: sqlite3.Connection, room: str
) -> None:
    sorting = {
        (one.where, step)
        for one in statements(conn, room)
        for step in one.plan(conn)
        if "TEMP B-TREE" in step
    }
    assert sorting <= {
        ("coordination.INTENTS", "USE TEMP B-TREE FOR ORDER BY"),
        ("issues.LIST_BY_STATUS", "USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"),
        ("issues.LIST_ALL", "USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"),
        ("issues.published_lines", "USE TEMP B-TREE FOR DISTINCT"),
    }


COVERED = ("ASSIGNED", "QUEUED")


@pytest.mark.parametrize("room", ["coordination"])
@pytest.mark.parametrize("name", COVERED)
def test_narrow_rows_are_read_from_the_index_alone(
    conn: sqlite3.Connection, room: str, name: str
) -> None:
    plan = Statement(name, getattr(modules(room)[0], name)).plan(conn)
    assert len(plan) == 1
    assert "COVERING INDEX" in plan[0]


@pytest.mark.parametrize("room", ["coordination"])
@pytest.mark.parametrize("what", ["MAPPINGS", "SEEN", "OLDEST", "OLDEST_SEEN"])
@pytest.mark.parametrize(
    ("of", "index"),
    [
        ("", "workflow_mappings_newest ("),
        ("_OF_STATUS", "workflow_mappings_of_status (status=? AND "),
        ("_OF_TYPE", "workflow_mappings_of_type (workflow_type=? AND "),
        (
            "_OF_TYPE_AND_STATUS",
            "workflow_mappings_of_type_and_status (workflow_type=? AND status=? AND ",
        ),
    ],
)
def test_each_list_of_workflows_has_its_index_and_its_agents_too(
    conn: sqlite3.Connection, room: str, what: str, of: str, index: str
) -> None:
    packed = re.compile(r"(CO-ROUTINE|SCAN) \(subquery-\d+\)")  # the rows that are found, in one
    steps = Statement(what, getattr(listing, f"{what}{of}")).plan(conn)
    plan = [step for step in steps if not packed.fullmatch(step)]
    key = "created_at>? AND (created_at,tempolite_workflow_id)<(?,?)"
    if what.startswith("OLDEST"):
        key = "(created_at,tempolite_workflow_id)>(?,?) AND created_at<?"
    assert plan[0] == f"SEARCH m USING INDEX {index}{key})"
    of_agents = "SEARCH a USING COVERING INDEX agent_assignments_of_workflow (workflow_id=?)"
    more = [step for step in plan[1:] if not step.startswith("CORRELATED SCALAR SUBQUERY")]
    assert more == [of_agents] * len(more)
    assert more
