"""Which status may follow which, cell by cell."""

import pytest

from actors.coordination.transitions import TABLE, Verb, verb
from actors.errors import Conflict

STATUSES = (
    *("queued", "active", "paused", "stalled", "completed"),
    *("failed", "cancelled", "terminated", "dead_letter"),
)

P, R, C, D, Y = Verb.PAUSE, Verb.RESUME, Verb.CANCEL, Verb.COMPLETE, Verb.RETRY
no = None

# fmt: off
#                queued active paused stalled completed failed cancelled terminated dead_letter
CELLS = {
    "queued":      ("=",  no,    P,     no,     no,       no,    C,        no,        no),
    "active":      (no,   "=",   P,     no,     D,        no,    C,        no,        no),
    "paused":      (no,   R,     "=",   no,     no,       no,    C,        no,        no),
    "stalled":     (no,   Y,     no,    "=",    no,       no,    C,        no,        no),
    "completed":   (no,   no,    no,    no,     "=",      no,    no,       no,        no),
    "failed":      (no,   Y,     no,    no,     no,       "=",   no,       no,        no),
    "cancelled":   (no,   no,    no,    no,     no,       no,    "=",      no,        no),
    "terminated":  (no,   no,    no,    no,     no,       no,    no,       "=",       no),
    "dead_letter": (no,   Y,     no,    no,     no,       no,    C,        no,        "="),
}
# fmt: on


@pytest.mark.parametrize("present", STATUSES)
@pytest.mark.parametrize("asked", STATUSES)
def test_a_status_is_reached_by_its_verb_or_not_at_all(present: str, asked: str) -> None:
    cell = CELLS[present][STATUSES.index(asked)]
    if cell == "=":
        assert verb("w-1", present, asked) is None
    elif cell is not None:
        assert verb("w-1", present, asked) is cell
    else:
        with pytest.raises(Conflict) as refused:
            verb("w-1", present, asked)
        assert refused.value.code == "status_transition"
        assert present in refused.value.message
        assert asked in refused.value.message
        assert all(allowed in refused.value.message for allowed in TABLE[present])


def test_the_table_has_a_line_for_every_status() -> None:
    assert tuple(TABLE) == STATUSES
