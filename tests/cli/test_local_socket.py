"""Commands on the Unix socket of the data directory that they mean."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.client import Client, unix_url
from cli.exits import ExitCode
from storage.home import DataDir
from tests.cli.fake import Answer, FakeServer
from tests.cli.run import Run, event, workflow

LIST = "/api/v1/workflows"
ONE = f"{LIST}/wf-1"


@pytest.fixture
def held(tmp_path: Path) -> Iterator[DataDir]:
    with DataDir.resolve(data_dir=tmp_path / "data") as data:
        yield data


@pytest.fixture
def local(held: DataDir) -> Iterator[FakeServer]:
    """A server on the socket of the data directory."""
    with FakeServer(at=str(held.socket)) as running:
        yield running


def test_the_socket_is_preferred_to_the_port(
    beadflow: Run, held: DataDir, local: FakeServer, server: FakeServer
) -> None:
    held.announce(server.url, socket=str(held.socket))
    local.answers[f"GET {LIST}"] = Answer({"data": []})
    assert beadflow("workflow", "list", "--data-dir", str(held.path)).code == 0
    assert (len(local.seen), len(server.seen)) == (1, 0)
    assert local.seen[0].headers["host"] == "localhost"


def test_where_the_socket_cannot_be_seen_the_port_is_asked(
    beadflow: Run, held: DataDir, server: FakeServer
) -> None:
    held.announce(server.url, socket="/nowhere/beadflow.sock")
    server.answers[f"GET {LIST}"] = Answer({"data": []})
    assert beadflow("workflow", "list", "--data-dir", str(held.path)).code == 0
    assert len(server.seen) == 1


def test_a_server_that_is_named_wins_over_the_socket(
    beadflow: Run, held: DataDir, local: FakeServer, server: FakeServer
) -> None:
    held.announce("http://127.0.0.1:1", socket=str(held.socket))
    server.answers[f"GET {LIST}"] = Answer({"data": []})
    at = ("--data-dir", str(held.path), "--url", server.url)
    assert beadflow("workflow", "list", *at).code == 0
    assert (len(local.seen), len(server.seen)) == (0, 1)


def test_a_socket_can_be_named_as_a_url(beadflow: Run, local: FakeServer) -> None:
    local.answers[f"GET {LIST}"] = Answer({"data": []})
    assert beadflow("workflow", "list", "--url", f"unix:{local.at}").code == 0


def test_events_come_over_it(beadflow: Run, local: FakeServer) -> None:
    local.answers[f"GET {ONE}"] = [Answer(workflow()), Answer(workflow("completed"))]
    local.answers[f"GET {ONE}/results"] = Answer({"data": []})
    local.connections = [[[event(1, "workflow_completed")]]]
    ran = beadflow("workflow", "status", "wf-1", "--watch", "--url", f"unix:{local.at}")
    assert ran.code == 0, ran.err


def test_a_proxy_of_the_environment_is_not_asked(
    local: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    local.answers["GET /x"] = Answer({"here": True})
    with Client(unix_url(local.at)) as client:
        assert client.get("/x") == {"here": True}


# the HTTP library leaves what could not be connected to the garbage collector
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_socket_that_nobody_serves_is_unreachable_and_named(beadflow: Run) -> None:
    ran = beadflow("workflow", "list", "--url", "unix:/nowhere/no.sock")
    gc.collect()
    assert ran.code == ExitCode.UNREACHABLE
    assert "unix:/nowhere/no.sock" in ran.err


def test_a_record_of_another_version_is_understood_as_far_as_it_goes(held: DataDir) -> None:
    record = {"pid": 7, "url": "http://127.0.0.1:1", "colour": "red"}
    held.lock.write_text(json.dumps(record))
    found = held.read_holder()
    assert found is not None
    assert (found.pid, found.url, found.socket) == (7, "http://127.0.0.1:1", None)
