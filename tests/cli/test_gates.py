"""`beadflow gate …`, with nobody serving: a gate is an issue."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import Run
from tests.support.world import git_repository


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that the commands run in, under the name of Ada."""
    found = git_repository(tmp_path / "shop")
    monkeypatch.chdir(found)
    monkeypatch.setenv("BEADFLOW_ACTOR", "Ada")
    return found


@pytest.fixture
def gate(beadflow: Run, repo: Path) -> str:
    """A gate that somebody has made by hand."""
    made = beadflow("issue", "create", "Ship it?", "-t", "gate", "-d", "All is **well**.", "-q")
    return made.out.strip()


def test_a_repository_without_data_has_no_gates(beadflow: Run, repo: Path) -> None:
    ran = beadflow("gate", "list")
    assert (ran.code, "no gates: there are no data in" in ran.err) == (0, True)


def test_open_gates_are_listed_and_shown(beadflow: Run, gate: str) -> None:
    listed = beadflow("gate", "list")
    assert (gate in listed.out, "Ship it?" in listed.out) == (True, True)
    shown = beadflow("gate", "show", gate)
    assert ("open" in shown.out, "All is **well**." in shown.out) == (True, True)


@pytest.mark.parametrize(("verb", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_a_gate_is_answered_once(beadflow: Run, gate: str, verb: str, status: str) -> None:
    ran = beadflow("gate", verb, gate, "--why", "tried it", "-o", "json")
    found = json.loads(ran.out)
    assert (ran.code, found["schema"]) == (0, f"beadflow.gate.{verb}/1")
    told: dict[str, Any] = found["data"]
    assert (told["status"], told["by"], told["why"]) == (status, "Ada", "tried it")
    again = beadflow("gate", "approve", gate, "--actor", "Bob")
    assert (again.code, f"was {status} by Ada" in again.err) == (7, True)
    assert gate not in beadflow("gate", "list").out
    listed = json.loads(beadflow("gate", "list", "--status", "answered", "-o", "json").out)
    assert [one["id"] for one in listed["data"]] == [gate]


def test_what_is_no_gate_is_not_answered(beadflow: Run, repo: Path) -> None:
    made = beadflow("issue", "create", "A task", "-q").out.strip()
    assert beadflow("gate", "approve", made).code == 6
    assert beadflow("gate", "show", "shop-nobody").code == 6
    assert beadflow("gate", "show", "../x").code == 2
