"""What became of a process that another one started."""

import trio


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
