"""What became of a process that another one started."""

from pathlib import Path

import trio


async def written(mark: Path) -> str:
    """What a process writes into a file once it runs.

    Raises:
        trio.TooSlowError: it has written nothing for a minute.
    """
    with trio.fail_after(60):
        while not (mark.exists() and mark.read_text(encoding="utf-8")):
            await trio.sleep(0.005)  # the process needs a processor, too
    return mark.read_text(encoding="utf-8")


async def gone(pid: int) -> bool:
    """Whether the process ends; a killed orphan is reaped by init a moment later."""
    with trio.move_on_after(10):
        while True:
            try:
                state = await trio.Path(f"/proc/{pid}/stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                return True
            if state.rpartition(")")[2].split()[0] == "Z":
                return True
            await trio.lowlevel.checkpoint()
    return False
