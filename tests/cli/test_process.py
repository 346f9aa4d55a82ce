"""The command as a process of its own: what it imports, how it ends, what a terminal shows."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fake import Answer, FakeServer, Hold
from tests.cli.run import event, output, tree, workflow
from tests.support.repos import repository

pytestmark = pytest.mark.process

ONE = "/api/v1/workflows/wf-1"
ROOT = Path(__file__).parent.parent.parent
RUN = "import sys; from cli.main import main; code = main(sys.argv[1:])"
HEAVY = "{'trio', 'quart', 'quart_trio', 'pykka', 'hypercorn', 'pydantic', 'git', 'aiosqlite'}"
# httpx2's transport imports trio by itself, wherever it is installed, with the first connection.
CONNECTED = HEAVY.replace("'trio', ", "")


def python(code: str, *argv: str) -> list[str]:
    return [sys.executable, "-c", f"{code}; sys.exit(code)", *argv]


@pytest.fixture
def env(tmp_path: Path, server: FakeServer) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm",
        "WORKFLOW_URL": server.url,
        "HOME": str(tmp_path),
    }


def run(env: dict[str, str], command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=env, text=True, capture_output=True, timeout=30, check=False, **how
    )


@pytest.mark.parametrize(
    "command",
    [["up", "--port", "0"], ["workflow", "start", "validation", "m", "--watch"], ["init"]],
    ids=lambda words: words[0],
)
def test_without_git_a_line_says_that_it_is_not_there(
    env: dict[str, str], tmp_path: Path, command: list[str]
) -> None:
    repo = repository(tmp_path / "shop", {"README.md": "x\n"})
    env = {**env, "PATH": str(tmp_path)}
    del env["WORKFLOW_URL"]
    done = run(env, python(RUN, *command), cwd=repo)
    assert done.returncode == 1
    assert re.match("error: .*[Gg]it is not (there|installed)", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def _watched(server: FakeServer) -> None:
    server.answers |= {
        f"GET {ONE}": [Answer(workflow("active")), Answer(workflow("completed"))],
        f"GET {ONE}/results": Answer({"data": [output({"markdown": "# Clients\n"})]}),
        "GET /api/v1/system": Answer({}),
    }
    server.connections = [
        [[event(1, "step_started", step="collect")], [event(2, "workflow_completed")]]
    ]


ELSEWHERE = """
host = "0.0.0.0"
allowed_hosts = ["flow.example.org"]
cors_origins = ["https://board.example.org"]
trusted_proxies = ["127.0.0.1"]
behind_tls_proxy = true
"""


def test_a_watched_start_lets_nobody_else_in_and_needs_no_key_for_it(
    env: dict[str, str], tmp_path: Path
) -> None:
    repo = repository(tmp_path / "shop", {"README.md": "x\n"})
    settings = tmp_path / "settings.toml"
    settings.write_text(ELSEWHERE)
    del env["WORKFLOW_URL"]
    start = ("workflow", "start", "validation", "m", "--watch", "--config", str(settings))
    done = run(env, python(RUN, *start), cwd=repo)
    assert "Without a key" not in done.stderr
    assert "workflow_completed" in done.stderr
    refused = run(env, python(RUN, "up", "--port", "0", "--config", str(settings)), cwd=repo)
    assert refused.returncode == 4


@pytest.mark.parametrize(
    "argv",
    [["--help"], ["workflw"], ["help", "exit-codes"], ["workflow", "start", "--help"]],
    ids=" ".join,
)
def test_what_needs_no_connection_never_imports_the_system(
    env: dict[str, str], argv: list[str]
) -> None:
    code = f"{RUN}; print({HEAVY} & set(sys.modules), file=sys.stderr)"
    assert run(env, python(code, *argv)).stderr.splitlines()[-1] == "set()"


def test_watching_never_imports_the_system(env: dict[str, str], server: FakeServer) -> None:
    _watched(server)
    code = f"{RUN}; print({CONNECTED} & set(sys.modules), file=sys.stderr)"
    ran = run(env, python(code, "workflow", "status", "wf-1", "--watch"))
    assert ran.stderr.splitlines()[-1] == "set()"


def test_the_version_imports_no_command(env: dict[str, str]) -> None:
    code = f"{RUN}; print({{'cyclopts', 'rich', 'httpx2'}} & set(sys.modules))"
    assert run(env, python(code, "--version")).stdout.splitlines()[-1] == "set()"


def test_the_client_modules_import_neither_the_system_nor_its_libraries(
    env: dict[str, str],
) -> None:
    modules = "actors branches commands client discovery live logs outcome progress records"
    modules += " stream tree watch workflow"
    imports = ", ".join(f"cli.{name}" for name in modules.split())
    ran = run(
        env, [sys.executable, "-c", f"import sys, {imports}; print({HEAVY} & set(sys.modules))"]
    )
    assert ran.stdout == "set()\n", ran.stderr


def test_a_closed_pipe_ends_the_command_without_complaint(
    env: dict[str, str], server: FakeServer
) -> None:
    rows = [workflow(id=f"wf-{n}") for n in range(2000)]
    server.answers["GET /api/v1/workflows"] = Answer({"data": rows})
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        ran = subprocess.run(
            python(RUN, "workflow", "list"),
            env=env,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (1, "")


def test_ctrl_c_detaches_at_once_even_from_a_server_that_hangs(
    env: dict[str, str], server: FakeServer
) -> None:
    server.answers[f"GET {ONE}"] = Answer(workflow("active"))
    server.connections = [[Hold()]]
    watching = subprocess.Popen(
        python(RUN, "workflow", "status", "wf-1", "--watch"),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.held.wait(20)
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=20)
    assert watching.returncode == 130
    assert out == ""
    assert "beadflow workflow status wf-1 --watch" in err
    assert "Traceback" not in err


def test_an_encoding_without_the_characters_shows_their_escapes(
    env: dict[str, str], server: FakeServer
) -> None:
    server.answers[f"GET {ONE}"] = Answer(workflow(title="比較"))
    ran = run({**env, "PYTHONIOENCODING": "ascii"}, python(RUN, "workflow", "status", "wf-1"))
    assert ran.returncode == 0
    assert r"\u6bd4\u8f03" in ran.stdout


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def _on_terminal(env: dict[str, str], terminal: tuple[int, int], *argv: str) -> str:
    ours, theirs = terminal
    shown = b""
    process = subprocess.Popen(python(RUN, *argv), env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    while chunk := _read(ours):
        shown += chunk
    process.wait(20)
    return shown.decode()


def _read(descriptor: int) -> bytes:
    ready, _, _ = select.select([descriptor], [], [], 30)
    assert ready, "nothing more came for 30 s, and no end"
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux reports that the other side of a terminal is closed
        return b""


def test_on_a_terminal_the_steps_are_redrawn_and_the_report_is_rendered(
    env: dict[str, str], server: FakeServer, terminal: tuple[int, int]
) -> None:
    _watched(server)
    shown = _on_terminal(env, terminal, "workflow", "status", "wf-1", "--watch")
    assert "\x1b[" in shown
    assert "collect" in shown
    assert "Clients" in shown
    assert "# Clients" not in shown
    assert "step_started" not in shown


def test_on_a_terminal_the_tree_of_actors_is_redrawn_until_ctrl_c(
    env: dict[str, str], server: FakeServer, terminal: tuple[int, int]
) -> None:
    server.answers["GET /api/v1/actors"] = Answer(tree())
    ours, theirs = terminal
    command = python(RUN, "actors", "--watch")
    process = subprocess.Popen(command, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"engine" not in shown:
        chunk = _read(ours)
        assert chunk, shown
        shown += chunk
    process.send_signal(signal.SIGINT)
    while chunk := _read(ours):
        shown += chunk
    assert process.wait(20) == 130
    assert b"\x1b[2K" in shown  # a line that is drawn again
    assert "└── ".encode() in shown
    assert b"Traceback" not in shown


def test_no_color_leaves_a_terminal_without_styles(
    env: dict[str, str], server: FakeServer, terminal: tuple[int, int]
) -> None:
    server.answers["GET /api/v1/workflows"] = Answer({"data": [workflow("failed")]})
    plain = {**env, "NO_COLOR": "1"}
    assert "\x1b" not in _on_terminal(plain, terminal, "workflow", "list")


def test_a_terminal_shows_a_failed_workflow_in_colour(
    env: dict[str, str], server: FakeServer, terminal: tuple[int, int]
) -> None:
    server.answers["GET /api/v1/workflows"] = Answer({"data": [workflow("failed")]})
    assert "\x1b[31mfailed" in _on_terminal(env, terminal, "workflow", "list")


def test_a_simple_terminal_gets_lines(
    env: dict[str, str], server: FakeServer, terminal: tuple[int, int]
) -> None:
    _watched(server)
    simple = {**env, "TERM": "dumb"}
    shown = _on_terminal(simple, terminal, "workflow", "status", "wf-1", "--watch")
    assert "step_started" in shown
    assert "\x1b" not in shown
