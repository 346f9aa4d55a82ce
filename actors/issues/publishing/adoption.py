"""Taking in what someone else wrote into the published file: bd, an editor, a checkout.

Used by the tracker at start and by the publisher before each write. The file is recognised by its
hash: what was flushed, what a flush intended before it was cut off, or what was adopted already
needs no reading. Anything else is compared with what was last published, and the differences are
merged into the database by its writer.
"""

from typing import Final, TypeVar

import structlog

from actors.clock import Clock
from actors.issues.messages import (
    Adopted,
    AdoptRows,
    CompareFile,
    Composed,
    MarkFlushed,
    PublicationFailed,
)
from actors.writer import write
from storage.issues import instants
from storage.issues.file import QUARANTINE_NAME
from supervision import ActorDeadError, ActorRestarting, Ask, AskTimeout, Named, ask

T = TypeVar("T")
DEADLINE_S: Final = 60.0
"""For one step of the Git worker, which may have to wait for a recording to end."""

AT_ONCE: Final = 1000
"""Rows in one transaction: a tenth of a second."""

log = structlog.get_logger("beadflow.issues")


async def take_in(composed: Composed, *, writer: Named, files: Named, clock: Clock) -> bool:
    """Bring the database up to the file that is there.

    Returns:
        True when the file had to be read, so that what was composed is out of date.
    """
    present = composed.present_sha256
    if present == composed.intended_sha256 and present != composed.flushed_sha256 and present:
        # A flush got as far as its rename and no further.
        mark = MarkFlushed(seq=composed.intended_seq, sha256=present, place=composed.place)
        await write(writer, mark)
    if present is None or present in composed.known:
        return False
    outside = await ask_files(files, CompareFile())
    if outside.sha256 is None:
        return True
    adopted = await _adopt(outside.rows, outside.sha256, writer=writer, clock=clock)
    log.info(
        "file of another writer taken in",
        changed=adopted.changed,
        removed=adopted.removed,
        quarantined=outside.quarantined,
        duplicates=outside.duplicates,
        conflict_markers=outside.conflict_markers,
    )
    if outside.quarantined:
        log.warning(
            "lines of the published file could not be read and were set aside",
            lines=outside.quarantined,
            kept_in=QUARANTINE_NAME,
        )
    return True


async def _adopt(
    rows: tuple[tuple[str, str | None], ...], sha256: str, *, writer: Named, clock: Clock
) -> Adopted:
    """Have the writer take the rows in, so many at a time that others' writes get in between.

    Cut off in the middle, it is done again from the start, and what was taken in is known.
    """
    at = instants.from_datetime(clock())
    changed = removed = 0
    for begin in range(0, max(len(rows), 1), AT_ONCE):
        command = AdoptRows(
            rows=rows[begin : begin + AT_ONCE],
            file_sha256=sha256,
            at=at,
            more=begin + AT_ONCE < len(rows),
        )
        adopted = await write(writer, command)
        changed += adopted.changed
        removed += adopted.removed
    return Adopted(changed=changed, removed=removed)


async def ask_files(files: Named, message: Ask[T]) -> T:
    """Ask the Git worker, and count a worker that is not there as a failed attempt.

    Raises:
        PublicationFailed: it refused, did not answer in time, or died.
    """
    try:
        return await ask(files, message, deadline_s=DEADLINE_S)
    except (ActorDeadError, ActorRestarting, AskTimeout) as err:
        raise PublicationFailed(f"the Git worker did not answer: {err}") from err
