import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from cli import actors, branches, table
from cli.output import Output
from cli.tree import Tree
from tests.cli.fake import Answer, FakeServer, problem
from tests.cli.run import Run, actor, tree

GET = "GET /api/v1/actors"


LETTER = {
    "path": "root/bus",
    "message_type": "Wake",
    "reason": "crash: Boom: no",
    "at": "2025-03-01T10:00:00.250000Z",
}
AGAIN = {"restarts": 2, "last_exit": "crash: no", "state": "restarting", "uptime_s": 0.0}
BARE = {"mailbox": {"depth": 0, "bound": 0}, "memory_bytes": 0}


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    server.answers[GET] = Answer(tree())
    return server


# --- once


def test_the_tree_is_drawn_with_aligned_columns(beadflow: Run, at: FakeServer) -> None:
    at.answers[GET] = Answer(tree(more=9_900, **AGAIN, **BARE))
    ran = beadflow("actors")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "ACTOR                 STATE       RESTARTS  MAILBOX  HANDLED     UP   MEMORY  LAST EXIT",
        "root                  running                3/1000       12  3m05s  3.1 KiB",
        "├── bus               restarting         2                                    crash: no",
        "└── engine            running                3/1000       12  3m05s  3.1 KiB",
        "    ├── a             running                3/1000       12  3m05s  3.1 KiB",
        "    ├── b             running                3/1000       12  3m05s  3.1 KiB",
        "    └── … 9,900 more",
        "",
        "actors        5: 5 running; 9,900 more are not shown",
    ]


def test_messages_that_were_turned_away_stand_beside_those_that_wait(
    beadflow: Run, at: FakeServer
) -> None:
    at.answers[GET] = Answer(tree(refused=7))
    assert "  7 refused, 3/1000  " in beadflow("actors").out


def test_dead_letters_are_told_with_the_last_of_them(beadflow: Run, at: FakeServer) -> None:
    letters = {"count": 1200, "recent": [{**LETTER, "path": "root/old"}, LETTER]}
    at.answers[GET] = Answer({**tree(), "dead_letters": letters})
    told = "1,200; the last: Wake to root/bus at 2025-03-01 10:00:00Z (crash: Boom: no)"
    assert f"dead letters  {told}\n" in beadflow("actors").out


def test_what_was_asked_for_is_sent_and_the_rest_is_left_to_the_server(
    beadflow: Run, at: FakeServer
) -> None:
    beadflow("actors", "root/engine", "--depth", "0", "--limit", "7")
    beadflow("actors")
    assert [seen.params for seen in at.requests("GET", "/api/v1/actors")] == [
        {"path": "root/engine", "depth": "0", "limit": "7"},
        {},
    ]


def test_the_tree_in_json_is_the_servers_own_object(beadflow: Run, at: FakeServer) -> None:
    at.answers[GET] = Answer({**tree(), "new_field": 1})
    ran = beadflow("actors", "-o", "json")
    assert ran.json == {"schema": "beadflow.actors/1", "data": {**tree(), "new_field": 1}}


def test_an_unknown_actor_is_not_found(beadflow: Run, at: FakeServer) -> None:
    at.answers[GET] = problem(404, "Not Found", detail="there is no actor at x", code="unknown")
    ran = beadflow("actors", "x")
    assert (ran.code, ran.out) == (6, "")
    assert "there is no actor at x" in ran.err


def test_without_a_server_there_is_no_tree(beadflow: Run) -> None:
    ran = beadflow("actors")
    assert (ran.code, ran.out) == (9, "")
    assert "Nobody is there to show the actors" in ran.err
    assert "beadflow up" in ran.err


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"tree": [], "totals": {"by_state": {}}, "dead_letters": {}},
        {**tree(), "tree": {}},
        {**tree(), "totals": {}},
        {**tree(), "dead_letters": {"recent": [1]}},
    ],
    ids=["nothing", "no actor", "no id", "no totals", "no letter"],
)
def test_an_answer_that_is_no_tree_is_told(
    beadflow: Run, at: FakeServer, broken: dict[str, Any]
) -> None:
    at.answers[GET] = Answer(broken)
    ran = beadflow("actors")
    assert (ran.code, ran.out) == (1, "")
    assert "cannot be read" in ran.err


def test_what_actors_are_called_cannot_steer_the_terminal(beadflow: Run, at: FakeServer) -> None:
    nasty = tree(id="\x1b[2J\x9bx\nb", last_exit="crash: \x1b]0;x\x07\r\n[bold]", restarts=1)
    nasty["dead_letters"] = {"count": 1, "recent": [{**LETTER, "path": "\x1b[31m"}]}
    at.answers[GET] = Answer(nasty)
    out = beadflow("actors").out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)
    assert r"├── \x1b[2J\x9bx b" in out
    assert len(out.splitlines()) == len(beadflow("actors").out.splitlines()) == 9


def test_a_narrow_terminal_cuts_the_last_exit_and_no_name() -> None:
    root = Tree.parse(tree(last_exit="crash: Boom: " + "no " * 50, restarts=1)).root
    lines = [line.plain for line in table.lines(branches.COLUMNS, branches.rows(root), 80)]
    assert [line for line in lines if "crash: Boom" in line and line.endswith("…")]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (3174, "3.1 KiB"),
        (1024**2, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (2 * 1024**5, "2097152.0 GiB"),
    ],
)
def test_sizes_are_shown_in_the_unit_that_fits(size_bytes: int, shown: str) -> None:
    assert branches.size(size_bytes) == shown


# --- again and again


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes watching end with Ctrl-C after so many looks, without any waiting."""

    def end_after(count: int) -> None:
        left = iter(range(count - 1))

        def sleep(seconds: float) -> None:
            assert seconds == 1.0
            if next(left, None) is None:
                raise KeyboardInterrupt

        monkeypatch.setattr("time.sleep", sleep)

    return end_after


def test_watching_prints_a_tree_when_something_happened_and_only_then(
    beadflow: Run, at: FakeServer, looks: Callable[[int], None]
) -> None:
    at.answers[GET] = [
        Answer(tree()),
        Answer(tree(handled=13, uptime_s=186.0, memory_bytes=4000)),
        Answer(tree(**AGAIN)),
        Answer(tree(**{**AGAIN, "state": "running"})),
    ]
    looks(5)
    ran = beadflow("actors", "--watch")
    assert ran.code == 130
    assert len(at.seen) == 5
    assert ran.out.count("ACTOR") == 3
    assert ran.err == ""


@pytest.mark.parametrize(
    "happened",
    [
        {"state": "stopping"},
        {"restarts": 1},
        {"refused": 1},
        {"more": 1},
        {"children": [actor("root/bus/new")]},
    ],
    ids=lambda happened: next(iter(happened)),
)
def test_an_actor_that_came_went_or_turned_messages_away_is_news(happened: dict[str, Any]) -> None:
    bus = {"more": 0, **happened}
    before, after = tree(), tree()
    after["tree"]["children"][0].update(bus)
    assert Tree.parse(before).happenings() != Tree.parse(after).happenings()


def test_a_dead_letter_is_news() -> None:
    letters = {"count": 1, "recent": [LETTER]}
    before, after = Tree.parse(tree()), Tree.parse({**tree(), "dead_letters": letters})
    assert before.happenings() != after.happenings()


def test_watching_in_json_prints_one_line_a_look(
    beadflow: Run, at: FakeServer, looks: Callable[[int], None]
) -> None:
    looks(3)
    ran = beadflow("actors", "--watch", "-o", "json")
    assert ran.code == 130
    lines = ran.out.splitlines()
    assert len(lines) == len(at.seen) == 3
    assert all('"schema": "beadflow.actors/1"' in line for line in lines)


def test_a_server_that_is_away_for_a_while_is_waited_for(
    beadflow: Run, at: FakeServer, looks: Callable[[int], None]
) -> None:
    away = problem(503, "Unavailable", retryable=True)
    at.answers[GET] = [Answer(tree()), away, away, Answer(tree(**AGAIN))]
    looks(4)
    ran = beadflow("actors", "--watch")
    assert ran.out.count("ACTOR") == 2
    assert ran.err == "lost the server; trying to reach it again\n"


def test_a_server_that_stays_away_ends_the_watching(
    beadflow: Run, at: FakeServer, looks: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    at.answers[GET] = problem(503, "Unavailable", retryable=True)
    monkeypatch.setattr(actors, "_PATIENCE_S", 0.0)
    looks(100)
    ran = beadflow("actors", "--watch")
    assert ran.code == 9
    assert len(at.seen) == 1


def test_a_terminal_shows_the_summary_first_and_cuts_what_is_too_wide() -> None:
    out = Output()
    screen = io.StringIO()
    out.data = Console(file=screen, force_terminal=True, width=60, color_system=None)
    with actors._Redrawn(out) as view:
        view.note("lost the server")
        view.show(tree(last_exit="crash: Boom: " + "no " * 50, restarts=1))
    last = screen.getvalue().split("lost the server")[-1].splitlines()
    shown = [re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", line).strip("\r") for line in last]
    first_words = [line.split()[0] for line in shown if line.strip()]
    assert first_words[-7:] == ["actors", "ACTOR", "root", "├──", "└──", "├──", "└──"]
    assert max(map(len, shown)) <= 60


def test_watching_an_actor_that_goes_ends(
    beadflow: Run, at: FakeServer, looks: Callable[[int], None]
) -> None:
    at.answers[GET] = [Answer(tree()), problem(404, "Not Found", code="actor_unknown")]
    looks(100)
    ran = beadflow("actors", "root/engine/a", "--watch")
    assert ran.code == 6
    assert len(at.seen) == 2
