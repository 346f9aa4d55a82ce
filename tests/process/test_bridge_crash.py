"""Kills between the commits of a start, a cancellation, a handoff and an end of real processes."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.process.relay import DEEDS

pytestmark = pytest.mark.process

SEED = int(os.environ.get("BEADFLOW_SEED", str(random.randrange(2**32))))
STORMS = 2  # at once: as many as CI has cores

COMMITS = {
    "start": {"RecordStart", "CreateIssue", "CreateInstance", "LogFacts", "ApplyChanges"},
    "cancel": {"RequestCancel", "AppendHistory", "LogFacts", "ApplyChanges"},
    "handoff": {"MoveAssignment", "AddSignal", "CloseIntent", "LogFacts", "ApplyChanges"},
    "complete": {"AddSignal", "AppendHistory", "StartTask", "EndAttempt", "LogFacts"},
    "pass": {"MoveAssignment", "AddSignal", "StartTask", "EndAttempt", "LogFacts"},
}
"""After which each deed was cut off, at least."""


def _found(module: str, *arguments: list[str]) -> list[Any]:
    """Run a module so often beside each other; answers what each has said, line by line."""
    runs = [
        subprocess.Popen([sys.executable, "-m", f"tests.process.{module}", *each], stdout=-1)
        for each in arguments
    ]
    said = [run.communicate()[0] for run in runs]
    return [json.loads(line) for text in said for line in text.splitlines() if line[:1] == b"{"]


def test_a_kill_after_any_commit_leaves_what_the_next_life_makes_whole(tmp_path: Path) -> None:
    """The three databases agree, the issue and Git with them; nothing is lost or doubled."""
    place = str(tmp_path)
    found = _found("crossing", [place, "start", "cancel", "complete"], [place, "handoff", "pass"])
    assert {each["deed"] for each in found} == set(DEEDS)
    for each in found:
        print(each["deed"], each["deaths"])
        assert not each["lost"], "\n".join(each["lost"])
        missing = COMMITS[each["deed"]] - {name for name, _ in each["deaths"]}
        assert not missing, f"{each['deed']} was never cut off after {missing}"


def test_a_storm_of_kills_over_handoffs_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """BEADFLOW_BRIDGE_KILLS lives end by kill -9: starts, handoffs, cancellations and ends."""
    kills = int(os.environ.get("BEADFLOW_BRIDGE_KILLS", "30"))
    print(f"replay with BEADFLOW_SEED={SEED} BEADFLOW_BRIDGE_KILLS={kills}")
    storms = [
        [str(tmp_path / f"handed-{number}"), f"{SEED}:{number}", str(kills // STORMS)]
        for number in range(STORMS)
    ]
    found = _found("handed", *storms)
    assert len(found) == STORMS
    for storm in found:
        print({key: value for key, value in storm.items() if key != "lost"})
        assert not storm["lost"], "\n".join(storm["lost"])
        assert storm["handoffs"] > 0
