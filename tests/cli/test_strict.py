"""What the server does about workflows that do what they must not."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors import plugins
from actors.workflows.definition import Definitions
from beadflow import Context, workflow
from cli.exits import ExitCode
from cli.problem import Problem
from cli.running import bound, load_plugins, place, running, warn_of
from cli.settings import Settings
from tests.cli.run import Run

FLOWS = """
import time
from beadflow import Context, workflow

@workflow
async def waits(ctx: Context) -> None:
    time.sleep(1)
    print("x")
"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    path = tmp_path / "flows.py"
    path.write_text(FLOWS)
    return path


def test_strict_settings_refuse_the_start_and_list_every_place(
    beadflow: Run, tmp_path: Path, flows: Path
) -> None:
    (tmp_path / "s.toml").write_text('plugins = ["flows.py"]\nstrict_workflows = true\n')
    ran = beadflow("up", "--config", "s.toml", "--port", "0", "--metrics-port", "0")
    assert ran.code == ExitCode.FAILED
    assert "A plugin cannot be used: strict_workflows refuses what workflows do: 2 fin" in ran.err
    assert f"{flows}:7: time.sleep (wait): the history knows nothing of it" in ran.err
    assert f"{flows}:8: print (console): a replay prints it again" in ran.err
    assert "hint: `# beadflow: allow RULE` on a line permits it there" in ran.err


def test_a_refusal_has_the_code_of_a_plugin_that_cannot_be_used(flows: Path) -> None:
    with pytest.raises(Problem) as refused:
        load_plugins((flows,), strict_workflows=True)
    assert (refused.value.code, refused.value.exit_code) == ("bad_plugin", ExitCode.FAILED)
    assert len(refused.value.errors) == 2


def test_each_place_is_a_warning_in_the_log(flows: Path) -> None:
    said = _said(plugins.load([flows]).definitions)
    places = [line for line in said if line["event"] == "workflow.forbidden"]
    assert [(line["line"], line["rule"]) for line in places] == [(7, "wait"), (8, "console")]
    assert (
        places[0].items()
        >= {
            "log_level": "warning",
            "workflow": "waits",
            "version": 1,
            "what": "time.sleep",
            "file": str(flows),
        }.items()
    )
    assert places[0].keys() >= {"why", "instead"}


async def test_it_is_said_before_anything_starts(
    tmp_path: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_nothing(*_args: object, **_options: object) -> None:
        raise LookupError

    monkeypatch.setattr("cli.running.open_stores", open_nothing)
    settings = Settings(port=0, metrics_port=0, plugins=(flows,))
    there = place(tmp_path, None)
    with (
        capture_logs() as said,
        there.data,
        bound(settings, there.data) as sockets,
        pytest.raises(LookupError),
    ):
        async with running(there, settings, sockets):
            raise AssertionError
    assert [line["event"] for line in said] == ["workflow.forbidden"] * 2


def test_a_workflow_without_a_source_is_named_once_and_in_a_low_voice() -> None:
    space: dict[str, Any] = {"workflow": workflow, "Context": Context}
    exec("@workflow\nasync def unread(ctx: Context) -> None: print()", space)  # noqa: S102
    assert _said(Definitions.of([space["unread"]])) == [
        {
            "event": "workflow.unread",
            "log_level": "debug",
            "workflow": "unread",
            "version": 1,
            "why": "its source is not there",
        }
    ]


def _said(definitions: Definitions) -> list[Any]:
    with capture_logs() as said:
        warn_of(definitions)
    return list(said)
