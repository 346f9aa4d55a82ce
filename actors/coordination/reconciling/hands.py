"""What people, agents and other clones do to the issues of workflows, as it happens.

The events only say where to look: what counts is how issue and workflow stand then. So an event
that is heard twice, or late, does no more than the first time.
"""

from collections.abc import Iterable, Sequence

import structlog

from actors import facts
from actors.clock import Clock, rfc3339
from actors.coordination.reconciling.reading import PAGE, Pools, look
from actors.coordination.reconciling.repairs import Repairs
from actors.coordination.reconciling.rules import by_hand
from actors.coordination.reconciling.view import House
from actors.facts import LoggedFact

log = structlog.get_logger("beadflow.reconciler")

_OF_ISSUES = frozenset({facts.ISSUE_UPDATED, facts.ISSUE_CLOSED})


def touched(logged: Iterable[LoggedFact]) -> list[str]:
    """The workflows whose issue somebody changed; not those whose issue only follows them."""
    found = (
        fact.workflow_id
        for fact in logged
        if fact.type in _OF_ISSUES and not fact.data.get("automatic")
    )
    return list(dict.fromkeys(workflow_id for workflow_id in found if workflow_id is not None))


class Hands:
    """See the module."""

    def __init__(self, *, pools: Pools, repairs: Repairs, home: str, clock: Clock) -> None:
        self._pools = pools
        self._repairs = repairs
        self._home = home
        self._clock = clock
        self._unmade: dict[str, None] = {}

    async def look(self, workflow_ids: Sequence[str]) -> None:
        """Do what follows from what was done by hand to the issues of these workflows.

        One whose start is not made in all stores yet is looked at again the next time.

        Raises:
            QueryTimeout, QueryFailed: a database could not be read; it can be called again.
        """
        wanted = list(dict.fromkeys((*self._unmade, *workflow_ids)))
        for first in range(0, len(wanted), PAGE):
            house = House(home=self._home, at=rfc3339(self._clock()))
            for view in await look(self._pools, wanted[first : first + PAGE]):
                self._unmade.pop(view.workflow_id, None)
                if view.mapped is not None and view.ran is None and view.mapped.intent_at:
                    self._unmade[view.workflow_id] = None
                for found in by_hand(view, house):
                    log.info(
                        "issue changed by hand",
                        code=found.code,
                        workflow_id=view.workflow_id,
                        issue_id=view.issue_id,
                        what=found.what,
                        how=found.how,
                    )
                    await self._repairs.carry_out(view, found, patient=True)
