"""What README.md shows is what happens: its code, its settings and its commands are run."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.actors.agents.research.index import served
from tests.docs.console import Step, steps
from tests.docs.pages import ROOT, blocks
from tests.support.server import BEADFLOW, DEADLINE_S
from tests.support.world import git_repository

pytestmark = pytest.mark.process

CONSOLE = [steps(block) for block in blocks("README.md", "console")]
(RUN,), *OWN = CONSOLE
*FIRST_FLOWS, LATER_FLOW = blocks("README.md", "python")
IS_UP = "data "
STARTED = re.compile(r"^id +(\S+)", re.MULTILINE)
OWN_FACTS = re.compile(r"^\*\*|^\| 1 |step_progress")
"""Lines of the report that say what was found about these libraries, or when."""
AN_ID = re.compile(r"(census|release)-[a-z0-9]{16}")
AN_ISSUE = re.compile(r"shop-[a-z0-9]{3}\b")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository with the files that the README has its reader write."""
    repo = git_repository(tmp_path / "shop")
    (repo / "flows.py").write_text("\n\n".join(FIRST_FLOWS))
    (settings,) = blocks("README.md", "toml")
    (repo / "beadflow.toml").write_text(settings)
    return repo


def test_every_command_of_the_readme_prints_what_is_shown_under_it(shop: Path) -> None:
    (alone,), (up,), with_server, (git,), waiting, _ = OWN
    assert alone.missing_from(_run(alone.command, shop)) == []
    with (shop / "flows.py").open("a") as flows:
        flows.write(f"\n\n{LATER_FLOW}")
    with _server(up, shop):
        _check_in_order(with_server, shop)
        _check_in_order(waiting, shop)
    assert git.missing_from(_run(git.command, shop)) == []


def test_the_issues_of_the_readme_go_the_way_that_is_shown(shop: Path) -> None:
    *_, issues = OWN
    real: dict[str, str] = {}

    def made(text: str) -> str:
        return AN_ISSUE.sub(lambda found: real.get(found[0], found[0]), text)

    for step in issues:
        output = _run(made(step.command), shop, BEADFLOW_ACTOR="Ada")
        if created := STARTED.search(output):
            real.setdefault(AN_ISSUE.search(step.shown[0])[0], created[1])  # type: ignore[index]
        shown = Step(step.command, tuple(map(made, step.shown)))
        assert shown.missing_from(output) == [], f"{step.command}\n{output}"


def test_make_run_shows_a_report_as_in_the_readme(tmp_path: Path) -> None:
    repo = git_repository(tmp_path / "main")
    with served() as index:
        for name in ("aiosqlite", "apsw", "sqlalchemy"):
            index.add(name, "1.0")
        output = _run(_recipe("run"), repo, **index.environ())
    shape = tuple(line for line in RUN.shown if not OWN_FACTS.search(line))
    assert Step(RUN.command, shape).missing_from(output) == []


def test_the_readme_s_two_commands_are_targets_of_make() -> None:
    assert RUN.command == "make run"
    for target in ("run", "test"):
        assert _dry_run(target)


def _check_in_order(shown: list[Step], repo: Path) -> None:
    """Run one command after the other; the ids that are shown stand for the one started here."""
    started = ""
    for step in shown:
        output = _run(AN_ID.sub(started, step.command), repo)
        assert step.missing_from(output) == [], f"{step.command}\n{output}"
        if found := STARTED.search(output):
            started = found[1]


def _run(command: str, cwd: Path, **more: str) -> str:
    """What a command prints, on both streams; it must succeed."""
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=cwd,
        env={**_environ(), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def _environ() -> dict[str, str]:
    ours = ("WORKFLOW_", "BEADFLOW_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**clean, "PATH": f"{BEADFLOW.parent}{os.pathsep}{clean['PATH']}"}


@contextmanager
def _server(step: Step, cwd: Path) -> Iterator[None]:
    """The documented server, on ports of its own, for as long as the block runs."""
    command = [*shlex.split(step.command), "--port", "0", "--metrics-port", "0"]
    with (
        (cwd.parent / "server.log").open("w") as log,
        subprocess.Popen(
            command, cwd=cwd, env=_environ(), stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            output = ""
            for line in process.stdout:
                output += line
                if line.startswith(IS_UP):
                    break
            assert step.missing_from(output) == [], output
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE_S)
    assert process.returncode == 0


def _recipe(target: str) -> str:
    """What a target of make runs, with the command under test in the place of make's own."""
    printed = _dry_run(target).replace("\\\n", " ")
    (line,) = (line for line in printed.splitlines() if "/beadflow " in line)
    return f"{BEADFLOW} {line.partition('/beadflow ')[2]}"


def _dry_run(target: str) -> str:
    """What make would run; not as a part of a make that runs the tests."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, env=alone, check=True, capture_output=True, text=True
    )
    return done.stdout
