"""The kinds of idle actors whose memory is measured, by the names of their figures."""

from enum import StrEnum

__all__ = ["Kind"]


class Kind(StrEnum):
    LAZY = "idle_actor_bytes"
    LAZY_SUPERVISED = "idle_supervised_actor_bytes"
    EAGER = "idle_eager_actor_bytes"
    EAGER_SUPERVISED = "idle_eager_supervised_actor_bytes"
    BARE_LOOP = "bare_loop_idle_bytes"
    THREAD = "pykka_thread_idle_bytes"
