"""How large the head of one request may be: its first line and all of its headers, as they came.

h11 has a limit for what is incomplete, and looks at it only when it has looked for the end. So a
head that comes at once may be as large as what is read at once.
"""

import re
from typing import Any, Final

import h11

_END: Final = re.compile(rb"\n\r?\n")


class Heads(h11.Connection):
    """h11's, of a server, where a head is counted in all.

    Args:
        limit_bytes: what a head may have, with the empty line at its end.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=limit_bytes)
        self._limit_bytes = limit_bytes

    def next_event(self) -> Any:
        """As h11's.

        Raises:
            h11.RemoteProtocolError: as h11 does; with 431 where a head is too large, of which
                nothing is read then.
        """
        if self.their_state is h11.IDLE:
            came, _ = self.trailing_data
            if len(came) > self._limit_bytes and _END.search(came, 0, self._limit_bytes) is None:
                raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)
        return super().next_event()
