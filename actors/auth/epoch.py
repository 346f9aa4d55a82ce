"""How many times something was taken away from somebody: what a door remembers is of one epoch.

One object, shared by the actor that revokes and by the doors that remember whom they let in. The
actor counts on before it acknowledges, so nobody is let in from memory after that.
"""


class AuthEpoch:
    """A number that only rises. Of the event loop's thread."""

    def __init__(self) -> None:
        self._number = 0

    @property
    def number(self) -> int:
        return self._number

    def bump(self) -> None:
        """Makes all that is remembered of credentials worthless."""
        self._number += 1
