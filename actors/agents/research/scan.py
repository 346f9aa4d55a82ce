"""Goes through the files of a repository one after the other, in a worker thread."""

from collections.abc import Callable
from typing import Final

import trio

from actors.agents.kit.files import Listing

Progress = Callable[[str, float | None], None]

SCAN_S: Final = 30.0
_REPORT_EVERY: Final = 500


async def scan(
    listing: Listing, read_one: Callable[[str], None], progress: Progress, within_s: float
) -> int:
    """Has each file read in turn; answers how many were read before the time was up.

    Args:
        listing: the files.
        read_one: given a path below the listing's root, in a worker thread.
        progress: told every 500 files, with the fraction done.
        within_s: seconds for all of them.

    Cancellation takes effect after the file being read.
    """
    done = 0

    def read_all() -> None:
        nonlocal done
        for path in listing.paths:
            trio.from_thread.check_cancelled()
            read_one(path)
            done += 1
            if done % _REPORT_EVERY == 0:
                message, fraction = f"read {done:,} files", done / len(listing.paths)
                trio.from_thread.run_sync(progress, message, fraction)

    with trio.move_on_after(within_s):
        await trio.to_thread.run_sync(read_all)
    return done
