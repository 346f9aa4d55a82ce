"""pykka's `ThreadingActor`: each actor a thread, each asker a thread.

It is measured twice, because the length of the interpreter's switch interval decides what it can
do: as Python sets it, which is how it is used and what the ratios compare with; and short, as the
server sets it, which makes its asks slower and its starts faster.
"""

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import pykka

from benchmarks.kernel.counters import BURST, FALL, GET, HIT, ThreadCounter
from benchmarks.kernel.size import ASKERS, Size
from benchmarks.machine import as_served, frozen_heap
from benchmarks.report import Samples

__all__ = ["PREFIX", "SERVED", "measure"]

PREFIX = "pykka_thread_"
SERVED = "pykka_thread_served_"
Ref = pykka.ActorRef[Any]


def measure(size: Size, samples: Samples) -> None:
    """Adds one round."""
    with frozen_heap():
        for askers in ASKERS:
            samples.add(f"{PREFIX}asks_{askers}_per_s", _asks_per_s(size.asks, askers))
        samples.add(f"{PREFIX}tells_per_s", _tells_per_s(size.tells))
        samples.add(f"{PREFIX}spawns_per_s", _spawns_per_s(size.spawns))
        with _silenced():
            samples.add(f"{PREFIX}restarts_per_s", _restarts_per_s(size.restarts))
    with as_served():
        samples.add(f"{SERVED}asks_{ASKERS[-1]}_per_s", _asks_per_s(size.asks, ASKERS[-1]))
        samples.add(f"{SERVED}spawns_per_s", _spawns_per_s(size.spawns))


def _asks_per_s(asks: int, askers: int) -> float:
    ref: Ref = ThreadCounter.start()
    each = asks // askers
    ready = threading.Barrier(askers + 1)

    def ask() -> None:
        ready.wait()
        for _ in range(each):
            ref.ask(GET)

    threads = [threading.Thread(target=ask) for _ in range(askers)]
    for thread in threads:
        thread.start()
    ready.wait()
    started = perf_counter()
    for thread in threads:
        thread.join()
    seconds = perf_counter() - started
    ref.stop()
    return each * askers / seconds


def _tells_per_s(tells: int) -> float:
    ref: Ref = ThreadCounter.start()
    started = perf_counter()
    for _ in range(tells // BURST):
        for _ in range(BURST):
            ref.tell(HIT)
        handled = ref.ask(GET)
    seconds = perf_counter() - started
    ref.stop()
    assert handled == tells
    return tells / seconds


def _spawns_per_s(spawns: int) -> float:
    up: queue.SimpleQueue[None] = queue.SimpleQueue()
    started = perf_counter()
    refs: list[Ref] = [ThreadCounter.start(up) for _ in range(spawns)]
    for _ in range(spawns):
        up.get()
    seconds = perf_counter() - started
    for ref in refs:
        ref.stop(block=False)
    for ref in refs:
        ref.actor_stopped.wait()
    while any(thread.name.startswith(ThreadCounter.__name__) for thread in threading.enumerate()):
        threading.Event().wait(0.001)  # the next measurement is not to pay for their ends
    return spawns / seconds


def _restarts_per_s(restarts: int) -> float:
    """By hand, because pykka restarts nobody: its user starts another."""
    ref: Ref = ThreadCounter.start()
    started = perf_counter()
    for _ in range(restarts):
        ref.tell(FALL)
        ref.actor_stopped.wait()
        ref = ThreadCounter.start()
        ref.ask(GET)
    seconds = perf_counter() - started
    ref.stop()
    return restarts / seconds


@contextmanager
def _silenced() -> Iterator[None]:
    """The traceback of every crash is logged there; here whoever observes is told of it."""
    log = logging.getLogger("pykka")
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = False
