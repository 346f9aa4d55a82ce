"""A supervisor's place for one child, filled by one incarnation after the other."""

from collections.abc import Collection
from dataclasses import dataclass, field

from supervision.child import ChildSpec
from supervision.children import ChildCount
from supervision.info import ActorInfo, Kind, State, View
from supervision.life import Life
from supervision.names import Name

__all__ = ["Slot", "count"]


@dataclass(slots=True, eq=False)
class Slot:
    """What a supervisor knows of one child.

    Attributes:
        names: of the child and all below it, kept alive while it may return.
        kind: of the last incarnation.
        life: the present incarnation; None between two, and when it is over.
        failures: in a row, for the back-off.
        restarts: incarnations after the first.
        last_exit: why the last incarnation ended, in words: the exception would keep its frames,
            and in them the dead actor, alive.
    """

    spec: ChildSpec
    names: list[Name] = field(default_factory=list)
    kind: Kind = "task"
    life: Life | None = None
    failures: int = 0
    restarts: int = 0
    last_exit: str | None = None

    def describe(self, parent: str, absent: State, view: View) -> ActorInfo:
        """Describes the child below `parent`; `absent` is its state when there is no life."""
        if self.life is not None:
            return self.life.describe(view, restarts=self.restarts, last_exit=self.last_exit)
        return ActorInfo(
            id=self.spec.id,
            path=f"{parent}/{self.spec.id}",
            name=self.spec.name,
            kind=self.kind,
            state=absent,
            restarts=self.restarts,
            last_exit=self.last_exit,
        )


def count(slots: Collection[Slot]) -> ChildCount:
    """Counts the children in these places."""
    supervisors = sum(slot.kind == "supervisor" for slot in slots)
    return ChildCount(
        specs=len(slots),
        active=sum(slot.life is not None and slot.life.was_up for slot in slots),
        supervisors=supervisors,
        workers=len(slots) - supervisors,
    )
