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


def test_a_place_that_is_not_there_is_named_as_it_was_given(
    beadflow: Run, at: FakeServer, tmp_path: Path
) -> None:
    target = tmp_path / "none" / "x"
    ran = beadflow("workflow", "artifact", "get", "wf-1", "a", "--to", str(target))
    assert ran.code == 1
    assert f"{target}\n" in ran.err
    assert at.seen == []
