"""The commands on issues: what each asks of the server, what it prints, and its exit code."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fake import Answer, FakeServer, problem
from tests.cli.run import Run, claim, explained, issue

ISSUES = "/api/v1/issues"
ONE = f"{ISSUES}/bd-1"


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment, as is who asks."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    monkeypatch.setenv("BEADFLOW_ACTOR", "ann")
    return server


# --- what changes issues

WRITES: list[tuple[list[str], str, dict[str, Any]]] = [
    (["close", "bd-1"], f"POST {ONE}/close", {"reason": "", "force": False}),
    (
        ["close", "bd-1", "-r", "Completed", "--force", "--token", "7"],
        f"POST {ONE}/close",
        {"reason": "Completed", "force": True, "token": 7},
    ),
    (["reopen", "bd-1", "--reason", "again"], f"POST {ONE}/reopen", {"reason": "again"}),
    (["defer", "bd-1"], f"POST {ONE}/defer", {}),
    (
        ["defer", "bd-1", "--until", "2030-01-02T03:04:05Z"],
        f"POST {ONE}/defer",
        {"until": "2030-01-02T03:04:05Z"},
    ),
    (["restore", "bd-1"], f"POST {ONE}/restore", {}),
    (["comment", "bd-1", "It is so."], f"POST {ONE}/comments", {"text": "It is so."}),
    (["label", "add", "bd-1", "a,b", "c"], f"POST {ONE}/labels", {"add": ["a", "b", "c"]}),
    (["label", "remove", "bd-1", "a"], f"POST {ONE}/labels", {"remove": ["a"]}),
    (["release", "bd-1"], f"POST {ONE}/release", {}),
    (["release", "bd-1", "--token", "7"], f"POST {ONE}/release", {"token": 7}),
    (
        ["dep", "add", "bd-1", "bd-2"],
        f"POST {ONE}/dependencies",
        {"depends_on": "bd-2", "type": "blocks", "metadata": ""},
    ),
    (
        ["dep", "add", "bd-1", "external:a:b", "-t", "waits-for", "--metadata", "{}"],
        f"POST {ONE}/dependencies",
        {"depends_on": "external:a:b", "type": "waits-for", "metadata": "{}"},
    ),
    (
        ["update", "bd-1", "-p", "P0", "--title", "T", "-s", "blocked", "-t", "bug"],
        f"PUT {ONE}",
        {"priority": 0, "title": "T", "status": "blocked", "issue_type": "bug"},
    ),
    (
        ["update", "bd-1", "-a", "", "-d", "", "--due", "", "--set-labels", ""],
        f"PUT {ONE}",
        {"assignee": None, "description": None, "due_at": None, "labels": []},
    ),
    (
        ["update", "bd-1", "--add-label", "a", "--remove-label", "b,c", "--append-notes", "n"],
        f"PUT {ONE}",
        {"add_labels": ["a"], "remove_labels": ["b", "c"], "append_notes": "n"},
    ),
    (
        [
            "update",
            "bd-1",
            "--force",
            "--metadata",
            '{"a": 1}',
            "--pinned",
            "-e",
            "30",
            "--token",
            "4",
        ],
        f"PUT {ONE}",
        {"force": True, "metadata": {"a": 1}, "pinned": True, "estimated_minutes": 30, "token": 4},
    ),
]


@pytest.mark.parametrize(("argv", "request_line", "body"), WRITES)
def test_a_change_asks_for_what_was_said_and_shows_the_issue(
    beadflow: Run, at: FakeServer, argv: list[str], request_line: str, body: dict[str, Any]
) -> None:
    at.answers[request_line] = Answer(issue())
    ran = beadflow("issue", *argv)
    assert (ran.code, ran.err) == (0, "")
    assert "bd-1  P1  open    bug             Fix the login" in ran.out
    assert at.seen[0].body == {"actor": "ann", **body}


@pytest.mark.parametrize("argv", [["close", "bd-1"], ["update", "bd-1", "-p", "1"]])
def test_a_silent_change_prints_the_id(beadflow: Run, at: FakeServer, argv: list[str]) -> None:
    at.answers |= {f"POST {ONE}/close": Answer(issue()), f"PUT {ONE}": Answer(issue())}
    assert beadflow("issue", *argv, "-q").out == "bd-1\n"


def test_done_closes(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"POST {ONE}/close"] = Answer(issue(status="closed"))
    assert beadflow("done", "bd-1", "-r", "Completed").code == 0
    assert at.seen[0].body["reason"] == "Completed"


def test_a_change_in_json_is_a_list_of_the_servers_own_objects(
    beadflow: Run, at: FakeServer
) -> None:
    at.answers[f"POST {ONE}/close"] = Answer(issue(newer="field"))
    ran = beadflow("issue", "close", "bd-1", "--json")
    assert ran.json["schema"] == "beadflow.issue.close/1"
    assert ran.json["data"][0]["newer"] == "field"


def test_of_several_issues_each_is_done_and_what_is_refused_is_told(
    beadflow: Run, at: FakeServer
) -> None:
    at.answers[f"POST {ONE}/close"] = problem(
        409, "Conflict", detail="by bd-9", code="issue_blocked", hint="force it"
    )
    at.answers[f"POST {ISSUES}/bd-2/close"] = Answer(issue("bd-2", status="closed"))
    ran = beadflow("issue", "close", "bd-1", "bd-2", "bd-3", "bd-1")
    assert ran.code == 7
    assert "bd-2  P1  closed" in ran.out
    assert "bd-1 was refused:\nerror: by bd-9\nhint: force it" in ran.err
    assert "bd-3 was refused:" in ran.err
    assert len(at.seen) == 3
    ran = beadflow("issue", "close", "bd-1", "bd-2", "--json")
    assert [each["id"] for each in ran.json["data"]] == ["bd-2"]
    assert [(each["id"], each["code"]) for each in ran.json["errors"]] == [
        ("bd-1", "issue_blocked")
    ]


def test_a_server_that_cannot_serve_is_not_asked_again_for_each(
    beadflow: Run, at: FakeServer
) -> None:
    at.answers[f"POST {ONE}/close"] = problem(503, "Busy", code="overloaded")
    assert beadflow("issue", "close", "bd-1", "bd-2").code == 9
    assert len(at.seen) == 1


def test_a_deletion_takes_a_yes_and_shows_all_that_went(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"DELETE {ONE}"] = Answer({"data": [issue(), issue("bd-2")]})
    assert beadflow("issue", "delete", "bd-1").code == 2
    assert at.seen == []
    ran = beadflow("issue", "delete", "bd-1", "--cascade", "--yes", "-r", "old", "-q")
    assert (ran.code, ran.out) == (0, "bd-1\nbd-2\n")
    assert at.seen[0].params == {
        "actor": "ann",
        "reason": "old",
        "cascade": "true",
        "force": "false",
    }


def test_a_dependency_is_removed_by_both_ids(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"DELETE {ONE}/dependencies/external%3Aa%3Ab"] = Answer(issue())
    assert beadflow("issue", "dep", "remove", "bd-1", "external:a:b").code == 0
    assert at.seen[0].params == {"actor": "ann"}


@pytest.mark.parametrize(
    ("fields", "code", "asked"),
    [
        ({"status": "deferred"}, 0, 2),
        ({"defer_until": "2030-01-01T00:00:00Z"}, 0, 2),
        ({"status": "open"}, 7, 1),
    ],
)
def test_only_what_is_deferred_is_offered_again(
    beadflow: Run, at: FakeServer, fields: dict[str, Any], code: int, asked: int
) -> None:
    at.answers[f"GET {ONE}"] = Answer({"issue": issue(**fields)})
    at.answers[f"POST {ONE}/reopen"] = Answer(issue())
    assert beadflow("issue", "undefer", "bd-1").code == code
    assert len(at.seen) == asked


def test_a_comment_may_come_from_a_file(beadflow: Run, at: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "c.md").write_text("läng\n", "utf-8")
    at.answers[f"POST {ONE}/comments"] = Answer(issue())
    assert beadflow("issue", "comment", "bd-1", "--file", "c.md").code == 0
    assert at.seen[0].body["text"] == "läng\n"


# --- creating


def test_an_issue_is_created_from_options(beadflow: Run, at: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("Long.", "utf-8")
    at.answers[f"POST {ISSUES}"] = Answer(issue("bd-0.1"), status=201)
    ran = beadflow(
        *("issue", "create", "Fix it", "-t", "bug", "-p", "0", "--body-file", "b.md"),
        *("-a", "bob", "-l", "a,b", "-l", "c", "--parent", "bd-0", "--id", "bd-0.1"),
        *("--deps", "bd-2,discovered-from:bd-3,blocks:external:x:y,external:p:q"),
        *("--design", "d", "--acceptance", "c", "--notes", "n", "--external-ref", "gh-9"),
        *("--spec-id", "s", "-e", "30", "--due", "2030-01-02T00:00:00Z", "--metadata", '{"a":1}'),
        *("--defer", "2030-01-01T00:00:00+02:00", "--ephemeral"),
    )
    assert ran.code == 0
    assert ran.out.startswith("id        bd-0.1\n")
    assert at.seen[0].headers["idempotency-key"]
    assert at.seen[0].body == {
        "title": "Fix it",
        "issue_type": "bug",
        "priority": 0,
        "description": "Long.",
        "design": "d",
        "acceptance_criteria": "c",
        "notes": "n",
        "assignee": "bob",
        "labels": ["a", "b", "c"],
        "parent": "bd-0",
        "depends_on": [
            {"id": "bd-2"},
            {"type": "discovered-from", "id": "bd-3"},
            {"type": "blocks", "id": "external:x:y"},
            {"id": "external:p:q"},
        ],
        "id": "bd-0.1",
        "external_ref": "gh-9",
        "spec_id": "s",
        "estimated_minutes": 30,
        "due_at": "2030-01-02T00:00:00Z",
        "defer_until": "2030-01-01T00:00:00+02:00",
        "metadata": {"a": 1},
        "ephemeral": True,
        "actor": "ann",
    }


def test_a_silent_creation_prints_the_new_id(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"POST {ISSUES}"] = Answer(issue("bd-7"), status=201)
    assert beadflow("issue", "create", "T", "--silent").out == "bd-7\n"
    assert at.seen[0].body == {"title": "T", "actor": "ann"}


# --- who asks


def test_who_asks_is_the_option_then_the_environment_then_git_then_the_account(
    beadflow: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("BD_ACTOR", raising=False)
    server.answers[f"POST {ONE}/restore"] = Answer(issue())

    def who(*more: str) -> str:
        beadflow("issue", "restore", "bd-1", *more)
        return str(server.seen.pop().body["actor"])

    monkeypatch.delenv("USER", raising=False)
    assert who() == "unknown"
    monkeypatch.setenv("USER", "account")
    assert who() == "account"
    (tmp_path / "gitconfig").write_text("[user]\n  name = Ada Git\n")
    assert who() == "Ada Git"
    monkeypatch.setenv("BD_ACTOR", "bd")
    assert who() == "bd"
    monkeypatch.setenv("BEADFLOW_ACTOR", "flow")
    assert who() == "flow"
    assert who("--actor", "me") == "me"


# --- claims


@pytest.mark.parametrize(
    ("argv", "path", "body"),
    [
        (["claim", "bd-1"], f"{ONE}/claim", {"ttl_s": 1800, "force": False}),
        (["claim", "bd-1", "--ttl", "5", "--force"], f"{ONE}/claim", {"ttl_s": 5, "force": True}),
        (["issue", "claim", "bd-1"], f"{ONE}/claim", {"ttl_s": 1800, "force": False}),
        (
            ["ready", "--claim", "-l", "a,b", "-p", "0,1", "-u", "--sort", "oldest"],
            f"{ISSUES}/ready/claim",
            {
                "ttl_s": 1800,
                "labels": ["a", "b"],
                "priority": ["0", "1"],
                "assignee": "",
                "policy": "oldest",
            },
        ),
    ],
)
def test_a_claim_shows_its_token_and_its_end(
    beadflow: Run, at: FakeServer, argv: list[str], path: str, body: dict[str, Any]
) -> None:
    at.answers[f"POST {path}"] = Answer(claim())
    ran = beadflow(*argv)
    assert (ran.code, ran.err) == (0, "")
    assert "token     7" in ran.out
    assert "expires   2026-01-02 03:34:05Z" in ran.out
    assert at.seen[0].body == {"actor": "ann", **body} | (
        {"policy": "priority"} if "ready" in path and "policy" not in body else {}
    )
    assert beadflow(*argv, "-q").out == "bd-1\n"
    assert beadflow(*argv, "-o", "json").json["data"]["token"] == 7


def test_a_heartbeat_needs_the_token(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"POST {ONE}/heartbeat"] = Answer(claim())
    assert beadflow("issue", "heartbeat", "bd-1").code == 2
    assert beadflow("issue", "heartbeat", "bd-1", "--token", "7").code == 0
    assert at.seen[0].body == {"token": 7, "ttl_s": 1800}


REFUSED: list[tuple[list[str], str, tuple[int, str], int]] = [
    (["claim", "bd-1"], f"{ONE}/claim", (409, "already_claimed"), 7),
    (["ready", "--claim"], f"{ISSUES}/ready/claim", (409, "nothing_ready"), 8),
    (["done", "bd-1"], f"{ONE}/close", (409, "issue_blocked"), 7),
    (["done", "bd-1", "--token", "1"], f"{ONE}/close", (409, "stale_claim"), 7),
    (["done", "bd"], f"{ISSUES}/bd/close", (409, "ambiguous_id"), 7),
    (["done", "bd-1"], f"{ONE}/close", (404, "not_found"), 6),
    (["issue", "dep", "add", "bd-1", "bd-2"], f"{ONE}/dependencies", (409, "conflict"), 7),
    (["issue", "defer", "bd-1"], f"{ONE}/defer", (422, "validation_error"), 2),
]


@pytest.mark.parametrize(("argv", "path", "refusal", "exit_code"), REFUSED)
def test_an_exit_code_tells_what_was_refused(  # noqa: PLR0917
    beadflow: Run,
    at: FakeServer,
    argv: list[str],
    path: str,
    refusal: tuple[int, str],
    exit_code: int,
) -> None:
    status, code = refusal
    at.answers[f"POST {path}"] = problem(status, "No", detail="by bob", code=code, hint="h")
    ran = beadflow(*argv)
    assert (ran.code, ran.out) == (exit_code, "")
    assert ran.err == "error: No: by bob\nhint: h\n"
    assert beadflow(*argv, "-o", "json").json["error"]["code"] == code


# --- looking


def test_a_list_passes_its_filters_on(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ISSUES}"] = Answer({"data": [issue()], "next_cursor": "c", "total": 9})
    ran = beadflow(
        *("issue", "list", "-s", "open,blocked", "-t", "bug", "-p", "P1,2", "-a", "ann"),
        *("-l", "a", "--label-any", "b", "--exclude-label", "c", "--parent", "bd-0"),
        *("--sort", "id", "--reverse", "--all", "-n", "5", "--cursor", "x"),
    )
    assert ran.code == 0
    assert ran.err == "there are more, 9 in all: --cursor c\n"
    assert at.seen[0].params == {
        "status": "open,blocked",
        "type": "bug",
        "priority": "1,2",
        "assignee": "ann",
        "labels": "a",
        "any_labels": "b",
        "without_labels": "c",
        "parent": "bd-0",
        "sort": "id",
        "reverse": "true",
        "closed": "true",
        "limit": "5",
        "cursor": "x",
    }


def test_nobody_s_issues_are_asked_for_by_an_empty_assignee(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ISSUES}"] = Answer({"data": [], "next_cursor": None, "total": 0})
    ran = beadflow("issue", "list", "--unassigned")
    assert (ran.code, ran.out, ran.err) == (0, "", "no issues\n")
    assert at.seen[0].params == {"assignee": "", "limit": "50"}


def test_words_are_searched_for_together(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ISSUES}/search"] = Answer({"data": [issue()], "next_cursor": None})
    assert "Fix the login" in beadflow("issue", "search", "login", "cookie").out
    assert at.seen[0].params == {"q": "login cookie", "limit": "50"}


SHOWN = {
    "issue": issue(
        description="One\nTwo",
        comments=[{"author": "bob", "text": "Yes.", "created_at": "2026-01-03T00:00:00Z"}],
    ),
    "depends_on": [{"id": "bd-2", "type": "blocks", "issue": issue("bd-2", title="Before")}],
    "dependents": [{"id": "gone", "type": "related", "issue": None}],
    "children": [issue("bd-1.1", title="Part")],
    "claim": {"holder": "ann", "token": 7, "expires_at": "2026-01-02T03:34:05Z"},
}


def test_an_issue_is_shown_with_its_texts_and_what_surrounds_it(
    beadflow: Run, at: FakeServer
) -> None:
    at.answers[f"GET {ONE}"] = Answer(SHOWN)
    out = beadflow("issue", "show", "bd-1").out
    for line in (
        "created   2026-01-02 03:04:05Z by ann",
        "claimed   by ann until 2026-01-02 03:34:05Z, token 7",
        "Description\n  One\n  Two\n",
        "Depends on\n  blocks  bd-2  open  P1  Before\n",
        "Needed by\n  related  gone\n",
        "Children\n  bd-1.1  open  P1  Part\n",
        "2026-01-03 00:00:00Z bob\n  Yes.\n",
    ):
        assert line in out


def test_of_several_issues_those_that_are_there_are_shown(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}"] = Answer(SHOWN)
    ran = beadflow("issue", "show", "bd-1", "bd-9", "--json")
    assert ran.code == 6
    assert [each["issue"]["id"] for each in ran.json["data"]] == ["bd-1"]
    assert ran.json["errors"][0]["id"] == "bd-9"
    assert beadflow("issue", "show", "bd-9").code == 6


def test_ready_issues_are_listed(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ISSUES}/ready"] = Answer({"data": [explained("bd-1", ready=True)]})
    assert "Fix the login" in beadflow("ready", "-n", "3", "--classic").out
    assert at.seen[0].params == {"limit": "3", "policy": "priority", "classic": "true"}
    assert beadflow("ready", "-q").out == "bd-1\n"
    assert beadflow("issue", "ready", "--json").json["data"][0]["ready"] is True


def test_nothing_ready_is_an_empty_list(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ISSUES}/ready"] = Answer({"data": []})
    ran = beadflow("ready")
    assert (ran.code, ran.out) == (0, "")
    assert "beadflow issue blocked" in ran.err


CAUSE = {"kind": "blocks", "path": ["bd-1", "bd-0", "bd-2"], "text": "its parent waits for bd-2"}


def test_what_waits_is_listed_with_its_reasons(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ISSUES}/blocked"] = Answer({"data": [explained("bd-1", CAUSE)]})
    assert "its parent waits for bd-2 (bd-1 → bd-0 → bd-2)" in beadflow("issue", "blocked").out


@pytest.mark.parametrize(("ready", "said"), [(False, "not ready"), (True, "ready")])
def test_why_says_whether_and_through_which_path(
    beadflow: Run, at: FakeServer, ready: bool, said: str
) -> None:
    at.answers[f"GET {ONE}/why"] = Answer(explained("bd-1", CAUSE, ready=ready))
    assert beadflow("issue", "why", "bd-1").out == (
        f"bd-1  open  P1  Fix the login\n{said}\n  its parent waits for bd-2 (bd-1 → bd-0 → bd-2)\n"
    )


def node(issue_id: str, *children: Any, kind: str = "blocks", **more: Any) -> dict[str, Any]:
    there = {"id": issue_id, "type": kind, "seen": False, "issue": issue(issue_id)}
    return {**there, "children": list(children), **more}


def test_a_tree_is_drawn(beadflow: Run, at: FakeServer) -> None:
    below = node("bd-2", node("bd-3", seen=True))
    at.answers[f"GET {ONE}/tree"] = Answer(node("bd-1", below, node("x", issue=None), kind=""))
    assert beadflow("issue", "dep", "tree", "bd-1", "--up").out.splitlines() == [
        "bd-1  open  P1  Fix the login",
        "├── blocks: bd-2  open  P1  Fix the login",
        "│   └── blocks: bd-3  open  P1  Fix the login (see above)",
        "└── blocks: x",
    ]
    assert at.seen[0].params == {"direction": "up", "depth": "50"}
    rows = beadflow("issue", "dep", "tree", "bd-1", "-o", "csv").out.splitlines()
    assert rows[2] == "1,blocks,bd-2,P1,open,bug,,Fix the login"


def test_cycles_are_shown_as_circles(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ISSUES}/cycles"] = Answer({"data": [["bd-1", "bd-2"]]})
    assert beadflow("issue", "dep", "cycles").out.splitlines()[1] == "bd-1 → bd-2 → bd-1"
    at.answers[f"GET {ISSUES}/cycles"] = Answer({"data": []})
    assert beadflow("issue", "dep", "cycles").err == "no cycles\n"


def test_counts_are_a_table(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ISSUES}/stats"] = Answer(
        {
            "total": 3,
            "by_status": {"open": 2, "closed": 1},
            "by_type": {"task": 3},
            "by_priority": {"0": 3},
            "ready": 1,
            "blocked": 1,
            "epics_to_close": 0,
            "lead_time_h": 1.25,
        }
    )
    lines = [line.split() for line in beadflow("issue", "stats").out.splitlines()]
    assert ["status", "open", "2"] in lines
    assert ["priority", "P0", "3"] in lines
    assert ["mean", "hours", "to", "close", "1.2"] in lines
    assert beadflow("issue", "stats", "--json").json["data"]["total"] == 3


# --- forms of output


def test_a_list_as_csv_has_a_heading_and_raw_cells(beadflow: Run, at: FakeServer) -> None:
    odd = issue(title='a, "b"\n\x1b[2J', labels=["x", "y"])
    at.answers[f"GET {ISSUES}"] = Answer({"data": [odd], "next_cursor": None})
    out = beadflow("issue", "list", "-o", "csv").out
    assert out == (
        "id,p,status,type,assignee,title,labels,created,updated\n"
        'bd-1,P1,open,bug,,"a, ""b""\n\x1b[2J","x,y",2026-01-02T03:04:05Z,2026-01-02T03:04:06Z\n'
    )


def test_what_is_written_as_csv_is_read_again(beadflow: Run, at: FakeServer) -> None:
    titles = ["a\rb", "\r\n", 'q"', "\t\x1b\u202e", "é,"]
    found = [issue(f"bd-{n}", title=title) for n, title in enumerate(titles)]
    at.answers[f"GET {ISSUES}"] = Answer({"data": found, "next_cursor": None})
    out = beadflow("issue", "list", "-o", "csv").out
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert [row["title"] for row in rows] == titles


@pytest.mark.parametrize("form", ["table", "json", "csv"])
@pytest.mark.parametrize("words", [["list"], ["search", "login"]])
def test_a_silent_list_is_ids_only(
    beadflow: Run, at: FakeServer, words: list[str], form: str
) -> None:
    more = "/search" if words[0] == "search" else ""
    answer = {"data": [issue("bd-1"), issue("bd-2")], "next_cursor": None, "total": 2}
    at.answers[f"GET {ISSUES}{more}"] = Answer(answer)
    assert beadflow("issue", *words, "-q", "-o", form).out == "bd-1\nbd-2\n"


def test_a_list_as_lines_has_an_object_for_each_issue(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ISSUES}"] = Answer({"data": [issue(), issue("bd-2")], "next_cursor": "c"})
    lines = beadflow("issue", "list", "-o", "jsonl").out.splitlines()
    found = [json.loads(line) for line in lines]
    assert [each.get("data", {}).get("id") for each in found] == ["bd-1", "bd-2", None]
    assert {each["schema"] for each in found} == {"beadflow.issue.list/1"}
    assert found[-1]["next_cursor"] == "c"


def test_a_list_as_yaml_is_the_same_envelope(beadflow: Run, at: FakeServer) -> None:
    one = {"id": "bd-1", "title": "no", "labels": ["a"], "priority": 1, "metadata": {"k": None}}
    at.answers[f"GET {ISSUES}"] = Answer({"data": [one], "next_cursor": None, "total": 1})
    assert beadflow("issue", "list", "-o", "yaml").out == (
        "schema: beadflow.issue.list/1\n"
        "data:\n"
        "  - id: bd-1\n"
        '    title: "no"\n'
        "    labels:\n"
        "      - a\n"
        "    priority: 1\n"
        "    metadata:\n"
        "      k: null\n"
        "next_cursor: null\n"
        "total: 1\n"
    )


def test_what_issues_hold_cannot_steer_a_terminal(beadflow: Run, at: FakeServer) -> None:
    evil = issue(title="a\x1b[2J\u202e", description="x\x1b]0;t\x07", assignee="\x9b1m")
    at.answers[f"GET {ONE}"] = Answer({**SHOWN, "issue": evil})
    for form in ("table", "yaml", "json", "jsonl"):
        out = beadflow("issue", "show", "bd-1", "-o", form).out
        assert not set("\x1b\x07\x9b\u202e") & set(out), form


# --- wrong usage


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["issue", "close"], "at least one issue"),
        (["issue", "show"], "at least one issue"),
        (["issue", "update", "bd-1"], "Nothing is to be changed"),
        (["issue", "update", "bd-1", "-p", "5"], "P0 to P4"),
        (["issue", "update", "bd-1", "--metadata", "[1]"], "no JSON object"),
        (["issue", "update", "bd-1", "--metadata", "{"], "not JSON"),
        (["issue", "update", "bd-1", "--metadata", '{"a": NaN}'], "not JSON"),
        (["issue", "create", "T", "--metadata", '{"a": [-Infinity]}'], "not JSON"),
        (["issue", "create", "T", "--metadata", '{"a": 1e999}'], "not JSON"),
        (["issue", "create", "T", "--metadata", '{"a": "\\ud83d"}'], "not JSON"),
        (["issue", "close", "../x"], "no id of an issue"),
        (["issue", "close", ".."], "no id of an issue"),
        (["issue", "close", ""], "no id of an issue"),
        (["issue", "close", "a\nb"], "no id of an issue"),
        (["issue", "create"], "TITLE"),
        (["issue", "create", "T", "-p", "high"], "P0 to P4"),
        (["issue", "create", "T", "-d", "x", "--body-file", "y"], "One description"),
        (["issue", "create", "T", "--body-file", ""], "path is empty"),
        (["issue", "create", "T", "--due", "soon"], "--due is no moment"),
        (["issue", "defer", "bd-1", "--until", "2026-01-01T00:00:00"], "no moment"),
        (["issue", "comment", "bd-1"], "one text"),
        (["issue", "comment", "bd-1", "a", "--file", "b"], "one text"),
        (["issue", "label", "add", "bd-1"], "at least one label"),
        (["issue", "label", "add", "bd-1", " , "], "at least one label"),
        (["issue", "dep", "add", "bd-1"], "what it depends on"),
        (["issue", "list", "-u", "-a", "ann"], "somebody's or nobody's"),
        (["issue", "list", "-p", "x"], "P0 to P4"),
        (["issue", "search"], "one word"),
        (["issue", "lst"], "Did you mean list?"),
        (["ready", "--claim", "--classic"], "do not go together"),
        (["ready", "-n", "1.5"], "whole number"),
    ],
)
def test_wrong_usage_is_told_and_nothing_is_sent(
    beadflow: Run, at: FakeServer, argv: list[str], said: str
) -> None:
    ran = beadflow(*argv)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert at.seen == []


def test_what_is_read_from_a_file_must_be_text(
    beadflow: Run, at: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "b").write_bytes(b"\xff")
    (tmp_path / "l").write_bytes(b"x" * (1024 * 1024 + 1))
    assert "UTF-8" in beadflow("issue", "create", "T", "--body-file", "b").err
    assert "too long" in beadflow("issue", "create", "T", "--body-file", "l").err
    assert beadflow("issue", "create", "T", "--body-file", "gone").code == 1


def test_prime_tells_agents_the_loop(beadflow: Run) -> None:
    ran = beadflow("prime")
    assert ran.code == 0
    for command in ("ready --claim", "issue show", "done ID", "issue release", "issue dep add"):
        assert f"beadflow {command}" in ran.out
    assert beadflow("prime", "--json").json["data"]["markdown"] == ran.out
