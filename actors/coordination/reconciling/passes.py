"""A pass: look at everything, look again at what seemed wrong, repair it, until nothing is left.

Three databases cannot be read at one moment, and each follows another a little later. So before a
look all outboxes are copied and all events applied that were there, and what seems wrong counts
only when it is still so after that was done once more. Repairs are commands that do nothing where
things have changed since; so a pass beside work in progress does no harm.

One pass at a time. It reads in stretches and holds nothing up.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

import structlog
import trio

from actors.agents.handout import agent_name
from actors.agents.messages import (
    AgentView,
    Introduce,
    ListAgents,
    ListAwaited,
    ReloadAssignments,
)
from actors.bus import OutboxesSetBack, ring
from actors.clock import Clock, rfc3339
from actors.coordination.messages import IntentOpen
from actors.coordination.reconciling import scope as scopes
from actors.coordination.reconciling.messages import (
    REPAIRED,
    REPORTED,
    Divergence,
    Done,
    LogReconciled,
    NoteLooked,
    Reconcile,
    Report,
    SetBackFeed,
    SetBackOutbox,
)
from actors.coordination.reconciling.reading import PAGE, Pools, look
from actors.coordination.reconciling.repairs import Repairs
from actors.coordination.reconciling.rules import Act, Found, examine
from actors.coordination.reconciling.scope import Scope
from actors.coordination.reconciling.view import House, View
from actors.hints import hint
from actors.issues.messages import PublicationFailed, RecordNow
from actors.writer import Settle, persist, write
from storage.coordination import divergences as bridge
from storage.issues import divergences as issues
from storage.workflows import divergences as engine
from supervision import ActorDeadError, ActorRestarting, AskTimeout, MailboxFull, Named, ask

ROUNDS: Final = 6
"""What a repair uncovers is repaired in the next round; more than a few is a repair that fails."""

INTENT_S: Final = 60.0
"""How old an open intent is before it counts: a start takes milliseconds."""

PATIENCE_S: Final = 30.0
"""How long a pass waits for outboxes to be copied and events to be applied."""

INTENT_PATIENCE_S: Final = 10.0
INTRODUCTION_S: Final = 5.0
LOOK_S: Final = 0.01

EVENTS: Final = "reconciled_events"
JOURNAL: Final = "reconciled_journal"

log = structlog.get_logger("beadflow.reconciler")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """How far the reconciler itself is, and how it is told to be less far."""

    consumer: str
    position: Callable[[], int]
    set_back: Callable[[int], None]


Wrong = dict[str, tuple[View, list[Found]]]


@dataclass(slots=True)
class _Pass:
    """One pass under way."""

    message: Reconcile
    found: dict[tuple[str, str | None, str | None], Divergence] = field(default_factory=dict)
    looked_at: int = 0
    failed: dict[tuple[str, str | None, str | None], str] = field(default_factory=dict)

    def note(self, found: Found, workflow_id: str | None, issue_id: str | None, why: str) -> bool:
        """Note a divergence and what became of it; answers whether that is news."""
        key = (found.code, workflow_id, issue_id)
        before = self.found.get(key)
        done: Done = REPAIRED if found.acts and self.message.repair and not why else REPORTED
        if before is not None:
            return False
        self.found[key] = Divergence(
            code=found.code,
            workflow_id=workflow_id,
            issue_id=issue_id,
            what=found.what,
            done=done,
            how=why or found.how,
        )
        return True

    def settled_otherwise(self, wrong: Wrong) -> None:
        """What could not be repaired because somebody else has done so meanwhile is no more."""
        left = {
            (one.code, view.workflow_id, view.issue_id)
            for view, found in wrong.values()
            for one in found
        }
        for key, how in list(self.failed.items()):
            if key not in left:
                self.found[key] = replace(self.found[key], done=REPAIRED, how=how)
                del self.failed[key]

    def fails(self, found: Found, view: View | None, why: str) -> None:
        key = (found.code, view.workflow_id if view else None, view.issue_id if view else None)
        self.found[key] = replace(self.found[key], done=REPORTED, how=why)
        if found.acts and view is not None:
            self.failed[key] = found.how

    def in_vain(self, found: Found, view: View) -> None:
        """What was repaired is still so."""
        key = (found.code, view.workflow_id, view.issue_id)
        before = self.found.get(key)
        if before is not None and before.done == REPAIRED:
            self.found[key] = replace(before, done=REPORTED, how=f"in vain: {before.how}")


class Passes:
    """See the module.

    Args:
        actors: by name: the writers ("coordination", "tempolite", "beads"), "coordinator",
            "intents", "bus", "publisher".
        named: finds the actor of an agent.
        live: the workflows that have an actor.
    """

    def __init__(
        self,
        *,
        pools: Pools,
        repairs: Repairs,
        actors: Mapping[str, Named],
        named: Callable[[str], Named],
        live: Callable[[], frozenset[str]],
        home: str,
        clock: Clock,
    ) -> None:
        self._pools = pools
        self._repairs = repairs
        self._actors = actors
        self._named = named
        self._live = live
        self._home = home
        self._clock = clock
        self._running = trio.Lock()
        self._reported: tuple[Divergence, ...] = ()

    async def run(self, message: Reconcile, feed: Feed) -> Report:
        """Look at everything, or at what is live or new, and repair what can be.

        Raises:
            QueryTimeout, QueryFailed: a database could not be read; nothing is half done, and it
                can be called again.
        """
        async with self._running:
            here = _Pass(message)
            await self._cursors(here, feed)
            await self._intents(here)
            await self._settle(feed)
            scope = await self._scope(message)
            await self._look(here, scope, feed)
            await self._file(here)
            report = Report(
                found=tuple(here.found.values()),
                looked_at=here.looked_at,
                complete=message.complete,
            )
            await self._tell(report, scope)
            return report

    # What the stores say of each other.

    async def _cursors(self, here: _Pass, feed: Feed) -> None:
        """Nobody can have read further than there is: what comes next would pass for known.

        The end is read last: it moves on, and nobody reads before it.
        """
        for source, (database, sql) in _ENDS.items():
            at = await self._number("coordination", bridge.LOOKED_AT, source)
            end = await self._number(database, sql)
            if at > end:
                what = f"the bus has read {source}.db up to {at}, which ends at {end}"
                back = SetBackOutbox(source=source, position=end)
                acts = (Act("coordination", back), Act("bus", OutboxesSetBack()))
                await self._act(here, Found(code="outbox_ahead", what=what, how=_BACK, acts=acts))
        at = max(await self._number("beads", issues.APPLIED, feed.consumer), feed.position())
        end = await self._number("coordination", bridge.LAST_EVENT)
        if at > end:
            what = f"the issues have followed the events up to {at}, which end at {end}"
            act = Act("beads", SetBackFeed(consumer=feed.consumer, position=end))
            await self._act(here, Found(code="feed_ahead", what=what, how=_BACK, acts=(act,)))
            if here.message.repair:
                feed.set_back(end)

    async def _number(self, database: str, sql: str, *given: object) -> int:
        pool = getattr(self._pools, database)
        rows = await pool.fetch("reconcile", sql, given)
        return int(rows[0][0] or 0) if rows else 0

    async def _intents(self, here: _Pass) -> None:
        """What was decided long ago and is not made."""
        old = await self._old_intents()
        if not old:
            return
        if here.message.repair:
            hint(self._actors["intents"], IntentOpen())
            with trio.move_on_after(INTENT_PATIENCE_S):
                await _until(self._are_made)
        left = await self._old_intents() if here.message.repair else {}
        for intent_id, (workflow_id, kind) in old.items():
            why = "it cannot be made now, and is tried again" if intent_id in left else ""
            act = (Act("intents", IntentOpen()),)
            what = f"the {kind} {intent_id} was decided and is not made"
            found = Found(code="intent_open", what=what, how="it is made", acts=act)
            here.note(found, workflow_id, None, why)

    async def _are_made(self) -> bool:
        return not await self._old_intents()

    async def _old_intents(self) -> dict[str, tuple[str, str]]:
        now = self._clock()
        return {
            row["id"]: (row["workflow_id"], row["kind"])
            for row in await self._pools.coordination.fetch("reconcile", bridge.OPEN_INTENTS, ())
            if (now - datetime.fromisoformat(row["created_at"])).total_seconds() > INTENT_S
        }

    async def _settle(self, feed: Feed) -> None:
        """Wait until whatever has happened has reached every store."""
        for name in ("coordination", "tempolite", "beads"):
            await persist(self._actors[name], Settle())
        ends = {source: await self._number(*where) for source, where in _ENDS.items()}
        ring(self._actors["bus"])
        with trio.move_on_after(PATIENCE_S) as patience:
            for source, end in ends.items():
                await _until(partial(self._is_copied, source, end))
            end = await self._number("coordination", bridge.LAST_EVENT)
            await _until(partial(_is_applied, feed, end))
        if patience.cancelled_caught:
            log.warning("the issues are behind the events", position=feed.position())
        await persist(self._actors["beads"], Settle())
        await persist(self._actors["coordination"], Settle())

    async def _is_copied(self, source: str, end: int) -> bool:
        return await self._number("coordination", bridge.LOOKED_AT, source) >= end

    # The workflows.

    async def _scope(self, message: Reconcile) -> Scope:
        if message.complete:
            return await scopes.all_there_is(self._pools, self._home, self._live())
        return await scopes.lately(
            self._pools,
            self._home,
            await self._number("coordination", bridge.LOOKED_AT, EVENTS),
            await self._number("coordination", bridge.LOOKED_AT, JOURNAL),
        )

    async def _look(self, here: _Pass, scope: Scope, feed: Feed) -> None:
        here.looked_at = len(scope.workflow_ids) + scope.passed_over
        for copy in scope.copied:
            what = f"the issue says that it is {copy.workflow_id}, whose issue is {copy.mapped_to}"
            found = Found(code="issue_copied", what=what, how="take the note out of its metadata")
            here.note(found, copy.workflow_id, copy.issue_id, "")
        suspects = await self._examined(scope, list(scope.workflow_ids))
        for _ in range(ROUNDS):
            if not suspects:
                return
            await self._settle(feed)
            again = await self._confirmed(scope, suspects)
            for view, wrong in again.values():
                for one in wrong:
                    await self._deal(here, view, one)
            acts = any(one.acts for _, wrong in again.values() for one in wrong)
            if not (acts and here.message.repair):
                return
            hint(self._actors["coordinator"], ReloadAssignments())
            await self._settle(feed)
            suspects = await self._examined(scope, list(suspects))
            here.settled_otherwise(suspects)
        for view, wrong in suspects.values():
            for one in wrong:
                here.in_vain(one, view)

    async def _confirmed(self, scope: Scope, suspects: Wrong) -> Wrong:
        """What is still wrong, now that all that was on its way has come."""
        again = await self._examined(scope, list(suspects))
        said = {w: {(one.code, one.what) for one in wrong} for w, (_, wrong) in suspects.items()}
        return {
            workflow_id: (view, [one for one in wrong if (one.code, one.what) in said[workflow_id]])
            for workflow_id, (view, wrong) in again.items()
        }

    async def _examined(self, scope: Scope, workflow_ids: Sequence[str]) -> Wrong:
        """Those of them with which something is wrong."""
        house = await self._house(scope)
        wrong: Wrong = {}
        for first in range(0, len(workflow_ids), PAGE):
            page = workflow_ids[first : first + PAGE]
            for view in await look(self._pools, page, scope.issues_of):
                found = examine(view, house)
                if found:
                    wrong[view.workflow_id] = (view, found)
        return wrong

    async def _house(self, scope: Scope) -> House:
        agents = await self._agents()
        return House(
            home=self._home,
            at=rfc3339(self._clock()),
            agents=agents,
            doing=await self._doing(agents or ()),
            awaited=await self._awaited(),
            actors=self._live(),
            results=frozenset(scope.results),
        )

    async def _agents(self) -> dict[str, str] | None:
        try:
            found: tuple[AgentView, ...] = await ask(
                self._actors["coordinator"], ListAgents(), deadline_s=PATIENCE_S
            )
        except (ActorDeadError, ActorRestarting, AskTimeout):
            return None
        return {one.agent_id: one.agent_type for one in found if one.status not in _GONE}

    async def _doing(self, agents: Iterable[str]) -> dict[str, frozenset[tuple[str, str, int]]]:
        """What the agents that answer say that they do."""
        found: dict[str, frozenset[tuple[str, str, int]]] = {}

        async def introduce(agent_id: str) -> None:
            with suppress(ActorDeadError, ActorRestarting, AskTimeout, MailboxFull):
                agent = self._named(agent_name(agent_id))
                here = await ask(agent, Introduce(), deadline_s=INTRODUCTION_S)
                found[agent_id] = frozenset(here.running)

        async with trio.open_nursery() as nursery:
            for agent_id in agents:
                nursery.start_soon(introduce, agent_id)
        return found

    async def _awaited(self) -> frozenset[tuple[str, str]] | None:
        """Asked last: what an agent did not know of yet when it was asked, is known here."""
        try:
            return await ask(self._actors["coordinator"], ListAwaited(), deadline_s=PATIENCE_S)
        except (ActorDeadError, ActorRestarting, AskTimeout):
            return None

    async def _deal(self, here: _Pass, view: View, found: Found) -> None:
        """Repair it, once as it is, or report it."""
        key = (found.code, view.workflow_id, view.issue_id)
        is_news = here.note(found, *key[1:], "")
        if not is_news and here.found[key].what != found.what:
            here.found[key] = replace(here.found[key], what=found.what)
            is_news = True  # another one of the kind: what was repaired has changed meanwhile
        if is_news and here.message.repair and (found.acts or found.says):
            why = await self._repairs.carry_out(view, found)
            if why:
                here.fails(found, view, why)

    async def _act(self, here: _Pass, found: Found) -> None:
        here.note(found, None, None, "")
        if here.message.repair:
            why = await self._repairs.carry_out(None, found)
            if why:
                here.fails(found, None, why)

    # Git, and who wants to know.

    async def _file(self, here: _Pass) -> None:
        """The file and its ref say what the database says, or it is said why they cannot."""
        try:
            await ask(self._actors["publisher"], RecordNow(), deadline_s=2 * PATIENCE_S)
        except (PublicationFailed, ActorDeadError, ActorRestarting, AskTimeout) as error:
            what = "the issues' file, or its ref, is behind the database"
            here.note(Found(code="file_behind", what=what, how=str(error)), None, None, "")

    async def _tell(self, report: Report, scope: Scope) -> None:
        for one in report.found:
            log.warning(
                "stores disagree" if one.done == REPORTED else "stores disagreed",
                code=one.code,
                workflow_id=one.workflow_id,
                issue_id=one.issue_id,
                what=one.what,
                how=one.how,
            )
        for source, position in ((EVENTS, scope.events), (JOURNAL, scope.journal)):
            if position:
                hint(self._actors["coordination"], NoteLooked(source=source, position=position))
        reported = tuple(one for one in report.found if one.done == REPORTED)
        if report.repaired or (reported and reported != self._reported):
            command = LogReconciled(
                number=await self._number("coordination", bridge.LOOKED_AT, "reconciled") + 1,
                found=len(report.found),
                repaired=report.repaired,
                reported=report.reported,
                codes=tuple(sorted({one.code for one in report.found})),
                at=rfc3339(self._clock()),
            )
            await write(self._actors["coordination"], command)
            ring(self._actors["bus"])
        self._reported = reported


async def _is_applied(feed: Feed, end: int) -> bool:
    return feed.position() >= end


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what others do, and tell nobody of."""
    while not await condition():  # noqa: ASYNC110 - other processes of the system do it
        await trio.sleep(LOOK_S)


_ENDS: Final = {
    "tempolite": ("tempolite", engine.END_OF_HISTORY),
    "beads": ("beads", issues.END_OF_JOURNAL),
}
_BACK: Final = "the cursor is set back to the end; what was passed over is found by the other rules"
_GONE: Final = frozenset({"lost", "unregistered"})
