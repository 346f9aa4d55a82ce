"""Issues that come as lines of the published format."""

import json
from typing import Any

import pytest

from tests.api.asgi import Answer
from tests.api.problems import refused
from tests.api.site import SharedSite

ISSUES = "/api/v1/issues"
AT = "2026-01-02T03:04:05Z"
LATER = "2026-02-03T04:05:06Z"


def line(issue_id: str, **more: Any) -> bytes:
    row = {"id": issue_id, "title": "T", "priority": 2, "status": "open", "issue_type": "task"}
    return json.dumps({**row, "created_at": AT, "updated_at": AT, **more}).encode()


def send(shared: SharedSite, *lines: bytes, query: str = "", kind: str = "x-ndjson") -> Answer:
    headers = [("Content-Type", f"application/{kind}")]
    target = f"{ISSUES}/import{query}"
    return shared.call("POST", target, headers=headers, body=[b"\n".join(lines)])


def taken(shared: SharedSite, *lines: bytes, query: str = "") -> dict[str, Any]:
    answer = send(shared, *lines, query=query)
    assert answer.status == 200, answer.body
    told: dict[str, Any] = answer.json()
    return {name: told[name] for name in told if told[name]}


def shown(shared: SharedSite, issue_id: str) -> Any:
    return shared.get(f"{ISSUES}/{issue_id}")["issue"]


def test_new_issues_are_created_as_they_are(shared: SharedSite) -> None:
    comment = {"id": 7, "issue_id": "imp-1", "author": "bob", "text": "hm", "created_at": AT}
    one = line("imp-1", labels=["a"], comments=[comment], of_another_tool={"x": 1})
    assert taken(shared, one, line("other-2.1", status="strange")) == {"created": 2}
    assert shown(shared, "imp-1")["of_another_tool"] == {"x": 1}
    assert shown(shared, "imp-1")["comments"][0]["text"] == "hm"
    assert shown(shared, "other-2.1")["status"] == "strange"


def test_the_same_again_changes_nothing(shared: SharedSite) -> None:
    rows = [line(f"again-{number}", labels=["b", "a"]) for number in range(3)]
    assert taken(shared, *rows) == {"created": 3}
    assert taken(shared, *rows) == {"unchanged": 3}


def test_what_was_written_later_wins_field_by_field(shared: SharedSite) -> None:
    taken(shared, line("later-1", title="Old", labels=["here"]))
    newer = line("later-1", title="New", labels=["here", "there"], updated_at=LATER)
    assert taken(shared, newer) == {"changed": 1}
    assert (shown(shared, "later-1")["title"], shown(shared, "later-1")["labels"]) == (
        "New",
        ["here", "there"],
    )
    assert taken(shared, line("later-1", title="Old", labels=["here"])) == {"unchanged": 1}
    assert shown(shared, "later-1")["title"] == "New"


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(shared: SharedSite) -> None:
    told = taken(shared, line("dry-1"), b"{", query="?dry_run=true")
    assert (told["dry_run"], told["created"], told["quarantined"]) == (True, 1, 1)
    assert shared.call("GET", f"{ISSUES}/dry-1").status == 404


def test_a_bad_line_costs_no_other(shared: SharedSite) -> None:
    bad = [b"{", b'"text"', b'{"title": "no id"}', b"\xff", line("fine-1", priority="high")]
    told = taken(shared, line("fine-2"), *bad, b"", line("fine-3"))
    assert (told["created"], told["quarantined"]) == (2, 5)
    assert [each["line"] for each in told["problems"]] == [2, 3, 4, 5, 6]
    assert all(each["why"] for each in told["problems"])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (line("no hyphen"), "no id of an issue"),
        (line("../../etc"), "no id of an issue"),
        (line("wrong-1", title=" "), "needs a title"),
        (line("wrong-2", priority=9), "priority"),
    ],
)
def test_what_could_not_be_written_here_is_refused_with_its_line(
    shared: SharedSite, wrong: bytes, why: str
) -> None:
    told = taken(shared, b"", wrong)
    assert told["refused"] == 1
    assert told["problems"][0]["line"] == 2
    assert why in told["problems"][0]["why"]


def test_an_id_that_is_another_issue_here_is_refused(shared: SharedSite) -> None:
    taken(shared, line("taken-1", created_by="ann"))
    other = line("taken-1", created_by="bob", title="Another", updated_at=LATER)
    told = taken(shared, other)
    assert (told["refused"], "another issue" in told["problems"][0]["why"]) == (1, True)
    assert shown(shared, "taken-1")["title"] == "T"


def test_lines_of_one_issue_are_merged_first(shared: SharedSite) -> None:
    one, two = line("twice-1", labels=["a"]), line("twice-1", labels=["b"], updated_at=LATER)
    assert taken(shared, one, two) == {"created": 1, "duplicates": 1}
    assert shown(shared, "twice-1")["labels"] == ["a", "b"]


def test_what_a_line_leaves_out_is_as_of_a_new_issue(shared: SharedSite) -> None:
    assert taken(shared, b'{"id": "bare-1", "title": "Bare"}') == {"created": 1}
    found = shown(shared, "bare-1")
    assert (found["status"], found["priority"], found["issue_type"]) == ("open", 2, "task")
    assert found["created_at"].startswith("20")


def test_a_line_without_a_time_takes_nothing_away(shared: SharedSite) -> None:
    bare = b'{"id": "bare-2", "title": "Bare"}'
    taken(shared, bare)
    headers = [("Content-Type", "application/json")]
    body = json.dumps({"actor": "ann", "description": "since"}).encode()
    shared.call("PUT", f"{ISSUES}/bare-2", headers=headers, body=[body])
    assert taken(shared, bare) == {"unchanged": 1}
    assert shown(shared, "bare-2")["description"] == "since"


def test_what_was_exported_comes_back_unchanged(shared: SharedSite) -> None:
    taken(shared, line("round-1", labels=["x"]))
    exported = shared.call("GET", f"{ISSUES}/export").body
    told = taken(shared, *exported.splitlines())
    assert set(told) == {"unchanged"}


def test_lines_have_to_say_that_they_are(shared: SharedSite) -> None:
    refused(send(shared, b"{}", kind="json"), 415, "unsupported_media_type")
    assert send(shared, line("kind-1"), kind="jsonl").status == 200
    refused(send(shared, b"x" * (1 << 20) + b"y"), 413, "body_too_large")
