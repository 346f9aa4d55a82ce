"""pykka's actor as the type checker should see it under ours.

pykka's hooks are synchronous, a task actor's are coroutines, and a type checker would report that
in every subclass anew. At run time the base is `pykka.Actor` itself; to the checker it is the part
of it that we keep.
"""

import threading
from typing import TYPE_CHECKING, Any

import pykka

__all__ = ["PykkaActor"]

if TYPE_CHECKING:

    class PykkaActor:
        """`pykka.Actor` without its synchronous hooks."""

        actor_urn: str
        actor_inbox: Any
        actor_stopped: threading.Event
        _actor_ref: Any

        @property
        def actor_ref(self) -> Any: ...

else:
    PykkaActor = pykka.Actor
