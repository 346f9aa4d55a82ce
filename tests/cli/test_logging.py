"""The server's log: one event is one line, whoever wrote it."""

import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from cli.running import configure_logging


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    """The root logger as a process finds it at its start."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:], root.level = handlers, level


def test_control_characters_cannot_make_lines_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("info")
    structlog.get_logger().info("a title", title="one\r\ntwo\x1b[31m")
    (line,) = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line
    assert "one" in line
    assert "two" in line


def test_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning")
    logging.getLogger("some.library").warning("it is %s", "late")
    logging.getLogger("some.library").info("unheard")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("timestamp=")
    assert 'level=warning event="it is late"' in line


def test_nobody_crashes_because_nobody_reads_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logging("info")
    monkeypatch.setattr(sys, "stderr", _Gone())
    structlog.get_logger().error("unread")
    logging.getLogger("some.library").error("unread")


class _Gone:
    def write(self, text: str) -> None:
        raise BrokenPipeError(text)

    def flush(self) -> None:
        raise BrokenPipeError
