"""How much happens in one simulation: a part of what its seed decides."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Seconds are virtual.

    Args:
        workflows: how many are wanted, all within `busy_s`.
        busy_s: how long chaos lasts.
        pause_s: the longest pause between two crashes.
        at_seams: how likely a crash is where something becomes durable.
        polite: whether crashes leave every supervisor the restarts that its budget has.
        full_s: the longest time for which a disk is full; 0 for never.
        lives: how many lives of the process share that time.
        latency_s: the longest time that a writer takes for a batch.
        edits_s: the longest pause between two writes of somebody else into the published file; 0
            for none.
        git: whether the directory is a Git repository.
    """

    workflows: int
    busy_s: float
    pause_s: float
    at_seams: float
    polite: bool
    full_s: float
    lives: int
    latency_s: float
    edits_s: float
    git: bool

    @classmethod
    def of(cls, chance: random.Random) -> "Script":
        return cls(
            workflows=chance.randint(5, 15),
            busy_s=chance.uniform(60.0, 180.0),
            pause_s=chance.choice([1.0, 2.0, 10.0]),
            at_seams=chance.choice([0.0, 0.05, 0.1]),
            polite=chance.random() < 0.7,
            full_s=chance.choice([0.0, 0.0, 2.0, 20.0]),
            lives=chance.randint(1, 4),
            latency_s=chance.choice([0.0, 0.05, 0.5, 3.0]),
            edits_s=chance.choice([0.0, 1.0, 10.0]),
            git=chance.random() < 0.1,
        )
