"""What must become of a tree, step by step: OTP's rules, played through without an actor.

Whether a child returns, with whom, and how many times, is decided by the pure modules; here is only
what follows from that, in order. A supervisor does one thing after the other, so its news wait in
an agenda, sorted by time and then by arrival. It knows nothing of tasks, mailboxes or messages.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import TypeAlias

from supervision.exits import ExitKind
from supervision.intensity import RestartWindow
from supervision.strategy import decide, ends_with, should_restart

from .trees import Branch, Fates, Leaf, Node, Pool, labelled, paths

__all__ = ["Life", "Member", "Model", "Told"]

Told: TypeAlias = tuple[object, ...]  # what happened, the path, and more of it

NO_JITTER = Random(0)


@dataclass(slots=True, eq=False)
class Member:
    """A supervisor's place for one child."""

    node: Node
    label: str
    path: str
    life: "Life | None" = None
    due: int = 0
    failures: int = 0
    restarts: int = 0
    last_exit: str | None = None
    window: RestartWindow | None = None  # in a pool, where each child has its own

    @property
    def is_supervisor(self) -> bool:
        return not isinstance(self.node, Leaf)

    @property
    def state(self) -> str:
        if self.life is not None:
            return "running"
        return "restarting" if self.due else "ended"


@dataclass(slots=True, eq=False)
class Life:
    """One incarnation of a member."""

    member: Member
    owner: "Life | None"
    since: float
    members: dict[str, Member] = field(default_factory=dict)
    window: RestartWindow | None = None
    alive: bool = True


class Model:
    """A tree, its clock, and what it has told so far."""

    def __init__(self, tree: Branch) -> None:
        self.now = 0.0
        self.told: list[Told] = []
        self.fates = Fates()
        self.over: ExitKind | None = None
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._turns = count()
        self._rounds = count(1)
        self.root = Member(tree, "t", "t")
        self._begin(self.root, None)

    # --- what a test does ---

    def sleep(self, seconds: float) -> None:
        """Lets time pass; what falls due on the way happens at its own time."""
        until = self.now + seconds
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, happen = heapq.heappop(self._agenda)
            happen()
        self.now = until

    def settle(self) -> None:
        """Lets happen what happens at once."""
        self.sleep(0.0)

    def ends(self, life: Life, kind: ExitKind) -> None:
        """An actor comes to an end by itself."""
        kind = self._finish(life, kind)
        if life.owner is None:
            self.over = kind
        else:
            self._later(0.0, partial(self._hear, life.owner, life.member, life, kind))

    def stop(self) -> None:
        """The system is closed."""
        if self.root.life is not None and self.root.life.alive:
            self.over = self._finish(self.root.life, "shutdown")

    def add(self, owner: Life, label: str, leaf: Leaf) -> str:
        """Plays `StartChild`; returns what is answered."""
        if label in owner.members:
            return "ChildExists"
        member = self._member(owner, label, leaf)
        if not self._begin(member, owner):
            del owner.members[label]
            return "StartError"
        return "ok"

    def terminate(self, owner: Life, label: str) -> str:
        """Plays `TerminateChild`."""
        member = owner.members.get(label)
        if member is None:
            return "ChildUnknown"
        self._stop(member)
        if member.node.restart == "temporary" or isinstance(owner.member.node, Pool):
            del owner.members[label]
        return "ok"

    def restart(self, owner: Life, label: str) -> str:
        """Plays `RestartChild`."""
        member = owner.members.get(label)
        if member is None:
            return "ChildUnknown"
        if member.life is not None or member.due:
            return "ChildRunning"
        return "ok" if self._begin(member, owner) else "StartError"

    def delete(self, owner: Life, label: str) -> str:
        """Plays `DeleteChild`."""
        member = owner.members.get(label)
        if member is None:
            return "ChildUnknown"
        if member.life is not None or member.due:
            return "ChildRunning"
        del owner.members[label]
        return "ok"

    # --- what a test sees ---

    def members(self) -> Iterator[Member]:
        """Every place there is, parents first."""
        return _below(self.root)

    def lives(self) -> list[Life]:
        """Everybody who lives, parents first."""
        return [m.life for m in self.members() if m.life is not None and m.life.alive]

    def answer(self, label: str) -> int | str:
        """What the name says: which incarnation, or whether there will be one."""
        place = self.root
        while place.life is not None and place.life.alive:
            if place.label == label:
                return self.fates.built[label]
            below = [m for m in place.life.members.values() if label.startswith(m.label)]
            if not below:
                return "ActorDeadError"
            (place,) = below
        below_too = {path.rpartition("/")[2] for path, _ in paths(place.node, place.label)}
        return "ActorRestarting" if place.due and label in below_too else "ActorDeadError"

    # --- starts and ends ---

    def _member(self, owner: Life, label: str, node: Node) -> Member:
        member = Member(node, label, f"{owner.member.path}/{label}")
        if isinstance(owner.member.node, Pool):
            member.window = RestartWindow(owner.member.node.intensity)
        owner.members[label] = member
        return member

    def _begin(self, member: Member, owner: Life | None) -> bool:
        """Starts a member with all below it; says whether it is up."""
        member.life = life = Life(member, owner, self.now)
        if self._comes_up(life):
            self._tell("up", member)
            return True
        life.alive = False
        member.life = None
        member.last_exit = "crash"
        self._tell("crash", member)
        return False

    def _comes_up(self, life: Life) -> bool:
        match life.member.node:
            case Leaf():
                return not self.fates.starts_badly(life.member.label)
            case Pool():
                return True
            case Branch(intensity=intensity) as branch:
                life.window = RestartWindow(intensity)
                for label, node in labelled(branch, life.member.label):
                    self._member(life, label, node)
                if all(self._begin(member, life) for member in life.members.values()):
                    return True
                self._stop_all(life)
                return False

    def _stop_all(self, life: Life) -> None:
        for member in reversed(life.members.values()):
            self._stop(member)

    def _stop(self, member: Member) -> None:
        member.due = 0
        if member.life is not None and member.life.alive:
            self._finish(member.life, "shutdown")
        member.life = None

    def _finish(self, life: Life, kind: ExitKind) -> ExitKind:
        self._stop_all(life)
        badly = isinstance(life.member.node, Leaf) and kind != "crash"
        if badly and self.fates.stops_badly(life.member.label):
            kind = "crash"
        life.alive = False
        life.member.last_exit = kind
        self._tell(kind, life.member)
        return kind

    # --- what supervisors do about it ---

    def _hear(self, owner: Life, member: Member, life: Life, kind: ExitKind) -> None:
        if not owner.alive or member.life is not life:
            return
        member.life = None
        up_s = self.now - life.since
        match owner.member.node:
            case Branch() as branch:
                self._failed(owner, branch, member, kind, up_s)
            case Pool() as pool:
                self._failed_alone(owner, pool, member, kind, up_s)

    def _failed(
        self, owner: Life, branch: Branch, member: Member, kind: ExitKind, up_s: float
    ) -> None:
        kinds = [(m.label, m.node.restart) for m in owner.members.values()]
        decision = decide(branch.strategy, kinds, member.label, kind)
        if not decision.start:
            over = {
                m.label: m.life is None and not m.due
                for m in owner.members.values()
                if m.node.significant
            }
            ending = ends_with(branch.auto_shutdown, over, member.label)
            for label in decision.forget:
                del owner.members[label]
            if ending:
                self.ends(owner, "normal")
            return
        assert owner.window is not None
        if not owner.window.admit(self.now):
            self._tell("gave up", member, member.restarts)
            self.ends(owner, "crash")
            return
        for label in decision.stop:
            self._stop(owner.members[label])
        for label in decision.forget:
            del owner.members[label]
        member.failures = branch.backoff.failures_in_a_row(member.failures, up_s)
        due = next(self._rounds)
        for label in decision.start:
            owner.members[label].due = due
        delay_s = branch.backoff.delay_s(member.failures, NO_JITTER)
        self._tell("scheduled", member, delay_s)
        self._later(delay_s, partial(self._start_round, owner, branch, due))

    def _start_round(self, owner: Life, branch: Branch, due: int) -> None:
        if not owner.alive:
            return
        for member in list(owner.members.values()):
            if member.due != due:
                continue
            member.due = 0
            if not self._begin(member, owner):
                self._failed(owner, branch, member, "crash", 0.0)
                return
            member.restarts += 1
            self._tell("restarted", member, member.restarts)

    def _failed_alone(
        self, owner: Life, pool: Pool, member: Member, kind: ExitKind, up_s: float
    ) -> None:
        assert member.window is not None
        if not should_restart(member.node.restart, kind):
            del owner.members[member.label]
        elif not member.window.admit(self.now):
            del owner.members[member.label]
            self._tell("gave up", member, member.restarts)
            if pool.strict:
                self.ends(owner, "crash")
        else:
            member.failures = pool.backoff.failures_in_a_row(member.failures, up_s)
            member.due = due = next(self._rounds)
            delay_s = pool.backoff.delay_s(member.failures, NO_JITTER)
            self._tell("scheduled", member, delay_s)
            self._later(delay_s, partial(self._start_alone, owner, pool, member, due))

    def _start_alone(self, owner: Life, pool: Pool, member: Member, due: int) -> None:
        if not owner.alive or owner.members.get(member.label) is not member or member.due != due:
            return
        member.due = 0
        if self._begin(member, owner):
            member.restarts += 1
            self._tell("restarted", member, member.restarts)
        else:
            self._failed_alone(owner, pool, member, "crash", 0.0)

    # --- shared ---

    def _tell(self, what: str, member: Member, *more: object) -> None:
        self.told.append((what, member.path, *more))

    def _later(self, delay_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + delay_s, next(self._turns), happen))


def _below(member: Member) -> Iterator[Member]:
    yield member
    if member.life is not None and member.life.alive:
        for child in member.life.members.values():
            yield from _below(child)
