import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from actors.agents.guarded import Rlimits
from actors.agents.tools import ToolStatus, run_tool
from tests.support.processes import gone, written


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


async def test_a_tool_that_succeeds_brings_its_output(tmp_path: Path) -> None:
    result = await run_tool(python("print('hello')"), cwd=tmp_path, deadline_s=30)
    assert (result.status, result.returncode, result.text) == (ToolStatus.OK, 0, "hello\n")


async def test_a_tool_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    program = "import sys; sys.stderr.write('first\\nsecond'); sys.exit(3)"
    result = await run_tool(python(program), cwd=tmp_path, deadline_s=30)
    assert result.status is ToolStatus.FAILED
    assert result.why.endswith("exited with 3: first second")


async def test_a_missing_tool_is_a_result_and_not_an_error(tmp_path: Path) -> None:
    result = await run_tool(["no-such-tool-at-all"], cwd=tmp_path, deadline_s=30)
    assert result.status is ToolStatus.MISSING
    assert "not installed" in result.why


async def test_a_directory_that_does_not_exist_is_a_missing_tool_too(tmp_path: Path) -> None:
    result = await run_tool(python("pass"), cwd=tmp_path / "none", deadline_s=30)
    assert result.status is ToolStatus.MISSING


async def test_only_allowed_variables_and_those_given_reach_the_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEADFLOW_TEST_SECRET", "s3cret")
    result = await run_tool(
        python("import os; print(sorted(os.environ))"),
        cwd=tmp_path,
        deadline_s=30,
        env={"GIVEN": "yes"},
    )
    assert "'GIVEN'" in result.text
    assert "BEADFLOW_TEST_SECRET" not in result.text


async def test_stdin_is_empty(tmp_path: Path) -> None:
    program = "import sys; print(repr(sys.stdin.read()))"
    result = await run_tool(python(program), cwd=tmp_path, deadline_s=30)
    assert result.text == "''\n"


async def test_a_flood_of_output_is_capped_and_the_tool_still_finishes(tmp_path: Path) -> None:
    program = "import sys; [sys.stdout.write('x' * 1000000) for _ in range(20)]"
    result = await run_tool(python(program), cwd=tmp_path, deadline_s=30, output_cap_bytes=1_000)
    assert result.ok
    assert result.truncated
    assert len(result.stdout) == 1_000


async def test_the_deadline_kills_the_tool_and_its_children(tmp_path: Path) -> None:
    result = await run_tool(
        python(
            "import subprocess, sys, time\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            "print(child.pid, flush=True)\n"
            "time.sleep(600)"
        ),
        cwd=tmp_path,
        deadline_s=1.0,
    )
    assert result.status is ToolStatus.TIMED_OUT
    assert result.returncode == -signal.SIGKILL
    assert await gone(int(result.text))


async def test_a_grandchild_that_keeps_stdout_open_does_not_hold_the_call(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid)"
    )
    with trio.fail_after(20):
        result = await run_tool(python(program), cwd=tmp_path, deadline_s=600)
    assert result.ok
    assert await gone(int(result.text))


async def test_a_descendant_in_its_own_session_does_not_hold_the_call(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\n"
        "print(child.pid)"
    )
    with trio.fail_after(20):
        result = await run_tool(python(program), cwd=tmp_path, deadline_s=600)
    os.kill(int(result.text), signal.SIGKILL)
    assert result.ok


async def test_cancellation_kills_the_tool(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    program = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_tool(python(program), cwd=tmp_path, deadline_s=600))
        pid = int(await written(mark))
        nursery.cancel_scope.cancel()
    assert await gone(pid)


async def test_under_limits_a_descendant_in_its_own_session_ends_too(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\n"
        "print(child.pid); print('x' * 100, file=sys.stderr); sys.exit(3)"
    )
    result = await run_tool(
        python(program), cwd=tmp_path, deadline_s=600, output_cap_bytes=50, limits=Rlimits()
    )
    assert (result.status, result.returncode, result.truncated) == (ToolStatus.FAILED, 3, True)
    assert await gone(int(result.text))


async def test_under_limits_a_deadline_and_what_cannot_start_are_results_too(
    tmp_path: Path,
) -> None:
    limits = Rlimits(memory_bytes=1 << 40)
    hangs = await run_tool(
        python("import time; time.sleep(600)"), cwd=tmp_path, deadline_s=0.2, limits=limits
    )
    assert (hangs.status, hangs.returncode) == (ToolStatus.TIMED_OUT, None)
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    missing = await run_tool([str(broken)], cwd=tmp_path, deadline_s=30, limits=limits)
    assert missing.status is ToolStatus.MISSING
    assert "No such file" in missing.why
    nowhere = await run_tool(["true"], cwd=tmp_path / "none", deadline_s=30, limits=limits)
    assert nowhere.status is ToolStatus.MISSING
