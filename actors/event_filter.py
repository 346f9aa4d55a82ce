"""Which events somebody wants: by type, workflow, issue and agent. Pure.

The same filter decides about what is published and about what is read from the log, so that a
listener who begins in the log and goes on live misses nothing and hears nothing else.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import Any, Final

from actors import facts
from actors.errors import ValidationError
from actors.facts import LoggedFact

TYPES: Final = frozenset(
    value for name, value in vars(facts).items() if name.isupper() and isinstance(value, str)
)
"""Every type of event there is."""

IDS_LIMIT: Final = 20
"""Topics, or workflows, that one filter may name."""

_TOPIC: Final = re.compile(r"[a-z_*]{1,60}")
_AGENTS: Final = ("agent_id", "from_agent", "to_agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Each part that is given must hold; of several topics or workflows one is enough.

    Args:
        topics: types, or patterns of them such as `step_*`.
        workflow_ids: of these workflows.
        issue_id: of this issue, or the workflow that it is.
        agent_id: what this agent did, got or gave away.
    """

    topics: tuple[str, ...] = ()
    workflow_ids: tuple[str, ...] = ()
    issue_id: str | None = None
    agent_id: str | None = None

    def wants(self, fact: LoggedFact) -> bool:
        return self.may_want(fact.type, fact.workflow_id, fact.issue_id) and self.is_about(
            fact.data
        )

    def may_want(self, kind: str, workflow_id: str | None, issue_id: str | None) -> bool:
        """All that can be said without the event's data."""
        return (
            (not self.topics or kind in types_of(self.topics))
            and (not self.workflow_ids or workflow_id in self.workflow_ids)
            and (self.issue_id is None or issue_id == self.issue_id)
        )

    def is_about(self, data: Any) -> bool:
        """Whether the data names the agent, where one is asked for."""
        return self.agent_id is None or any(data.get(n) == self.agent_id for n in _AGENTS)

    def select(self, found: Iterable[LoggedFact]) -> tuple[LoggedFact, ...]:
        if self.topics:
            kinds = types_of(self.topics)  # once, not for each event
            found = [fact for fact in found if fact.type in kinds]
        if self == EventFilter(topics=self.topics):
            return tuple(found)
        return tuple(fact for fact in found if self.wants(fact))


EVERYTHING: Final = EventFilter()


class Batch:
    """Events that many filters are asked about: sorted by workflow and by agent when one asks."""

    def __init__(self, found: tuple[LoggedFact, ...]) -> None:
        self._all = found

    def select(self, wanted: EventFilter) -> tuple[LoggedFact, ...]:
        """What the filter lets through; one that names a workflow looks at nothing else."""
        if wanted == EVERYTHING:
            return self._all
        found: Sequence[LoggedFact] = self._all
        if len(wanted.workflow_ids) == 1:
            found = self._of_workflow.get(wanted.workflow_ids[0], ())
        elif wanted.agent_id is not None:
            found = self._of_agent.get(wanted.agent_id, ())
        return wanted.select(found) if found else ()

    @cached_property
    def _of_workflow(self) -> Mapping[str | None, Sequence[LoggedFact]]:
        found: dict[str | None, list[LoggedFact]] = defaultdict(list)
        for fact in self._all:
            found[fact.workflow_id].append(fact)
        return found

    @cached_property
    def _of_agent(self) -> Mapping[str, Sequence[LoggedFact]]:
        found: dict[str, list[LoggedFact]] = defaultdict(list)
        for fact in self._all:
            names = {fact.data.get(name) for name in _AGENTS}
            for name in names:
                if isinstance(name, str):
                    found[name].append(fact)
        return found


@cache
def types_of(topics: tuple[str, ...]) -> frozenset[str]:
    """The types that any of the topics names."""
    return frozenset(kind for kind in TYPES if any(fnmatchcase(kind, topic) for topic in topics))


def check(wanted: EventFilter) -> None:
    """Refuse what no event can be.

    Raises:
        ValidationError: too many are named, or a topic is no type and no pattern of one.
    """
    _check_number("topics", wanted.topics)
    _check_number("workflow_id", wanted.workflow_ids)
    for topic in wanted.topics:
        if not _TOPIC.fullmatch(topic) or not types_of((topic,)):
            raise ValidationError(
                f"there is no type of event {topic[:60]!r}; known: {', '.join(sorted(TYPES))}",
                field="topics",
                value=topic,
            )


def _check_number(field: str, given: Sequence[str]) -> None:
    if len(given) > IDS_LIMIT:
        raise ValidationError(f"at most {IDS_LIMIT} may be named", field=field)
