"""What an inventory is asked for, and what it answers."""

from typing import Final, Literal

from pydantic import AwareDatetime, Field

from actors.agents.kit.outcome import Model, Outcome, Place
from actors.agents.research.facts import Language, Practices

MAX_SHOWN: Final = 200


class InventoryRequest(Model):
    """Asks what there is in the repository."""

    shown: int = Field(
        default=20, ge=1, le=MAX_SHOWN, description="How many hotspots and notes are listed"
    )
    days: int = Field(default=365, ge=1, le=3_650, description="How far back changes are counted")


class EntryPoint(Model):
    """Where a program begins or a plug-in is found."""

    kind: Literal["command", "plug-in", "module", "npm command", "cargo binary", "go program"]
    name: str
    target: str
    place: Place


class Hotspot(Model):
    """A file that is changed often: the more often and the longer, the more it costs."""

    path: str
    commits: int
    added: int
    deleted: int
    lines: int


class Reminder(Model):
    """A note that its author left in the code for later."""

    word: Literal["TODO", "FIXME", "XXX", "HACK"]
    text: str
    place: Place


class Inventory(Outcome):
    """What there is: languages, where programs begin, what changes, what was left for later."""

    retrieved_at: AwareDatetime
    languages: tuple[Language, ...]
    manifests: tuple[str, ...]
    locks: tuple[str, ...]
    entry_points: tuple[EntryPoint, ...]
    practices: Practices
    hotspots: tuple[Hotspot, ...]
    reminders: tuple[Reminder, ...]
