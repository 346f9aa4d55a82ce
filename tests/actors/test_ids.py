"""Names that the system makes up."""

import random
from datetime import UTC, datetime, timedelta

from actors.ids import home_id, workflow_id

AT = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_workflow_id_says_what_it_is() -> None:
    made = workflow_id("research", AT, random.Random(1))
    kind, _, rest = made.rpartition("-")
    assert kind == "research"
    assert len(rest) == 16
    assert int(rest[:8], 36) == int(AT.timestamp() * 1000)


def test_workflow_ids_sort_by_their_time() -> None:
    chance = random.Random(1)
    moments = [AT + timedelta(milliseconds=7 * n) for n in range(100)]
    made = [workflow_id("w", at, chance) for at in moments]
    assert made == sorted(made)


def test_ids_of_one_moment_differ() -> None:
    chance = random.Random(1)
    assert len({workflow_id("w", AT, chance) for _ in range(1000)}) == 1000


def test_chance_alone_decides_the_rest() -> None:
    assert workflow_id("w", AT, random.Random(5)) == workflow_id("w", AT, random.Random(5))
    assert home_id(random.Random(5)) == home_id(random.Random(5)) != home_id(random.Random(6))
    assert len(home_id(random.Random(5))) == len("home-") + 16
