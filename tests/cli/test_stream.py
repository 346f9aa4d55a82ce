import contextlib
import threading
from collections.abc import Iterator

import httpx2
import pytest

from cli import stream
from cli.records import Event
from tests.cli.fake import Drop, FakeServer, Hold, problem
from tests.cli.run import event


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_IDLE_S", 0.01)


@pytest.fixture
def http(server: FakeServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        yield client


def read(http: httpx2.Client, after: int = 0, silence_s: float = 40) -> list[list[Event]]:
    """What one connection brings, until it drops."""
    frames = stream.batches(http, "wf-1", after, silence_s=silence_s)
    return [frame for frame in _until_dropped(frames) if frame is not None]


def _until_dropped(frames: Iterator[list[Event] | None]) -> Iterator[list[Event] | None]:
    try:
        yield from frames
    except stream.StreamDropped:
        return
    pytest.fail("the stream ended without saying how")


def test_each_frame_is_one_batch_and_an_empty_one_the_heartbeat(
    server: FakeServer, http: httpx2.Client
) -> None:
    server.connections = [[[event(1, "log"), event(2, "log")], [], [event(3, "log")]]]
    assert [[e.seq for e in frame] for frame in read(http)] == [[1, 2], [], [3]]


def test_a_connection_asks_for_one_workflow_from_where_it_left_off(
    server: FakeServer, http: httpx2.Client
) -> None:
    server.connections = [[]]
    read(http, after=41)
    assert server.seen[0].params == {"workflow_id": "wf-1", "after": "41"}


def test_a_large_burst_arrives_whole(server: FakeServer, http: httpx2.Client) -> None:
    burst = [event(seq, "log", message="x" * 1000) for seq in range(1, 501)]
    server.connections = [[burst]]
    assert len(read(http)[0]) == 500


def test_a_cut_connection_is_dropped(server: FakeServer, http: httpx2.Client) -> None:
    server.connections = [[[event(1, "log")], Drop()]]
    assert len(read(http)) == 1


def test_a_silent_connection_counts_as_dropped(server: FakeServer, http: httpx2.Client) -> None:
    server.connections = [[Hold()]]
    assert read(http, silence_s=0.02) == []


@pytest.mark.parametrize("frame", ["nonsense", "{}", '[{"type": "log"}]', "[1]"])
def test_a_frame_that_holds_no_events_ends_the_connection(
    server: FakeServer, http: httpx2.Client, frame: str
) -> None:
    server.connections = [[frame]]
    assert read(http) == []


def test_a_server_without_websockets_refuses(server: FakeServer, http: httpx2.Client) -> None:
    with pytest.raises(stream.StreamRefused):
        next(stream.batches(http, "wf-1", 0))


def test_a_server_in_trouble_is_worth_another_try(server: FakeServer, http: httpx2.Client) -> None:
    server.answers["GET /api/v1/events"] = problem(503, "Starting")
    assert read(http) == []


def test_nobody_listening_is_a_dropped_connection() -> None:
    with (
        httpx2.Client(base_url="http://127.0.0.1:1", trust_env=False) as http,
        pytest.raises(stream.StreamDropped),
    ):
        next(stream.batches(http, "wf-1", 0))


def test_leaving_a_stream_whose_server_hangs_leaves_no_thread_behind(
    server: FakeServer, http: httpx2.Client
) -> None:
    server.connections = [[Hold()]]
    before = set(threading.enumerate())
    with contextlib.closing(stream.batches(http, "wf-1", 0)) as frames:
        assert next(frames) is None
        ours = {
            t for t in threading.enumerate() if t not in before and "process_request" not in t.name
        }
    for thread in ours:
        thread.join(5)
    assert not any(thread.is_alive() for thread in ours)
