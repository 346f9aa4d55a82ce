"""Names that outlive the actors that answer to them.

A client keeps a `Named`, not a ref to an incarnation that may be dead by now. The name is looked up
at each send. It knows three states: somebody answers, somebody will again (`ActorRestarting`, the
message never ran), nobody ever will (`ActorDeadError`).
"""

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from supervision.errors import ActorDeadError, ActorRestarting, NameTaken

if TYPE_CHECKING:
    from supervision.ref import ActorRef

__all__ = ["Name", "Names"]


class Name:
    """One name and who answers to it. Written by the trio thread, read by any."""

    __slots__ = ("__weakref__", "ref", "restarting", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.ref: ActorRef | None = None
        self.restarting = False

    def bind(self, ref: "ActorRef") -> None:
        self.ref = ref
        self.restarting = False

    def leave(self, *, restarting: bool) -> None:
        """Says that nobody answers now, and whether somebody will."""
        self.restarting = restarting
        self.ref = None

    def expect(self, *, restarting: bool) -> None:
        """Settles what to expect of a name nobody answers to at the moment."""
        if self.ref is None:
            self.restarting = restarting

    def absent(self, message: object) -> ActorDeadError | ActorRestarting:
        """Builds the error for a message sent while nobody answers."""
        kind = type(message).__name__
        if self.restarting:
            return ActorRestarting(f"{self.text} is being restarted: {kind} never ran")
        return ActorDeadError(f"nobody answers to {self.text}: {kind} was not delivered")


class Names:
    """All names of one system. A name nobody holds any more is forgotten."""

    def __init__(self) -> None:
        self._names: WeakValueDictionary[str, Name] = WeakValueDictionary()

    def find(self, text: str) -> Name:
        """Returns the name, known already or not."""
        name = self._names.get(text)
        if name is None:
            name = self._names[text] = Name(text)
        return name

    def free(self, text: str) -> Name:
        """Returns the name for a new owner.

        Raises:
            NameTaken: a running actor answers to it.
        """
        name = self.find(text)
        if name.ref is not None:
            raise NameTaken(f"{name.ref.path} already answers to {text}")
        return name

    def end(self) -> None:
        """Nobody will ever answer again."""
        for name in list(self._names.values()):
            name.leave(restarting=False)
