"""Keys and tokens of a command: where they come from, where they go, and where they never are."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from cli import credentials
from cli.client import Client
from cli.credentials import Credential
from cli.exits import ExitCode
from cli.problem import Problem
from storage.home import DataDir
from tests.cli.fake import Answer, FakeServer, problem
from tests.cli.run import Run, event, workflow

KEY = "bf_0123456789abcdef_c2VjcmV0LWNhbmFyeS1vZi10aGUtdGVzdC1zdWl0ZS0xMjM"
TOKEN = "/api/v1/auth/token"
REFRESH = "/api/v1/auth/refresh"
LIST = "/api/v1/workflows"


def pair(number: int = 1, **more: object) -> Answer:
    body = {"access_token": f"access-{number}", "token_type": "Bearer", "expires_in": 900}
    return Answer({**body, "refresh_token": f"refresh-{number}", **more})


@pytest.fixture
def keyed(server: FakeServer) -> FakeServer:
    """A server that gives tokens."""
    server.answers[f"POST {TOKEN}"] = [pair(1), pair(2)]
    server.answers[f"POST {REFRESH}"] = pair(3)
    server.answers[f"GET {LIST}"] = Answer({"data": []})
    return server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    return path


def shown(server: FakeServer, path: str = LIST) -> list[str]:
    return [seen.headers.get("authorization", "") for seen in server.seen if seen.path == path]


def test_a_key_of_the_environment_is_exchanged_once_and_its_token_is_shown(
    beadflow: Run, keyed: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_API_KEY", KEY)
    assert beadflow("workflow", "list", "--url", keyed.url).code == 0
    assert shown(keyed, TOKEN) == [f"Bearer {KEY}"]
    assert shown(keyed) == ["Bearer access-1"]


def test_a_key_of_a_file_wins_over_the_environment(
    beadflow: Run, keyed: FakeServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_API_KEY", "bf_other_key")
    assert beadflow("workflow", "list", "--url", keyed.url, "--key-file", str(file)).code == 0
    assert shown(keyed, TOKEN) == [f"Bearer {KEY}"]


def test_a_token_is_shown_as_it_is(keyed: FakeServer) -> None:
    with Client(keyed.url, credential="a.b.c") as client:
        client.get(LIST)
    assert shown(keyed) == ["Bearer a.b.c"]
    assert not shown(keyed, TOKEN)


def test_without_a_key_nothing_is_shown(beadflow: Run, keyed: FakeServer) -> None:
    assert beadflow("workflow", "list", "--url", keyed.url).code == 0
    assert shown(keyed) == [""]


def test_the_server_of_this_machines_own_data_is_shown_no_key(
    beadflow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_API_KEY", KEY)
    with (
        DataDir.resolve(data_dir=tmp_path / "data") as data,
        FakeServer(at=str(data.socket)) as own,
    ):
        data.announce("http://127.0.0.1:1", socket=str(data.socket))
        own.answers[f"GET {LIST}"] = Answer({"data": []})
        assert beadflow("workflow", "list", "--data-dir", str(data.path)).code == 0
    assert shown(own) == [""]


class Clock:
    """Of a client; it stands until somebody moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def http(keyed: FakeServer, clock: Clock) -> Iterator[httpx2.Client]:
    auth = Credential(KEY, httpx2.URL(keyed.url), now_s=clock)
    with httpx2.Client(base_url=keyed.url, auth=auth) as opened:
        yield opened


def test_a_token_is_renewed_before_it_ends(
    http: httpx2.Client, keyed: FakeServer, clock: Clock
) -> None:
    http.get(LIST)
    clock.now_s += 869
    http.get(LIST)
    clock.now_s += 1
    http.get(LIST)
    assert shown(keyed) == ["Bearer access-1", "Bearer access-1", "Bearer access-3"]
    assert [seen.body for seen in keyed.requests("POST", REFRESH)] == [
        {"refresh_token": "refresh-1"}
    ]


def test_the_key_gets_a_new_token_where_the_refresh_is_refused(
    http: httpx2.Client, keyed: FakeServer, clock: Clock
) -> None:
    keyed.answers[f"POST {REFRESH}"] = problem(401, "No", code="unauthenticated")
    http.get(LIST)
    clock.now_s += 900
    http.get(LIST)
    assert shown(keyed) == ["Bearer access-1", "Bearer access-2"]


def test_a_refresh_token_is_not_sent_a_second_time_after_its_answer_was_lost(
    http: httpx2.Client, keyed: FakeServer, clock: Clock
) -> None:
    keyed.answers[f"POST {REFRESH}"] = Answer(raw=b"<html>")
    http.get(LIST)
    clock.now_s += 900
    with pytest.raises(Problem, match="cannot be read"):
        http.get(LIST)
    http.get(LIST)
    assert len(keyed.requests("POST", REFRESH)) == 1
    assert shown(keyed)[-1] == "Bearer access-2"


def test_a_token_that_is_refused_is_replaced_once(http: httpx2.Client, keyed: FakeServer) -> None:
    refused = problem(401, "No", code="unauthenticated")
    keyed.answers[f"POST {LIST}"] = [refused, Answer({"done": True})]
    assert http.post(LIST, json={"x": 1}).json() == {"done": True}
    assert shown(keyed) == ["Bearer access-1", "Bearer access-2"]
    assert [seen.body for seen in keyed.requests("POST", LIST)] == [{"x": 1}] * 2
    keyed.answers[f"POST {LIST}"] = refused
    assert http.post(LIST, json={}).status_code == 401


def test_what_was_read_from_a_file_is_not_sent_again(
    http: httpx2.Client, keyed: FakeServer
) -> None:
    keyed.answers[f"PUT {LIST}"] = problem(401, "No", code="unauthenticated")
    body = iter([b"{", b"}"])
    assert http.put(LIST, content=body, headers={"Content-Length": "2"}).status_code == 401
    assert len(keyed.requests("PUT", LIST)) == 1


def test_a_stream_carries_the_token(
    beadflow: Run, keyed: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_API_KEY", KEY)
    keyed.answers[f"GET {LIST}/wf-1"] = [Answer(workflow()), Answer(workflow("completed"))]
    keyed.answers[f"GET {LIST}/wf-1/results"] = Answer({"data": []})
    keyed.connections = [[[event(1, "workflow_completed")]]]
    assert beadflow("workflow", "status", "wf-1", "--watch", "--url", keyed.url).code == 0
    assert shown(keyed, "/api/v1/events") == ["Bearer access-1"]
    assert len(shown(keyed, TOKEN)) == 1


def test_a_key_that_opens_nothing_is_not_signed_in(
    beadflow: Run, keyed: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_API_KEY", KEY)
    keyed.answers[f"POST {TOKEN}"] = problem(401, "Unauthorized", code="unauthenticated")
    ran = beadflow("workflow", "list", "--url", keyed.url, "-o", "json")
    assert ran.code == ExitCode.AUTH
    assert KEY not in ran.out + ran.err


def test_who_shows_no_key_is_told_how_to(beadflow: Run, keyed: FakeServer) -> None:
    keyed.answers[f"GET {LIST}"] = problem(401, "Unauthorized", code="unauthenticated")
    ran = beadflow("workflow", "list", "--url", keyed.url)
    assert ran.code == ExitCode.AUTH
    assert "WORKFLOW_API_KEY" in ran.err


@pytest.mark.parametrize("key", ["  ", "bf_ü", "bf_a b", "bf_a\nX-Evil: 1", "x" * 9000])
def test_what_cannot_be_a_key_is_refused_and_not_shown(
    beadflow: Run, keyed: FakeServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("WORKFLOW_API_KEY", key)
    ran = beadflow("workflow", "list", "--url", keyed.url)
    assert ran.code == ExitCode.USAGE
    assert key.strip() == "" or key not in ran.err
    assert not keyed.seen


def test_a_key_file_that_others_can_read_is_refused(
    beadflow: Run, keyed: FakeServer, file: Path
) -> None:
    file.chmod(0o640)
    ran = beadflow("workflow", "list", "--url", keyed.url, "--key-file", str(file))
    assert ran.code == ExitCode.USAGE
    assert "chmod 600" in ran.err
    assert KEY not in ran.err


@pytest.mark.parametrize("kind", ["missing", "directory", "empty"])
def test_a_key_file_that_holds_none_is_refused(
    beadflow: Run, keyed: FakeServer, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / kind
    if kind == "directory":
        path.mkdir()
    elif kind == "empty":
        path.touch(0o600)
    ran = beadflow("workflow", "list", "--url", keyed.url, "--key-file", str(path))
    assert ran.code == ExitCode.USAGE
    assert str(path) in ran.err


def test_a_key_is_not_sent_where_others_could_read_it(
    beadflow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_API_KEY", KEY)
    ran = beadflow("workflow", "list", "--url", "http://beadflow.example.org:8080")
    assert ran.code == ExitCode.USAGE
    assert "https" in ran.err


@pytest.mark.parametrize(
    "url", ["https://beadflow.example.org", "http://127.0.0.1:8080", "http://[::1]:8080"]
)
def test_a_key_is_sent_by_tls_and_on_this_machine(url: str) -> None:
    Client(url, credential=KEY).close()


def test_an_operator_may_say_that_a_network_is_his(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOW_PLAIN_HTTP", "1")
    Client("http://10.0.0.1:8080", credential=KEY).close()


def test_a_password_in_a_url_is_refused_and_not_shown(beadflow: Run) -> None:
    ran = beadflow("workflow", "list", "--url", "http://ann:canary@127.0.0.1:1")
    assert ran.code == ExitCode.USAGE
    assert "canary" not in ran.err


def test_a_credential_shows_nothing_of_itself(keyed: FakeServer) -> None:
    assert KEY not in repr(Credential(KEY, httpx2.URL(keyed.url)))


def test_a_pipe_in_place_of_the_key_file_is_not_waited_for(tmp_path: Path) -> None:

    os.mkfifo(tmp_path / "key", 0o600)
    with pytest.raises(Problem, match="cannot be read"):
        credentials.of(tmp_path / "key")
