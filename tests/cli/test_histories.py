"""`beadflow workflow export` and `replay`: histories as files, and against the code."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio

from actors.workflows import document
from actors.workflows.history import Kind
from beadflow import Context, workflow
from storage.databases import databases
from storage.home import DataDir
from tests.cli.run import Run
from tests.support import engine, histories
from tests.support.golden import golden_file
from tests.support.world import running_system

FLOWS = """
from beadflow import Context, activity, workflow

@activity
async def pack(item: str) -> str:
    raise AssertionError("a replay runs nothing")

@activity
async def ship(item: str) -> str:
    raise AssertionError("a replay runs nothing")

@workflow
async def order(ctx: Context, variables: dict[str, str]) -> str:
    packed = await ctx.activity({first}, variables["item"])
    await ctx.signal("paid")
    return packed
"""

HISTORY = """{"format": "beadflow-history", "version": 1,
 "workflow": {"id": "order-1", "name": "order", "version": 1, "input": {"item": "bead"}, "run": 1,
              "parent": null},
 "events": [
  {"seq": 1, "kind": "workflow_started", "op": "", "name": "order", "at": "2026-01-01T00:00:00Z",
   "payload": {"issue_id": "x-1", "version": 1, "queued": false}},
  {"seq": 2, "kind": "activity_completed", "op": "1", "name": "pack",
   "at": "2026-01-01T00:00:01Z", "payload": {"result": "packed", "attempts": 1}}]}
"""

Code = Callable[[str], str]


@pytest.fixture
def code(tmp_path: Path) -> Code:
    """Writes the plugin with one step or the other first; answers the settings' name."""

    def write(first: str) -> str:
        directory = tmp_path / first
        directory.mkdir()
        (directory / "flows.py").write_text(FLOWS.format(first=first))
        (directory / "beadflow.toml").write_text('plugins = ["flows.py"]\n')
        return str(directory / "beadflow.toml")

    return write


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "kept" / "order.json"
    path.parent.mkdir()
    path.write_text(HISTORY)
    return path


@workflow
async def waits(ctx: Context) -> str:
    return str(await ctx.signal("go"))


@pytest.fixture
def started(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """The ids of two workflows in the repository around: one has ended, one waits."""
    monkeypatch.chdir(repo)

    async def run() -> list[str]:
        async with running_system(repo, workflows=[waits]) as running:
            ended = await running.start("waits")
            await engine.signal(running, ended.id, "go", "home")
            await running.ended(ended.id)
            waiting = await running.start("waits")
            await engine.recorded(running, waiting.id, Kind.WORKFLOW_STARTED)
            return [ended.id, waiting.id]

    ids = trio.run(run)
    capsys.readouterr()  # the system's log
    return ids


def test_a_history_that_fits_is_one_line_and_success(beadflow: Run, code: Code, kept: Path) -> None:
    ran = beadflow("workflow", "replay", str(kept), "--config", code("pack"))
    assert ran.code == 0
    assert ran.out.splitlines()[1].split()[:5] == ["fits", "order-1", "order", "1", "2"]
    assert "next is signal 'paid' at 2" in ran.out
    assert "1 history: 1 fits" in ran.err


def test_one_that_differs_says_what_why_and_what_to_do_and_fails(
    beadflow: Run, code: Code, kept: Path
) -> None:
    ran = beadflow("workflow", "replay", str(kept.parent), "--config", code("ship"))
    assert ran.code == 1
    shown = " ".join(ran.out.split())
    assert "differs order-1" in shown
    assert (
        "what the history records activity 'pack' at 1, the code asks for activity 'ship' at 1"
        in (shown)
    )
    assert "where event 2 why the activity was renamed" in shown
    assert "do put the old code back" in shown


def test_programs_read_the_verdicts_as_data(beadflow: Run, code: Code, kept: Path) -> None:
    ran = beadflow("workflow", "replay", str(kept), "--config", code("ship"), "-o", "json")
    assert ran.code == 1
    (found,) = ran.json["data"]
    assert (ran.json["schema"], ran.json["checked"], ran.json["unfit"]) == (
        "beadflow.workflow.replay/1",
        1,
        1,
    )
    assert (found["fit"], found["op"], found["seq"]) == ("differs", "1", 2)
    assert found["history"] == str(kept)


def test_a_workflow_whose_plugin_is_not_loaded_does_not_fit(beadflow: Run, kept: Path) -> None:
    ran = beadflow("workflow", "replay", str(kept))
    assert ran.code == 1
    assert "no workflow type 'order v1'" in ran.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"\xff\xfe", "it is no text"),
        (b"{}", 'it does not say "format": "beadflow-history"'),
        (HISTORY[:300].encode(), "it is cut off or broken"),
        (HISTORY.replace('"version": 1,', '"version": 9,', 1).encode(), "version 9"),
    ],
)
def test_what_is_no_history_is_refused_with_its_name(
    beadflow: Run, kept: Path, text: bytes, words: str
) -> None:
    kept.write_bytes(text)
    ran = beadflow("workflow", "replay", str(kept))
    assert ran.code == 2
    assert f"A history cannot be read: {kept}: " in ran.err
    assert words in ran.err
    assert "hint:" in ran.err


def test_nothing_named_and_an_empty_directory_are_wrong_usage(
    beadflow: Run, tmp_path: Path
) -> None:
    assert beadflow("workflow", "replay").code == 2
    (tmp_path / "empty").mkdir()
    assert beadflow("workflow", "replay", str(tmp_path / "empty")).code == 2


def test_a_file_and_a_workflow_that_are_not_there_are_told(
    beadflow: Run, started: list[str]
) -> None:
    for file in ("./none.json", "none.json"):
        ran = beadflow("workflow", "replay", file)
        assert (ran.code, "There is no such file" in ran.err) == (6, True)
    assert beadflow("workflow", "replay", "waits-none").code == 6
    assert beadflow("workflow", "export", "waits-none").code == 6


def test_a_workflow_is_exported_and_the_file_is_read_back(
    beadflow: Run, started: list[str], tmp_path: Path
) -> None:
    shown = beadflow("workflow", "export", started[0])
    assert shown.code == 0
    found = document.read(shown.out)
    assert found.workflow_id == started[0]
    assert found.events[-1].kind is Kind.WORKFLOW_COMPLETED
    ran = beadflow("workflow", "export", started[0], "--to", str(tmp_path / "h.json"))
    assert (ran.code, (tmp_path / "h.json").read_text()) == (0, shown.out)
    assert f"events    {len(found.events)}" in ran.out
    wrapped = beadflow("workflow", "export", started[0], "-o", "json").json
    assert wrapped["schema"] == "beadflow.workflow.export/1"
    assert wrapped["data"] == json.loads(shown.out)


def test_all_live_workflows_are_checked_against_the_code_of_now(
    beadflow: Run, started: list[str], tmp_path: Path
) -> None:
    (tmp_path / "flows.py").write_text(
        "from beadflow import Context, workflow\n"
        "@workflow\n"
        "async def waits(ctx: Context) -> None:\n"
        "    await ctx.signal('go')\n"
    )
    (tmp_path / "s.toml").write_text('plugins = ["flows.py"]\n')
    settings = ("--config", str(tmp_path / "s.toml"), "-o", "json")
    ran = beadflow("workflow", "replay", "--all", *settings)
    assert ran.code == 0
    assert [(found["workflow_id"], found["history"]) for found in ran.json["data"]] == [
        (started[1], "database")
    ]
    ended = beadflow("workflow", "replay", started[0], *settings)
    assert ended.code == 1
    assert ended.json["data"][0]["recorded"] == 'the output "home"'


def test_without_data_there_is_nothing_to_export(beadflow: Run, repo: Path) -> None:
    ran = beadflow("workflow", "export", "w-1", "--repo", str(repo))
    assert (ran.code, "There is no data yet" in ran.err) == (6, True)


def test_a_database_of_an_older_schema_is_refused_with_the_way_out(
    beadflow: Run, repo: Path
) -> None:
    data = DataDir.resolve(repo)
    data.path.mkdir(mode=0o700)
    for database in databases(data.path):
        shutil.copy(golden_file(database.name, 1), database.path)
    ran = beadflow("workflow", "replay", "--all", "--repo", str(repo))
    assert ran.code == 1
    assert "tempolite.db is at version 1" in ran.err
    assert "beadflow db migrate" in ran.err


def test_the_golden_histories_can_be_replayed_by_command(beadflow: Run) -> None:
    path = histories.GOLDEN / "research-v1.json"
    assert beadflow("workflow", "replay", str(path)).code == 0


def test_a_history_is_read_beside_a_server_that_writes(
    beadflow: Run, started: list[str], repo: Path
) -> None:
    with (
        DataDir.resolve(repo) as data,
        closing(sqlite3.connect(data.tempolite_db, isolation_level=None)) as connection,
    ):
        connection.execute("BEGIN IMMEDIATE")
        assert beadflow("workflow", "export", started[0]).code == 0
