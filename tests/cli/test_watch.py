import json
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import pytest

from cli import records, stream
from cli.client import Client
from cli.exits import ExitCode
from cli.problem import Problem
from cli.progress import Progress
from cli.records import Event, Workflow
from cli.watch import Detached, Watch
from tests.cli.fake import Answer, Drop, FakeServer, Hold, problem
from tests.cli.run import event, workflow

PATH = "GET /api/v1/workflows/wf-1"
EVENTS = ("GET", "/api/v1/events")


class Seen:
    """A view that remembers."""

    def __init__(self) -> None:
        self.events: list[int] = []
        self.states: list[str] = []
        self.notes: list[str] = []
        self.progress = Progress()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def show(self, workflow: Workflow, progress: Progress) -> None:
        self.progress = progress
        if self.states[-1:] != [workflow.status]:
            self.states.append(workflow.status)

    def happened(self, event: Event) -> None:
        self.events.append(event.seq)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_IDLE_S", 0.01)


@pytest.fixture
def view() -> Seen:
    return Seen()


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(server.url) as opened:
        yield opened


def watching(client: Client, view: Seen, **how: Any) -> Watch:
    how = {"pause": lambda _: None, **how}
    return Watch(client, records.workflow(workflow("queued")), view, **how)


def becomes(*states: str) -> list[Answer]:
    return [Answer(workflow(state)) for state in states]


def test_events_are_shown_in_order_until_the_workflow_has_ended(
    server: FakeServer, client: Client, view: Seen
) -> None:
    server.answers[PATH] = becomes("active", "completed")
    server.connections = [
        [
            [event(1, "workflow_started"), event(2, "step_started", step="a")],
            [event(3, "step_completed", step="a"), event(4, "workflow_completed")],
        ]
    ]
    ended = watching(client, view).run()
    assert ended.succeeded
    assert view.events == [1, 2, 3, 4]
    assert view.states == ["queued", "active", "completed"]


def test_a_dropped_connection_is_resumed_after_the_last_event(
    server: FakeServer, client: Client, view: Seen
) -> None:
    server.answers[PATH] = becomes("active", "completed")
    server.connections = [
        [[event(1, "log"), event(2, "log")], Drop()],
        [[event(2, "log"), event(3, "workflow_completed")]],
    ]
    watching(client, view).run()
    assert view.events == [1, 2, 3]
    assert [seen.params["after"] for seen in server.requests(*EVENTS)] == ["0", "2"]


def test_a_log_that_does_not_go_back_to_the_last_event_is_followed_from_its_end(
    server: FakeServer, client: Client, view: Seen
) -> None:
    server.answers[PATH] = becomes("active", "active", "active", "completed")
    lost = {"op": "reset", "after": 80, "forgotten": 0, "last": 9}
    server.connections = [
        [[event(80, "log")], Drop()],
        [json.dumps(lost), [event(10, "log")], Drop()],
        [[event(11, "workflow_completed")]],
    ]
    watching(client, view).run()
    assert view.events == [80, 10, 11]
    assert any("the log ends at 9, before 80" in note for note in view.notes)
    assert [seen.params["after"] for seen in server.requests(*EVENTS)] == ["0", "80", "10"]


def test_where_websockets_are_refused_the_workflow_is_asked_for_instead(
    server: FakeServer, client: Client, view: Seen
) -> None:
    server.answers[PATH] = becomes("active", "active", "failed")
    pauses: list[float] = []
    ended = watching(client, view, pause=pauses.append).run()
    assert not ended.succeeded
    assert len(server.requests(*EVENTS)) == 1
    assert set(pauses[1:]) == {1.0}


def test_a_heartbeat_notices_an_end_that_no_event_told(
    server: FakeServer, client: Client, view: Seen
) -> None:
    server.answers[PATH] = becomes("cancelled")
    server.connections = [[[], Hold()]]
    assert watching(client, view).run().status == "cancelled"


def test_an_ended_workflow_whose_record_lags_behind_is_asked_again(
    server: FakeServer, client: Client, view: Seen
) -> None:
    server.answers[PATH] = becomes("active", "active", "completed")
    server.connections = [[[event(1, "workflow_completed")], Hold()]]
    assert watching(client, view).run().succeeded


def test_events_before_the_last_one_are_still_shown_when_the_end_is_known_early(
    server: FakeServer, client: Client, view: Seen
) -> None:
    server.answers[PATH] = becomes("completed")
    server.connections = [
        [[event(1, "workflow_started")], [event(2, "log")], [event(3, "workflow_completed")]]
    ]
    watching(client, view).run()
    assert view.events == [1, 2, 3]


def test_a_workflow_that_has_ended_already_needs_no_connection(
    server: FakeServer, client: Client, view: Seen
) -> None:
    done = records.workflow(workflow("completed"))
    assert Watch(client, done, view).run() is done
    assert server.seen == []


def test_a_server_that_comes_back_is_waited_for(
    server: FakeServer, client: Client, view: Seen
) -> None:
    away = problem(503, "Starting", retryable=True)
    server.answers[PATH] = [away, away, Answer(workflow("completed"))]
    server.connections = [[Drop()], [Drop()], [Drop()]]
    assert watching(client, view).run().succeeded
    assert len(view.notes) == 1


def test_pauses_grow_while_the_server_is_away(
    server: FakeServer, client: Client, view: Seen
) -> None:
    away = problem(503, "Starting", retryable=True)
    server.answers[PATH] = [away] * 6 + becomes("completed")
    server.connections = [[Drop()] for _ in range(7)]
    pauses: list[float] = []
    watching(client, view, pause=pauses.append).run()
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_server_that_stays_away_is_given_up_with_a_way_back(view: Seen) -> None:
    with Client("http://127.0.0.1:1") as client, pytest.raises(Problem) as lost:
        watching(client, view, patience_s=0.0).run()
    assert lost.value.exit_code is ExitCode.UNREACHABLE
    assert "beadflow workflow status wf-1 --watch" in lost.value.hint


def test_a_workflow_that_is_gone_ends_the_watch(
    server: FakeServer, client: Client, view: Seen
) -> None:
    server.connections = [[[]]]
    with pytest.raises(Problem) as gone:
        watching(client, view).run()
    assert gone.value.exit_code is ExitCode.NOT_FOUND


def _stopping(stop: threading.Event) -> Callable[[float], None]:
    return lambda _: stop.set()


def test_a_watch_is_stopped_between_connections(
    server: FakeServer, client: Client, view: Seen
) -> None:
    stop = threading.Event()
    server.answers[PATH] = becomes("active")
    server.connections = [[Drop()]]
    with pytest.raises(Detached):
        watching(client, view, stop=stop, pause=_stopping(stop)).run()


def test_a_watch_is_stopped_while_nothing_happens(
    server: FakeServer, client: Client, view: Seen
) -> None:
    stop = threading.Event()
    server.connections = [[stop.set, Hold()]]
    with pytest.raises(Detached):
        watching(client, view, stop=stop).run()
