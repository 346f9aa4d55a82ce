"""What can be worked on, what waits, and why: the truth table of dependencies, kept up to date.

An issue is *held* by an edge of its own:

- `blocks`: while the other one is open, in progress, blocked, deferred or hooked;
- `conditional-blocks`: while the other one is so, and for ever when it closes for a reason that
  does not say it failed: what depends so is what to do in that case;
- `waits-for`: while a child of the other one is not closed; with `any-children`, until one is;
- to `external:<project>:<capability>`: until an issue labelled `provides:<capability>` is closed
  here, if the project is this one; what another project provides cannot be seen from here.

An issue that is not here, or was deleted, holds nothing. Whatever holds an issue or defers it holds
its children too, and theirs. Then an issue is ready when it is open, nothing holds or defers it,
and it is work: no pinned note, no template, no wisp, none of the types that only agents use, and
without a child that is still to be done. One that was deferred until a time is open again then.

The classic set is bd v0.49.6's: what is deferred stays so until somebody reopens it, and holds no
child; nothing external holds a child; parents and templates are offered too.

Pure. State follows the graph: `changed` notes what a change may affect, `settle` works it out, in
steps, so that the caller can let others run in between.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import Final

from actors.issues.reading.graph import (
    DELETED,
    WAITS_FOR,
    Graph,
    Link,
    Node,
    external_target,
)
from actors.issues.reading.ranking import Ranking

OPENISH: Final = frozenset({"open", "in_progress", "blocked", "deferred", "hooked"})
"""Statuses that block. A custom one never does."""
DONE: Final = frozenset({"closed", DELETED})
UNASKED: Final = frozenset({"merge-request", "gate", "molecule", "message", "agent", "role", "rig"})
"""Types that are offered only to who asks for them."""
HIDDEN_IDS: Final = ("-mol-", "-wisp-")

BLOCKED: Final = 1
CLASSIC: Final = 2
EXTERNAL: Final = 4
DEFERRED: Final = 8
HANDED_DOWN: Final = BLOCKED | CLASSIC | DEFERRED

STEP: Final = 200
"""Issues looked at between two steps: under a millisecond."""


def is_deferred(node: Node, now_us: int) -> bool:
    """Whether it is put off for now: until its time, or for ever where it has none."""
    if node.status in DONE:
        return False
    if node.defer_us is None:
        return node.status == "deferred"
    return node.defer_us > now_us


def is_unfinished(node: Node) -> bool:
    """Whether its parent is not done before it is. A pinned one is a note, and never done."""
    return node.status not in DONE and node.status != "pinned" and not node.pinned


def has_hidden_id(node: Node) -> bool:
    return any(part in node.id for part in HIDDEN_IDS)


class Readiness:
    """Knows of every issue in the graph whether it is ready.

    Args:
        prefix: of this project's ids; what is external to it, is not to others.
    """

    def __init__(self, graph: Graph, prefix: str = "") -> None:
        self.graph = graph
        self.prefix = prefix
        self.now_us = 0
        self.ready = Ranking()
        self.ready_unasked = Ranking()
        self.classic = Ranking()
        self.classic_unasked = Ranking()
        self.waiting = Ranking()
        self._own: dict[str, int] = {}
        self._inherited: dict[str, int] = {}
        self._deferrals: dict[str, int] = {}
        self._alarms: list[tuple[int, str]] = []
        self._dirty: dict[str, None] = {}
        self._moved: dict[str, None] = {}

    # --- following the graph --------------------------------------------------------------

    def put(self, node: Node) -> Node | None:
        """Put an issue into the graph, and note what follows; return what was there."""
        before = self.graph.put(node)
        if before is None or _gist(before) != _gist(node):
            self._changed(node.id, before, node)
        return before

    def remove(self, issue_id: str) -> Node | None:
        before = self.graph.remove(issue_id)
        if before is not None:
            self._changed(issue_id, before, None)
        return before

    def _changed(self, issue_id: str, before: Node | None, after: Node | None) -> None:
        self._dirty[issue_id] = None
        parents = [node.parents if node is not None else [] for node in (before, after)]
        if before is None or after is None or parents[0] != parents[1]:
            self._moved[issue_id] = None
        if _shows(before) != _shows(after):
            self._dirty.update(dict.fromkeys(self.graph.dependents(issue_id)))
        for parent in dict.fromkeys((*parents[0], *parents[1])):
            self._dirty[parent] = None
            self._dirty.update(dict.fromkeys(self.graph.dependents(parent)))
        for capability in _provides(before) ^ _provides(after):
            target = f"external:{self.prefix}:{capability}"
            self._dirty.update(dict.fromkeys(self.graph.dependents(target)))

    def settle(self, now_us: int) -> Iterator[None]:
        """Work out what changed, and what the time changes; the graph rests meanwhile.

        A step ends where it yields. All is settled when it ends, and only then.
        """
        self._look_at_the_time(now_us)
        if not self._dirty and not self._moved:
            return
        spread = dict(self._moved)
        for count, issue_id in enumerate(self._dirty, 1):
            if self._judge(issue_id):
                spread[issue_id] = None
            if count % STEP == 0:
                yield
        below: dict[str, None] = {}
        yield from self._find_below(spread, below)
        yield from self._hand_down(below)
        yield from self._rank({**self._dirty, **below})
        self._dirty.clear()
        self._moved.clear()

    def _look_at_the_time(self, now_us: int) -> None:
        if now_us < self.now_us:  # the clock was set back
            self._alarms = [(at, name) for name, at in self._deferrals.items()]
            heapq.heapify(self._alarms)
            self._dirty.update(dict.fromkeys(self._deferrals))
        self.now_us = now_us
        while self._alarms and self._alarms[0][0] <= now_us:
            at, issue_id = heapq.heappop(self._alarms)
            if self._deferrals.get(issue_id) == at:
                self._dirty[issue_id] = None

    def _judge(self, issue_id: str) -> bool:
        """Look at an issue's own edges; return whether something changed for those below it."""
        node = self.graph.get(issue_id)
        self._set_alarm(issue_id, node)
        before = self._own.get(issue_id, 0)
        after = self._own_holds(node) if node is not None else 0
        if after:
            self._own[issue_id] = after
        else:
            self._own.pop(issue_id, None)
        return (before ^ after) & HANDED_DOWN != 0

    def _set_alarm(self, issue_id: str, node: Node | None) -> None:
        at = node.defer_us if node is not None else None
        if at is None:
            self._deferrals.pop(issue_id, None)
        elif self._deferrals.get(issue_id) != at:
            self._deferrals[issue_id] = at
            heapq.heappush(self._alarms, (at, issue_id))

    def _own_holds(self, node: Node) -> int:
        if node.deleted:
            return 0
        holds = DEFERRED if is_deferred(node, self.now_us) else 0
        for link in node.links:
            holds |= self._hold(link)
        return holds

    def _hold(self, link: Link) -> int:
        if link.type == "blocks":
            if link.target.startswith("external:"):
                return 0 if self._is_provided(link.target) else BLOCKED | EXTERNAL
            target = self.graph.get(link.target)
            return BLOCKED | CLASSIC if target is not None and target.status in OPENISH else 0
        if link.type == "conditional-blocks":
            return self._conditional_hold(self.graph.get(link.target))
        if link.type == WAITS_FOR and self._is_awaiting(link):
            return BLOCKED | CLASSIC
        return 0

    @staticmethod
    def _conditional_hold(target: Node | None) -> int:
        if target is None:
            return 0
        if target.status == "hooked":
            return BLOCKED  # which bd forgot
        waits = target.status in OPENISH or (target.status == "closed" and not target.failed)
        return BLOCKED | CLASSIC if waits else 0

    def _is_awaiting(self, link: Link) -> bool:
        spawner = self.graph.get(link.spawner)
        if spawner is None or spawner.deleted:
            return False
        children = self.children(link.spawner)
        if link.any_child:
            return not any(child.status == "closed" for child in children)
        return any(child.status not in DONE for child in children)

    def _is_provided(self, target: str) -> bool:
        project, capability = external_target(target) or ("", "")
        known = bool(capability) and project == self.prefix
        return known and bool(self.graph.providers(capability))

    def children(self, issue_id: str) -> Iterator[Node]:
        nodes = map(self.graph.get, self.graph.children(issue_id))
        return (node for node in nodes if node is not None)

    def _find_below(self, spread: Iterable[str], below: dict[str, None]) -> Iterator[None]:
        """Collect whose inheritance may change: who moved, and all that is below what changed."""
        below.update(self._moved)
        ahead = list(spread)
        for count, issue_id in enumerate(_emptying(ahead), 1):
            for child in self.graph.children(issue_id):
                if child not in below:
                    below[child] = None
                    ahead.append(child)
            if count % STEP == 0:
                yield

    def _hand_down(self, below: dict[str, None]) -> Iterator[None]:
        """Work inheritance out anew for issues that are given with all that is below them.

        Parents may be circles: so everything starts from what comes from outside, and is handed on
        until nothing is new.
        """
        own, inherited = self._own, self._inherited
        for count, issue_id in enumerate(below, 1):
            node = self.graph.get(issue_id)
            holds = 0
            for parent in node.parents if node is not None else ():
                holds |= own.get(parent, 0)
                if parent not in below:
                    holds |= inherited.get(parent, 0)
            inherited[issue_id] = holds & HANDED_DOWN
            if count % STEP == 0:
                yield
        ahead = [name for name in below if inherited[name]]
        for count, issue_id in enumerate(_emptying(ahead), 1):
            holds = inherited[issue_id] | own.get(issue_id, 0) & HANDED_DOWN
            for child in self.graph.children(issue_id):
                if inherited[child] | holds != inherited[child]:
                    inherited[child] |= holds
                    ahead.append(child)
            if count % STEP == 0:
                yield
        for count, issue_id in enumerate(below, 1):
            if not inherited[issue_id]:
                del inherited[issue_id]
            if count % STEP == 0:
                yield

    def _rank(self, issue_ids: Iterable[str]) -> Iterator[None]:
        rankings = self.ready, self.ready_unasked, self.classic, self.classic_unasked, self.waiting
        changes: list[dict[str, Node | None]] = [{} for _ in rankings]
        for count, issue_id in enumerate(issue_ids, 1):
            node = self.graph.get(issue_id)
            for ranking, change, here in zip(rankings, changes, self._places(node), strict=True):
                if here or issue_id in ranking:
                    change[issue_id] = node if here else None
            if count % STEP == 0:
                yield
        # In one step: what is read in between would be in two places, or in none.
        for ranking, change in zip(rankings, changes, strict=True):
            ranking.update(change)

    def _places(self, node: Node | None) -> tuple[bool, bool, bool, bool, bool]:
        """Return in which rankings an issue belongs."""
        if node is None or node.status in DONE:
            return (False,) * 5
        asked = node.issue_type not in UNASKED
        ready, classic = self.is_ready(node), self._is_classic(node)
        return (
            ready and asked,
            ready and not asked,
            classic and asked,
            classic and not asked,
            self.is_waiting(node),
        )

    # --- the answers ----------------------------------------------------------------------

    def holds(self, link: Link) -> bool:
        """Whether an edge holds the issue that has it."""
        return bool(self._hold(link) & BLOCKED)

    def own_holds(self, issue_id: str) -> int:
        """Return what its own edges and its own deferral say, as flags."""
        return self._own.get(issue_id, 0)

    def inherited_holds(self, issue_id: str) -> int:
        """Return what its ancestors hand down."""
        return self._inherited.get(issue_id, 0)

    def _holds(self, issue_id: str) -> int:
        return self.own_holds(issue_id) | self.inherited_holds(issue_id)

    def is_ready(self, node: Node) -> bool:
        """Whether it can be worked on, if somebody asks for its type."""
        return node.status in ("open", "deferred") and self.is_free(node)

    def is_free(self, node: Node) -> bool:
        """Whether nothing but its status could keep it from being worked on."""
        return (
            _is_work(node)
            and not node.template
            and not self._holds(node.id) & (BLOCKED | DEFERRED)
            and not any(map(is_unfinished, self.children(node.id)))
        )

    def _is_classic(self, node: Node) -> bool:
        return (
            node.status == "open"
            and _is_work(node)
            and not self._holds(node.id) & CLASSIC
            and not self.own_holds(node.id) & (EXTERNAL | DEFERRED)
        )

    def is_waiting(self, node: Node) -> bool:
        """Whether it is to be done, but is held, deferred, or said to be blocked."""
        if node.status not in OPENISH or node.pinned or node.template or node.ephemeral:
            return False
        return node.status == "blocked" or bool(self._holds(node.id) & (BLOCKED | DEFERRED))


def _is_work(node: Node) -> bool:
    return not node.pinned and not node.ephemeral and not has_hidden_id(node)


def _shows(node: Node | None) -> tuple[object, ...] | None:
    """Return what others look at who depend on it."""
    return (node.status, node.failed) if node is not None else None


def _gist(node: Node) -> tuple[object, ...]:
    """Return all that readiness looks at."""
    return (
        node.status, node.close_reason, node.priority, node.issue_type, node.links, node.labels,
        node.created_us, node.defer_us, node.pinned, node.ephemeral, node.template,
    )  # fmt: skip


def _provides(node: Node | None) -> frozenset[str]:
    return node.provides if node is not None and node.labels else frozenset()


def _emptying(ahead: list[str]) -> Iterator[str]:
    while ahead:
        yield ahead.pop()
