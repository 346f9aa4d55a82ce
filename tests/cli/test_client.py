import socket
import threading
from collections.abc import Iterator

import pytest

from cli.client import Client
from cli.exits import ExitCode
from cli.problem import Problem
from tests.cli.fake import Answer, FakeServer, problem


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(server.url) as opened:
        yield opened


def refused(client: Client, path: str = "/x") -> Problem:
    with pytest.raises(Problem) as raised:
        client.get(path)
    return raised.value


def test_a_read_sends_its_parameters_and_returns_the_object(
    server: FakeServer, client: Client
) -> None:
    server.answers["GET /x"] = Answer({"data": [1]})
    assert client.get("/x", {"limit": 2}) == {"data": [1]}
    assert server.seen[0].params == {"limit": "2"}


def test_a_post_carries_its_body_and_its_key(server: FakeServer, client: Client) -> None:
    server.answers["POST /x"] = Answer({"id": 1}, status=201)
    client.post("/x", {"title": "ü"}, key="k-1")
    assert server.seen[0].body == {"title": "ü"}
    assert server.seen[0].headers["idempotency-key"] == "k-1"


def test_a_problem_document_becomes_a_problem(server: FakeServer, client: Client) -> None:
    server.answers["GET /x"] = problem(409, "Conflict", detail="taken", code="claimed")
    assert refused(client).code == "claimed"


@pytest.mark.parametrize("raw", [b"<html>", b"", b"[1]", b"3"])
def test_an_answer_that_is_no_object_is_refused(
    server: FakeServer, client: Client, raw: bytes
) -> None:
    server.answers["GET /x"] = Answer(raw=raw)
    assert refused(client).code == "unreadable_answer"


def test_nobody_listening_is_unreachable_and_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}") as client:
        problem = refused(client)
    assert problem.exit_code is ExitCode.UNREACHABLE
    assert problem.retryable
    assert "beadflow up" in problem.hint


def test_a_server_that_stays_silent_is_given_up_in_time() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05) as client,
    ):
        assert refused(client).exit_code is ExitCode.CANCELLED


def test_a_broken_connection_is_tried_once_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=_break_then_answer, args=(listener,))
        serving.start()
        with Client(f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            assert client.post("/x", {}, key="k") == {"tried": 2}
        serving.join()


def test_what_may_not_be_done_twice_is_not_sent_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=_break, args=(listener,))
        serving.start()
        with (
            Client(f"http://127.0.0.1:{listener.getsockname()[1]}") as client,
            pytest.raises(Problem) as raised,
        ):
            client.send("POST", "/x", {})
        serving.join()
    assert raised.value.exit_code is ExitCode.UNREACHABLE
    assert raised.value.code == "outcome_unknown"
    assert "look before you ask again" in raised.value.hint


def _break(listener: socket.socket) -> None:
    first, _ = listener.accept()
    first.recv(65536)
    first.close()


def _break_then_answer(listener: socket.socket) -> None:
    first, _ = listener.accept()
    first.recv(65536)
    first.close()
    second, _ = listener.accept()
    with second:
        second.recv(65536)
        second.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"tried": 2}')


@pytest.mark.parametrize(
    "url", ["", "unix:", "unix:x.sock", "127.0.0.1:8080", "ftp://x", "http://", "http://[::1"]
)
def test_what_is_no_url_is_wrong_usage(url: str) -> None:
    with pytest.raises(Problem) as raised:
        Client(url)
    assert raised.value.exit_code is ExitCode.USAGE


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    server.answers["GET /x"] = Answer({})
    with Client(server.url) as client:
        assert client.get("/x") == {}
