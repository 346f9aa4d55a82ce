import fcntl
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from actors.agents.guard import descendants
from actors.agents.guarded import NotStarted, Program, Rlimits, guarded
from tests.support.processes import gone

SLEEPER = "import time; time.sleep(600)"
ESCAPES = (
    "import subprocess, sys\n"
    f"child = subprocess.Popen([sys.executable, '-ISc', {SLEEPER!r}], start_new_session=True)\n"
    "print(child.pid, flush=True)\n"
)


def python(program: str) -> list[str]:
    return [sys.executable, "-ISc", program]


async def everything(stream: trio.abc.ReceiveStream) -> str:
    with trio.fail_after(30):
        return b"".join([bytes(chunk) async for chunk in stream]).decode()


async def first_line(program: Program) -> str:
    heard = bytearray()
    while not heard.endswith(b"\n"):
        heard += await program.stdout.receive_some(100)
    return heard.decode().strip()


async def test_a_program_is_talked_with_and_its_end_is_known(tmp_path: Path) -> None:
    argv = python("import sys; print(sys.stdin.read().upper()); sys.exit(7)")
    async with guarded(argv, cwd=tmp_path, env={}) as program:
        await program.stdin.send_all(b"hello")
        await program.stdin.aclose()
        assert await everything(program.stdout) == "HELLO\n"
        assert await program.ended() == 7
        assert await program.ended() == 7
    assert await gone(program.pid)


async def test_its_environment_is_what_it_is_given_and_nothing_else(tmp_path: Path) -> None:
    argv = python("import os; print(sorted(os.environ.items()))")
    async with guarded(argv, cwd=tmp_path, env={"A": "1", "LC_CTYPE": "C.UTF-8"}) as program:
        assert await everything(program.stdout) == "[('A', '1'), ('LC_CTYPE', 'C.UTF-8')]\n"


async def test_what_it_leaves_behind_ends_with_it_in_whatever_session_it_is(tmp_path: Path) -> None:
    async with guarded(python(ESCAPES), cwd=tmp_path, env={}) as program:
        assert await program.ended() == 0
        escaped = int(await everything(program.stdout))  # to its end: nobody holds it any more
        assert await gone(escaped)


async def test_leaving_the_block_ends_it_and_all_it_has_started(tmp_path: Path) -> None:
    async with guarded(python(ESCAPES + SLEEPER), cwd=tmp_path, env={}, term_s=0) as program:
        escaped = int(await first_line(program))
    assert await gone(escaped)
    assert await gone(program.pid)


async def test_it_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    argv = python(
        "import signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "print('ready', flush=True)\n"
        "signal.sigwait([signal.SIGTERM]); open('bye', 'w').close()"
    )
    async with guarded(argv, cwd=tmp_path, env={}, term_s=60) as program:
        await first_line(program)
    assert (tmp_path / "bye").exists()


async def test_one_that_will_not_end_is_killed(tmp_path: Path) -> None:
    argv = python(
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(os.getpid(), flush=True); time.sleep(600)"
    )
    async with guarded(argv, cwd=tmp_path, env={}, term_s=0) as program:
        pid = int(await first_line(program))
    assert await gone(pid)


async def test_cancellation_ends_it(tmp_path: Path) -> None:
    pids = []
    async with trio.open_nursery() as nursery:

        async def work() -> None:
            async with guarded(
                python(ESCAPES + SLEEPER), cwd=tmp_path, env={}, term_s=0
            ) as program:
                pids.append(int(await first_line(program)))
                nursery.cancel_scope.cancel()
                await trio.sleep_forever()

        nursery.start_soon(work)
    assert await gone(pids[0])


async def test_the_death_of_the_server_ends_it(tmp_path: Path) -> None:
    server = (
        "import sys, trio\nfrom pathlib import Path\n"
        "from actors.agents.guarded import guarded\n"
        "async def main():\n"
        f"    argv = [sys.executable, '-ISc', {ESCAPES + SLEEPER!r}]\n"
        "    async with guarded(argv, cwd=Path(), env={}, term_s=0) as program:\n"
        "        print((await program.stdout.receive_some(99)).decode(), flush=True)\n"
        "        await trio.sleep_forever()\n"
        "trio.run(main)"
    )
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", server], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    escaped = int(await process.stdout.receive_some(99))
    process.kill()
    await process.wait()
    await process.stdout.aclose()
    assert await gone(escaped)


def files_of(pid: int) -> set[str]:
    """What a process has open; it may open and close files while it is looked at."""
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(file.readlink()))
    return found


async def test_a_lock_is_held_until_nothing_of_it_runs_any_more(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as mine, (tmp_path / "lock").open("w") as other:
        fcntl.flock(mine, fcntl.LOCK_EX)
        async with guarded(
            python(ESCAPES + SLEEPER), cwd=tmp_path, env={}, term_s=0, hold=[mine.fileno()]
        ) as program:
            escaped = int(await first_line(program))
            mine.close()
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            assert str(tmp_path / "lock") not in files_of(escaped)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert await gone(escaped)


async def test_a_guard_that_is_killed_leaves_a_program_that_was_killed(tmp_path: Path) -> None:
    async with guarded(python("print(1, flush=True);" + SLEEPER), cwd=tmp_path, env={}) as program:
        await first_line(program)
        os.killpg(program.pid, signal.SIGKILL)
        assert await program.ended() == -signal.SIGKILL


async def test_a_program_whose_guard_alone_is_killed_ends_with_the_block(tmp_path: Path) -> None:
    argv = python("import os; print(os.getpid(), flush=True);" + SLEEPER)
    async with guarded(argv, cwd=tmp_path, env={}, term_s=0) as program:
        pid = int(await first_line(program))
        os.kill(program.pid, signal.SIGKILL)
        assert await program.ended() == -signal.SIGKILL
    assert await gone(pid)


async def test_a_server_with_many_files_open_has_programs_guarded(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 2048), hard), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        async with guarded(python("print(1)"), cwd=tmp_path, env={}) as program:
            assert await everything(program.stdout) == "1\n"
            assert await program.ended() == 0
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_what_cannot_be_started_says_why(tmp_path: Path) -> None:
    async with guarded([str(tmp_path / "none")], cwd=tmp_path, env={}) as program:
        with pytest.raises(NotStarted, match="No such file"):
            await program.ended()
    with pytest.raises(OSError, match="none"):
        async with guarded(python("pass"), cwd=tmp_path / "none", env={}):
            pass


@pytest.mark.parametrize(
    ("limits", "program", "status"),
    [
        (
            Rlimits(file_bytes=1000),
            "file = open('big', 'wb', 0); [file.write(b'x' * 1000) for _ in range(2)]",
            1,
        ),
        (Rlimits(memory_bytes=1 << 30), "bytearray(2 << 30)", 1),
        (Rlimits(cpu_s=1), "while True: pass", -signal.SIGXCPU),
    ],
    ids=["file_bytes", "memory_bytes", "cpu_s"],
)
async def test_limits_hold_for_the_program(
    tmp_path: Path, limits: Rlimits, program: str, status: int
) -> None:
    async with guarded(python(program), cwd=tmp_path, env={}, limits=limits) as running:
        assert await running.ended() in (status, -signal.SIGKILL)


async def test_the_number_of_processes_is_limited(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import resource as r; print(r.getrlimit(r.RLIMIT_NPROC))"]
    async with guarded(argv, cwd=tmp_path, env={}, limits=Rlimits(processes=77)) as program:
        assert await everything(program.stdout) == "(77, 77)\n"


def test_descendants_are_found_by_their_parents() -> None:
    parents = {1: 0, 2: 1, 3: 2, 4: 3, 5: 1, 6: 0}
    assert sorted(descendants(2, parents)) == [3, 4]
    assert sorted(descendants(1, parents)) == [2, 3, 4, 5]
    assert descendants(6, parents) == []
