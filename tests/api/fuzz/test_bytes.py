"""Damaged bytes of valid requests, by seed: what goes out is an answer or a proper problem."""

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.api.fuzz import corpus
from tests.api.fuzz.mutator import mutated
from tests.api.fuzz.raw import Unfit, ask
from tests.api.fuzz.served import Served, served

CASES = int(os.environ.get("BEADFLOW_FUZZ_CASES", "9500"))
SEED = int(os.environ.get("BEADFLOW_FUZZ_SEED", "9"))
CLIENTS = 8
PART = 9_500
"""Cases of one test: it must not take for ever."""


@pytest.mark.parametrize("part", range(-(-CASES // PART)))
async def test_no_bytes_make_the_server_fail(
    part: int, repo: Path, logged: list[dict[str, Any]]
) -> None:
    """Each case has a seed of its own, which its failure names."""
    statuses: Counter[int | None] = Counter()
    async with served(repo) as here:
        valid = list(corpus.requests(corpus.document(here.app), here.ids, here.key))
        others = [one.raw() for one in valid]
        numbers = iter(range(part * PART, min((part + 1) * PART, CASES)))

        async def client() -> None:
            for number in numbers:
                chance = random.Random(SEED * 1_000_000 + number)
                raw = mutated(chance.choice(valid), chance, others)
                statuses[await status_of(here, raw, number)] += 1

        async with trio.open_nursery() as nursery:
            for _ in range(CLIENTS):
                nursery.start_soon(client)
        assert (await status_of(here, others[0], -1)) == 200
    print(dict(statuses))
    assert {200, 400, 404, 422} <= set(statuses)
    assert [entry for entry in logged if entry["log_level"] == "error"] == []


async def status_of(here: Served, raw: bytes, number: int) -> int | None:
    try:
        reply = await ask(here.address, raw)
    except (Unfit, trio.TooSlowError) as error:
        pytest.fail(f"case {number} of seed {SEED}: {error!r} after {raw!r}")
    return None if reply is None else reply.status
