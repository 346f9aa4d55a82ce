"""The files of workflows on the command line."""

from pathlib import Path

import pytest

from tests.cli.fake import FakeServer
from tests.cli.run import Run


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    return server


@pytest.mark.parametrize("name", ["../../etc/x", "", "a\nb", "/etc/x", "."])
def test_a_name_that_is_none_is_a_wrong_use_and_nothing_is_sent(
    beadflow: Run, at: FakeServer, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "one.txt"
    file.write_text("1")
    for argv in (["put", "wf-1", str(file), "--name", name], ["get", "wf-1", name]):
        ran = beadflow("workflow", "artifact", *argv)
        assert ran.code == 2, ran.err
        assert "That is no name of an artifact" in ran.err
    assert at.seen == []
