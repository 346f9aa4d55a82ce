"""Words of OTP's own suite, for the tests that follow it."""

from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from supervision import (
    Backoff,
    ChildSpec,
    CountChildren,
    DynamicSupervisor,
    ExitReason,
    Intensity,
    Named,
    StartChild,
    System,
    TerminateChild,
    ask,
    supervisor,
)

from .support import AT_ONCE, Boom, Crash, Probe, Run, probe

__all__ = [
    "Switch",
    "counts",
    "crash",
    "end",
    "failing",
    "ignoring",
    "over",
    "start_pool",
    "start_sup",
    "state",
    "stop",
]


async def start_sup(system: System, *children: ChildSpec, **options: Any) -> Named:
    """Starts a supervisor called sup as the root."""
    strategy = options.pop("strategy", "one_for_one")
    options = {"backoff": AT_ONCE, "intensity": Intensity(restarts=2, period_s=3600), **options}
    await system.start(supervisor("sup", strategy, children, name="sup", **options))
    return system.named("sup")


async def start_pool(
    system: System, intensity: Intensity | None = None, backoff: Backoff = AT_ONCE
) -> Named:
    """Starts a dynamic supervisor called sup as the root."""
    per_child = intensity or Intensity(restarts=2, period_s=3600)
    build = lambda: DynamicSupervisor(per_child, backoff)  # noqa: E731
    await system.start(ChildSpec(id="sup", name="sup", build=build))
    return system.named("sup")


async def counts(sup: Named) -> tuple[int, int, int, int]:
    """Counts specs, active children, supervisors and workers."""
    found = await ask(sup, CountChildren())
    return found.specs, found.active, found.supervisors, found.workers


def state(system: System, id_: str) -> str:
    """What has become of a child of sup."""
    info = system.snapshot(f"sup/{id_}")
    return info.state if info is not None else "unknown"


async def crash(system: System, *names: str) -> None:
    """Has actors crash, and waits for what follows at once."""
    for name in names:
        system.named(name).tell(Crash())
    await wait_all_tasks_blocked()


async def stop(system: System, *names: str) -> None:
    """Has actors end normally, and waits for what follows at once."""
    for name in names:
        system.named(name).tell(Run(function=lambda actor: actor.stop()))
    await wait_all_tasks_blocked()


async def end(system: System, name: str, how: str) -> None:
    """Ends a child of sup: `normal`, `abnormal`, `shutdown` through a link, or by `supervisor`."""
    match how:
        case "normal":
            await stop(system, name)
        case "abnormal":
            await crash(system, name)
        case "supervisor":
            await ask(system.named("sup"), TerminateChild(id=name))
        case _:
            one, peer = (
                system.named(name).ref,
                await ask(system.named("sup"), StartChild(spec=probe("peer", restart="temporary"))),
            )
            assert one is not None
            system.link(one, peer)
            await ask(system.named("sup"), TerminateChild(id="peer"))
            await wait_all_tasks_blocked()


async def over(system: System) -> ExitReason:
    """Waits until sup has ended; says why."""
    with trio.fail_after(10):
        return await system.wait()


class Switch:
    """Whether starts fail; may be turned at any time."""

    def __init__(self) -> None:
        self.broken = False
        self.starts = 0


def failing(switch: Switch, label: str, log: list[str] | None = None, **spec: Any) -> ChildSpec:
    """A child whose start fails while the switch is on."""

    class Failing(Probe):
        async def on_start(self) -> None:
            switch.starts += 1
            if switch.broken:
                raise Boom("broken")
            await super().on_start()

    return ChildSpec(id=label, name=label, build=lambda: Failing(label, log), **spec)


def ignoring(label: str, **spec: Any) -> ChildSpec:
    """A child that finds it is not needed: OTP's `ignore` is to stop in `on_start`."""

    class Ignoring(Probe):
        async def on_start(self) -> None:
            self.stop()

    return ChildSpec(id=label, name=label, build=lambda: Ignoring(label), **spec)
