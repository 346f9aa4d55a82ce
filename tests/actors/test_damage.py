from pathlib import Path
from typing import Any

import pytest
import structlog

from actors.damage import LastCrash, damage_in, refusing_damage
from actors.errors import StoreDamaged
from actors.lifecycle import Lifecycle
from actors.telemetry import Meters
from storage.errors import Corrupt, QueryFailed
from supervision import ActorCrashed, ActorExited, ExitReason

CORRUPT = Corrupt(Path("/data/beads.db"), "Page 7")
BUS = "root/event_bus"
WORKFLOW = "root/engine/workflow_instances/census-1"
DAMAGED = StoreDamaged("no", operation="add", cause=CORRUPT)


def failed_query(cause: Exception) -> QueryFailed:
    error = QueryFailed("beads", "list", "no")
    error.__cause__ = cause
    return error


def stops(path: str, error: BaseException, *, times: int = 1) -> int:
    """How often a system is stopped when this actor crashes of this."""
    stopped: list[None] = []
    last_crash = LastCrash(lambda: stopped.append(None))
    for _ in range(times):
        last_crash(ActorCrashed(path=path, reason=ExitReason.crash(error)))
    return len(stopped)


@pytest.mark.parametrize(
    "error",
    [CORRUPT, DAMAGED, failed_query(CORRUPT), ExceptionGroup("tasks", [OSError(), CORRUPT])],
    ids=lambda error: type(error).__name__,
)
def test_the_first_crash_of_a_part_on_damage_stops_the_system(error: BaseException) -> None:
    assert damage_in(error) is CORRUPT
    assert stops(BUS, error, times=3) == 1


@pytest.mark.parametrize("error", [OSError(), failed_query(OSError())])
def test_a_crash_of_anything_else_is_mended_by_its_supervisor(error: Exception) -> None:
    assert stops(BUS, error) == 0


def test_an_orderly_end_stops_nothing() -> None:
    last_crash = LastCrash(lambda: pytest.fail("it was stopped"))
    last_crash(ActorExited(path=BUS, reason=ExitReason("normal")))
    assert last_crash.damage is None


def test_a_workflow_whose_own_rows_are_damaged_is_set_aside_alone() -> None:
    assert stops(WORKFLOW, CORRUPT) == 0


def test_a_workflow_that_cannot_write_any_more_stops_the_system() -> None:
    assert stops(WORKFLOW, DAMAGED) == 1


@pytest.mark.parametrize("error", [CORRUPT, failed_query(CORRUPT)])
def test_a_read_that_meets_damage_is_refused(error: Exception) -> None:
    def read() -> None:
        with refusing_damage("get_issue"):
            raise error

    with pytest.raises(StoreDamaged, match=r"get_issue was refused: /data/beads\.db .*Page 7"):
        read()


def test_a_read_that_fails_of_something_else_is_no_damage() -> None:
    def read() -> None:
        with refusing_damage("get_issue"):
            raise failed_query(OSError())

    with pytest.raises(QueryFailed):
        read()


def test_damage_is_a_line_without_a_traceback() -> None:
    """It is no fault of the code, and the line names the file."""
    with structlog.testing.capture_logs() as logged:
        crash = ActorCrashed(path=BUS, reason=ExitReason.crash(CORRUPT))
        Lifecycle(Meters())(crash)
    line: Any = logged[0]
    assert "exc_info" not in line
    assert "/data/beads.db" in line["reason"]
