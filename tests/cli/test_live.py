import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from cli import live, progress, records
from cli.progress import Progress
from tests.cli.run import event, workflow

NOW = datetime(2025, 3, 1, 10, 0, 31, tzinfo=UTC)


def drawn(*events: dict[str, Any], rows: int = 20, **fields: Any) -> str:
    known = progress.apply_all(Progress(), [records.event(raw) for raw in events])
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(live.draw(records.workflow(workflow(**fields)), known, NOW, rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_header_names_the_workflow_its_issue_and_its_time() -> None:
    title, about = drawn().splitlines()[:2]
    assert title == "Compare clients"
    assert about == "active · wf-1 · research · issue bf-7 · 30s"


def test_a_step_shows_state_time_agent_attempt_and_its_last_word() -> None:
    shown = drawn(
        event(1, "step_started", step="collect", agent_id="research-1", attempt=2),
        event(2, "step_progress", step="collect", fraction=0.5, message="3 of 6"),
    )
    assert "◐  collect  30s  research-1  attempt 2  50% 3 of 6" in shown


def test_the_last_log_line_stands_below() -> None:
    assert drawn(event(1, "log", message="fetching")).splitlines()[-1] == "fetching"


def test_a_small_terminal_hides_finished_steps_first() -> None:
    events = [event(seq, "step_started", step=f"s{seq}") for seq in range(1, 6)]
    events += [event(seq, "step_completed", step=f"s{seq - 5}") for seq in range(6, 9)]
    shown = drawn(*events, rows=3)
    assert [name for name in ("s1", "s2", "s3", "s4", "s5") if name in shown] == ["s3", "s4", "s5"]
    assert "… 2 more steps" in shown


def test_with_too_many_open_steps_the_latest_are_shown() -> None:
    events = [event(seq, "step_started", step=f"s{seq}") for seq in range(1, 6)]
    shown = drawn(*events, rows=2)
    assert "s4" in shown
    assert "s1" not in shown
    assert "… 3 more steps" in shown


def test_what_the_server_says_cannot_steer_the_terminal() -> None:
    shown = drawn(event(1, "step_started", step="\x1b[2Ja"), title="[bold]\x1b]0;x\x07")
    assert "\x1b" not in shown
    assert "[bold]" in shown
