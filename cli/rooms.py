"""Whether the packages that will be imported are beadflow's own.

Their names (`actors`, `storage`, …) are ordinary words. Installed into an environment of its own
beadflow never meets others of that name; installed beside other projects it may, and would then
fail far from the cause. Looking is cheap: nothing is imported.
"""

from importlib.util import find_spec
from pathlib import Path

_ROOMS = ("actors", "api", "beadflow", "storage", "supervision")


def strangers() -> list[str]:
    """The packages of another project that stand in the place of ours, with where they are."""
    ours = Path(__file__).resolve().parent.parent
    return [
        f"{room} ({found or 'missing'})"
        for room in _ROOMS
        if (found := _found(room)) != ours / room
    ]


def _found(room: str) -> Path | None:
    spec = find_spec(room)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).resolve().parent
