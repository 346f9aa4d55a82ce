"""pykka's actor as the type checker should see it under ours.

pykka's hooks are synchronous, a task actor's are coroutines, and a type checker would report that
in every subclass anew. At run time the base is `pykka.Actor` itself; to the checker it is nothing.
"""

from typing import TYPE_CHECKING

import pykka

__all__ = ["PykkaActor"]

if TYPE_CHECKING:

    class PykkaActor:
        """`pykka.Actor` without its synchronous hooks."""

        __slots__ = ()

else:
    PykkaActor = pykka.Actor
