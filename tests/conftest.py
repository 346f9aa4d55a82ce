"""Fixtures every suite shares."""

import gc
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.support import prepared
from tests.support.world import git_repository


def pytest_configure() -> None:
    """A shell has its background jobs ignore control-C, and what they start inherits that.

    What most tests begin with is made once; see there for whom it is not.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    prepared.in_use = True


def pytest_collection_finish() -> None:
    """Eight thousand tests and what they import stay: collections need not look at them again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 100)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The order of the tests and every chance in them follow from one number; -q hides it."""
    seed = config.getoption("randomly_seed", None)
    if seed is not None:
        terminalreporter.line(f"replay with --randomly-seed={seed}")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A real Git repository with one commit."""
    return git_repository(tmp_path / "repo")


@pytest.fixture(autouse=True)
def _no_git_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests has a name and settings of their own."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that ran in the test's own process has set up its logging."""
    root = logging.getLogger()
    level = root.level
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers = [h for h in root.handlers if type(h).__module__ != "cli.running"]
