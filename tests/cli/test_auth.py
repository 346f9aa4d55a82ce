"""`beadflow auth …` and `beadflow audit`, against a server that says what a test tells it to."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from cli.exits import ExitCode
from tests.cli.fake import Answer, FakeServer, problem
from tests.cli.run import Run

KEYS = "/api/v1/auth/keys"
SECRET = "bf_7k2m9x_c2VjcmV0LWNhbmFyeS1vZi10aGUtdGVzdC1zdWl0ZS0xMjM"


def key(**more: Any) -> dict[str, Any]:
    return {
        "id": "7k2m9x",
        "name": "",
        "user_id": "ann",
        "roles": ["admin"],
        "scopes": None,
        "created_at": "2026-01-02T03:04:05.000000Z",
        "created_by": "ann",
        "expires_at": None,
        "last_used_at": None,
        "revoked_at": None,
        "revoked_by": None,
        **more,
    }


def line(seq: int, **more: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": "2026-01-02T03:04:05.000000Z",
        "actor": "ann",
        "action": "key.create",
        "target": "7k2m9x",
        "outcome": "done",
        "address": "local",
        "detail": {"user_id": "bob"},
        "previous": "0" * 64,
        "hash": "1" * 64,
        **more,
    }


@pytest.fixture
def at(server: FakeServer) -> tuple[str, str]:
    server.answers[f"POST {KEYS}"] = Answer(key(secret=SECRET), status=201)
    return ("--url", server.url)


def test_a_key_is_made_and_shown_once(
    beadflow: Run, server: FakeServer, at: tuple[str, str]
) -> None:
    ran = beadflow("auth", "key", "create", "--user", "ann", "--role", "admin", *at)
    assert ran.code == 0, ran.err
    assert ran.out.count(SECRET) == 1
    assert SECRET not in ran.err
    assert server.seen[0].body == {"user_id": "ann", "roles": ["admin"]}
    assert "idempotency-key" not in server.seen[0].headers  # no answer with a key in it is kept


def test_all_that_is_given_is_sent(beadflow: Run, server: FakeServer, at: tuple[str, str]) -> None:
    given = ("--role", "viewer", "--role", "agent", "--scope", "issue:read", "--name", "ci")
    ends = ("--expires", "2999-01-02T03:04:05Z")
    assert beadflow("auth", "key", "create", "--user", "bob", *given, *ends, *at).code == 0
    assert server.seen[0].body == {
        "user_id": "bob",
        "roles": ["viewer", "agent"],
        "scopes": ["issue:read"],
        "name": "ci",
        "expires_at": "2999-01-02T03:04:05Z",
    }


def test_a_span_is_from_now_on(beadflow: Run, server: FakeServer, at: tuple[str, str]) -> None:
    more = ("--role", "viewer", "--expires", "30d")
    assert beadflow("auth", "key", "create", "--user", "bob", *more, *at).code == 0
    assert server.seen[0].body["expires_at"].endswith("Z")


@pytest.mark.parametrize(
    "words",
    [
        ("--user", "ann"),
        ("--role", "admin"),
        ("--user", "ann", "--role", "king"),
        ("--user", "ann", "--role", "admin", "--expires", "soon"),
    ],
    ids=["no role", "no user", "no such role", "no moment"],
)
def test_what_cannot_be_meant_is_not_sent(
    beadflow: Run, server: FakeServer, at: tuple[str, str], words: tuple[str, ...]
) -> None:
    assert beadflow("auth", "key", "create", *words, *at).code == ExitCode.USAGE
    assert not server.seen


def test_a_key_may_go_into_a_file_that_only_its_owner_reads(
    beadflow: Run, at: tuple[str, str], tmp_path: Path
) -> None:
    to = tmp_path / "ann.key"
    create = ("auth", "key", "create", "--user", "ann", "--role", "admin", "--to", str(to))
    ran = beadflow(*create, *at, "-o", "json")
    assert ran.code == 0, ran.err
    assert SECRET not in ran.out + ran.err
    assert to.read_text() == f"{SECRET}\n"
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert beadflow("workflow", "list", "--key-file", str(to), *at).code == ExitCode.NOT_FOUND


def test_a_file_that_is_there_is_left_alone_and_no_key_is_made(
    beadflow: Run, server: FakeServer, at: tuple[str, str], tmp_path: Path
) -> None:
    to = tmp_path / "ann.key"
    to.write_text("mine")
    create = ("auth", "key", "create", "--user", "ann", "--role", "admin", "--to", str(to))
    assert beadflow(*create, *at).code == ExitCode.USAGE
    assert to.read_text() == "mine"
    assert not server.seen


def test_no_file_is_left_where_no_key_was_made(
    beadflow: Run, server: FakeServer, at: tuple[str, str], tmp_path: Path
) -> None:
    server.answers[f"POST {KEYS}"] = problem(403, "No", code="forbidden")
    to = tmp_path / "ann.key"
    create = ("auth", "key", "create", "--user", "ann", "--role", "admin", "--to", str(to))
    assert beadflow(*create, *at).code == ExitCode.AUTH
    assert not to.exists()


def test_keys_are_listed_with_what_became_of_them(
    beadflow: Run, server: FakeServer, at: tuple[str, str]
) -> None:
    keys = [
        key(),
        key(id="b", revoked_at="2026-01-03T00:00:00Z"),
        key(id="c", expires_at="2000-01-01T00:00:00Z"),
    ]
    server.answers[f"GET {KEYS}"] = Answer({"data": keys})
    ran = beadflow("auth", "key", "list", "--user", "ann", *at)
    states = [word for word in ran.out.split() if word in {"active", "revoked", "ended"}]
    assert states == ["active", "revoked", "ended"]
    assert server.seen[0].params == {"user_id": "ann"}


def test_several_keys_are_ended_each_by_itself(
    beadflow: Run, server: FakeServer, at: tuple[str, str]
) -> None:
    server.answers[f"DELETE {KEYS}/b"] = Answer(key(id="b", revoked_at="2026-01-03T00:00:00Z"))
    server.answers[f"DELETE {KEYS}/x"] = problem(404, "Not found", code="not_found")
    ran = beadflow("auth", "key", "revoke", "x", "b", *at, "-o", "json")
    assert ran.code == ExitCode.NOT_FOUND
    assert [each["id"] for each in ran.json["data"]] == ["b"]


@pytest.mark.parametrize("word", ["", "a/../b", "..", SECRET])
def test_what_is_no_id_is_not_asked_for_nor_shown(
    beadflow: Run, server: FakeServer, at: tuple[str, str], word: str
) -> None:
    ran = beadflow("auth", "key", "revoke", word, *at)
    assert ran.code == ExitCode.USAGE
    assert SECRET not in ran.err + ran.out
    assert not server.seen


def test_a_token_is_printed_alone(
    beadflow: Run, server: FakeServer, at: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_API_KEY", SECRET)
    pair = {"access_token": "a.b.c", "expires_in": 60, "refresh_token": "r"}
    server.answers["POST /api/v1/auth/token"] = Answer(pair)
    ran = beadflow("auth", "token", "--scope", "issue:read", "--expires-in", "60", *at)
    assert (ran.code, ran.out) == (0, "a.b.c\n")
    (seen,) = server.seen
    assert seen.body == {"key": SECRET, "scopes": ["issue:read"], "expires_in": 60}
    assert "authorization" not in seen.headers


def test_without_a_key_there_is_nothing_to_exchange(
    beadflow: Run, server: FakeServer, at: tuple[str, str]
) -> None:
    ran = beadflow("auth", "token", *at)
    assert ran.code == ExitCode.USAGE
    assert "WORKFLOW_API_KEY" in ran.err
    assert not server.seen


def test_a_key_is_not_exchanged_where_others_could_read_it(
    beadflow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_API_KEY", SECRET)
    ran = beadflow("auth", "token", "--url", "http://beadflow.example.org")
    assert ran.code == ExitCode.USAGE
    assert "https" in ran.err


def test_who_one_is_is_shown(beadflow: Run, server: FakeServer, at: tuple[str, str]) -> None:
    server.answers["GET /api/v1/auth/me"] = Answer(
        {
            "user_id": "ann",
            "roles": ["viewer"],
            "permissions": ["issue:read"],
            "via": "token",
            "credential": "j",
            "key_id": "7k2m9x",
            "expires_at": 32503680000.0,
        }
    )
    ran = beadflow("auth", "whoami", *at)
    assert ran.code == 0, ran.err
    assert all(word in ran.out for word in ("ann", "viewer", "issue:read", "token", "3000-01-01"))


def test_why_is_answered_in_sentences(
    beadflow: Run, server: FakeServer, at: tuple[str, str]
) -> None:
    server.answers["GET /api/v1/auth/why"] = Answer(
        {
            "principal": "ann",
            "action": "POST /api/v1/workflows",
            "permission": "workflow:write",
            "allowed": False,
            "why": ["key 7k2m9x: its scopes leave workflow:write out"],
            "grants": [],
        }
    )
    ran = beadflow("auth", "why", "ann", "POST /api/v1/workflows", *at)
    assert ran.code == 0
    assert "its scopes leave workflow:write out" in ran.out
    assert server.seen[0].params == {"principal": "ann", "action": "POST /api/v1/workflows"}


def test_tokens_are_signed_with_a_new_key(
    beadflow: Run, server: FakeServer, at: tuple[str, str]
) -> None:
    made = {"kid": "k2", "algorithm": "HS256", "created_at": "", "signs": True, "retires_at": None}
    server.answers["POST /api/v1/auth/signing-keys"] = Answer(made, status=201)
    assert "k2" in beadflow("auth", "rotate", *at).out


def test_the_audit_log_is_read_over_its_pages(
    beadflow: Run, server: FakeServer, at: tuple[str, str]
) -> None:
    server.answers["GET /api/v1/audit"] = [
        Answer({"data": [line(1)], "next_after": 1}),
        Answer({"data": [line(2, outcome="refused")], "next_after": None}),
    ]
    ran = beadflow("audit", "--user", "ann", "-n", "201", *at, "-o", "json")
    assert [each["seq"] for each in ran.json["data"]] == [1, 2]
    assert [seen.params for seen in server.seen] == [
        {"actor": "ann", "after": "0", "limit": "200"},
        {"actor": "ann", "after": "1", "limit": "200"},
    ]


def test_a_part_of_the_audit_log_says_where_it_goes_on(
    beadflow: Run, server: FakeServer, at: tuple[str, str]
) -> None:
    server.answers["GET /api/v1/audit"] = Answer({"data": [line(1)], "next_after": 1})
    ran = beadflow("audit", "-n", "1", *at)
    assert "--after 1" in ran.err
    assert json.dumps({"user_id": "bob"}) in ran.out


@pytest.mark.parametrize(("broken", "code"), [(None, 0), (7, 1)])
def test_whether_the_audit_log_holds_is_in_the_exit_code(
    beadflow: Run, server: FakeServer, at: tuple[str, str], broken: int | None, code: int
) -> None:
    why = "" if broken is None else "its hash is not that of what it says"
    verdict = {"records": 9, "head": "f" * 64, "broken_at": broken, "why": why}
    server.answers["GET /api/v1/audit/verify"] = Answer(verdict)
    ran = beadflow("audit", "--verify", *at)
    assert ran.code == code
    assert why in ran.err
    assert "f" * 64 in ran.out


@pytest.mark.parametrize("words", [("--verify", "--user", "ann"), ("-n", "0")])
def test_options_that_do_not_go_together_are_refused(
    beadflow: Run, server: FakeServer, at: tuple[str, str], words: tuple[str, ...]
) -> None:
    assert beadflow("audit", *words, *at).code == ExitCode.USAGE
    assert not server.seen


@pytest.mark.parametrize(
    "words", [("auth", "whoami"), ("auth", "rotate"), ("auth", "why", "a", "b"), ("audit",)]
)
def test_what_only_a_server_knows_needs_one(beadflow: Run, words: tuple[str, ...]) -> None:
    assert beadflow(*words).code == ExitCode.UNREACHABLE
