"""Telemetry: what the system measures of itself, under the names others rely on.

Facts come to its mailbox from the bus; gauges and query times are set where they arise, because
prometheus_client's instruments may be called from any thread and cost less than a message. Each
system has a registry of its own.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from actors import facts
from actors.facts import FactsLogged, LoggedFact
from actors.query_times import QueryTimes
from supervision import Actor

COMMIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 512)
AGENT_TASK_BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

CACHE_OUTCOMES = frozenset({"hit", "miss", "dropped", "failed"})
"""What a look into the cache may come to; whatever else is counted of it is why a copy went."""

_TOKENS = ("input", "output", "cache_read", "cache_write")

_ENDED_AS = {
    facts.WORKFLOW_COMPLETED: "completed",
    facts.WORKFLOW_FAILED: "failed",
    facts.WORKFLOW_CANCELLED: "cancelled",
    facts.WORKFLOW_TERMINATED: "terminated",
    facts.WORKFLOW_DEAD_LETTERED: "dead_letter",
}

log = structlog.get_logger("beadflow.telemetry")


class Meters:
    """The instruments of one system. Safe to call from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._query_times = QueryTimes(
            "workflow_system_database_query_duration_seconds", "Time of one query or command"
        )
        self.registry.register(self._query_times)
        self.workflows_started = Counter(
            "workflow_system_workflows_started",
            "Workflows started",
            ["type"],
            registry=self.registry,
        )
        self.workflows_completed = Counter(
            "workflow_system_workflows_completed",
            "Workflows ended, by how",
            ["type", "status"],
            registry=self.registry,
        )
        self.workflow_duration = Histogram(
            "workflow_system_workflow_duration_seconds",
            "Start to end of a workflow",
            ["type", "agent"],
            registry=self.registry,
        )
        self.agent_workload = Gauge(
            "workflow_system_agent_workload",
            "Workflows an agent works for now",
            ["agent_id", "agent_type"],
            registry=self.registry,
        )
        self.agent_task_duration = Histogram(
            "workflow_system_agent_task_duration_seconds",
            "Start to end of a step done by an agent",
            ["agent_type", "task"],
            buckets=AGENT_TASK_BUCKETS_S,
            registry=self.registry,
        )
        self.agent_tokens = Counter(
            "workflow_system_agent_tokens",
            "Tokens that models have read and written for agents",
            ["agent_type", "kind"],
            registry=self.registry,
        )
        self.agent_cost = Counter(
            "workflow_system_agent_cost_usd",
            "What the work of models for agents has cost, where that is known",
            ["agent_type"],
            registry=self.registry,
        )
        self.database_connections = Gauge(
            "workflow_system_database_connections",
            "Open connections",
            ["database"],
            registry=self.registry,
        )
        self.commit_duration = Histogram(
            "workflow_system_database_commit_duration_seconds",
            "Time of one transaction of a writer",
            ["database"],
            buckets=COMMIT_BUCKETS_S,
            registry=self.registry,
        )
        self.commit_commands = Histogram(
            "workflow_system_database_commit_commands",
            "Commands in one transaction of a writer",
            ["database"],
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self.wal_bytes = Gauge(
            "workflow_system_database_wal_bytes",
            "Size of the write-ahead log",
            ["database"],
            registry=self.registry,
        )
        self.wal_alarms = Counter(
            "workflow_system_database_wal_alarms",
            "Looks at a write-ahead log that was too long while readers kept it from being emptied",
            ["database"],
            registry=self.registry,
        )
        self.events_published = Counter(
            "workflow_system_events_published",
            "Events told to whoever listens",
            registry=self.registry,
        )
        self.event_subscribers = Gauge(
            "workflow_system_event_subscribers",
            "Listeners to the events",
            registry=self.registry,
        )
        self.events_lagged = Counter(
            "workflow_system_events_lagged",
            "Events that listeners lost because they were too slow",
            registry=self.registry,
        )
        self.event_subscribers_cut_off = Counter(
            "workflow_system_event_subscribers_cut_off",
            "Listeners cut off because they were too slow",
            registry=self.registry,
        )
        self.actors_up = Gauge(
            "workflow_system_actors_up",
            "Actors that have started and not ended",
            ["actor"],
            registry=self.registry,
        )
        self.actor_crashes = Counter(
            "workflow_system_actor_crashes",
            "Actors ended by an exception",
            ["actor"],
            registry=self.registry,
        )
        self.actor_restarts = Counter(
            "workflow_system_actor_restarts",
            "Restarts by supervisors",
            ["actor"],
            registry=self.registry,
        )
        self.actor_gave_up = Counter(
            "workflow_system_actor_gave_up",
            "Actors that failed once more than they are restarted",
            ["actor"],
            registry=self.registry,
        )
        self.actor_mailbox_overflows = Counter(
            "workflow_system_actor_mailbox_overflows",
            "Times a mailbox became full and turned messages away",
            ["actor"],
            registry=self.registry,
        )
        self.actor_dead_letters = Counter(
            "workflow_system_actor_dead_letters",
            "Told messages that nobody handled",
            ["actor"],
            registry=self.registry,
        )

        self.cache_requests = Counter(
            "workflow_system_cache_requests",
            "Looks into a level of the cache, by what was found there",
            ["level", "outcome"],
            registry=self.registry,
        )
        self.cache_evictions = Counter(
            "workflow_system_cache_evictions",
            "Copies given up by a level of the cache, by why",
            ["level", "reason"],
            registry=self.registry,
        )
        self._cache_counters: dict[tuple[str, str], Counter] = {}
        self.circuit_state = Gauge(
            "workflow_system_circuit_state",
            "State of a service's circuit breaker: 0 closed, 1 half open, 2 open",
            ["service"],
            registry=self.registry,
        )
        self.circuit_transitions = Counter(
            "workflow_system_circuit_transitions",
            "Changes of a circuit breaker, by what it became",
            ["service", "state"],
            registry=self.registry,
        )
        self.circuit_rejections = Counter(
            "workflow_system_circuit_rejections",
            "Calls that a circuit breaker refused",
            ["service"],
            registry=self.registry,
        )

    def observe_cache(self, level: str, what: str) -> None:
        """Counts a look into a level ("hit", "miss", "dropped", "failed"), or an eviction."""
        counter = self._cache_counters.get((level, what))
        if counter is None:
            looked = what in CACHE_OUTCOMES
            family = self.cache_requests if looked else self.cache_evictions
            counter = self._cache_counters[level, what] = family.labels(level, what)
        counter.inc()

    def observe_query(self, database: str, operation: str, seconds: float, number: int = 1) -> None:
        """Notes so many queries or commands that took so long, each."""
        self._query_times.observe(database, operation, seconds, number)

    def observe_commit(self, database: str, commands: int, seconds: float) -> None:
        self.commit_duration.labels(database).observe(seconds)
        self.commit_commands.labels(database).observe(commands)

    def observe_log(self, database: str, size_bytes: int, held: bool) -> None:
        """Notes a look at a write-ahead log; `held`: too long, and readers need it."""
        self.wal_bytes.labels(database).set(size_bytes)
        if held:
            self.wal_alarms.labels(database).inc()

    def observe_workload(self, agent_id: str, agent_type: str, workload: int | None) -> None:
        """Show an agent's workload; None takes away what is shown of one that is not there."""
        if workload is not None:
            self.agent_workload.labels(agent_id, agent_type).set(workload)
            return
        with suppress(KeyError):
            self.agent_workload.remove(agent_id, agent_type)


class Telemetry(Actor):
    """Counts the facts of the bus.

    A restart of the process starts the counters again, as Prometheus expects; a restart of this
    actor keeps them, because the instruments are not its own.
    """

    mailbox_bound = 10_000

    def __init__(self, *, meters: Meters) -> None:
        super().__init__()
        # `labels` takes a lock and makes texts
        self._starts = cache(meters.workflows_started.labels)
        self._ends = cache(meters.workflows_completed.labels)
        self._durations = cache(meters.workflow_duration.labels)
        self._task_durations = cache(meters.agent_task_duration.labels)
        self._tokens = cache(meters.agent_tokens.labels)
        self._costs = cache(meters.agent_cost.labels)
        self._started: dict[str, tuple[str, str, datetime]] = {}

    async def on_receive(self, message: object) -> object:
        match message:
            case FactsLogged():
                for fact in message.facts:
                    self._count(fact)
            case _:
                return await super().on_receive(message)
        return None

    def _count(self, fact: LoggedFact) -> None:
        workflow_id = fact.workflow_id or ""
        match fact.type:
            case facts.WORKFLOW_STARTED:
                self._starts(fact.data["type"]).inc()
                self._started[workflow_id] = (fact.data["type"], "", _moment(fact))
            case facts.AGENT_ASSIGNED if workflow_id in self._started:
                kind, _, since = self._started[workflow_id]
                self._started[workflow_id] = (kind, fact.data["agent_id"], since)
            case facts.STEP_COMPLETED if "agent_type" in fact.data:
                labels = fact.data["agent_type"], fact.data["activity"]
                self._task_durations(*labels).observe(fact.data["seconds"])
            case facts.USAGE_RECORDED:
                self._count_usage(fact.data)
            case _ if fact.type in _ENDED_AS:
                self._count_end(workflow_id, fact)

    def _count_usage(self, data: Mapping[str, Any]) -> None:
        agent_type = data["agent_type"]
        for kind in _TOKENS:
            self._tokens(agent_type, kind).inc(data[f"{kind}_tokens"])
        if "cost_usd" in data:
            self._costs(agent_type).inc(data["cost_usd"])

    def _count_end(self, workflow_id: str, fact: LoggedFact) -> None:
        status = _ENDED_AS[fact.type]
        kind, agent, since = self._started.pop(workflow_id, (None, "", None))
        self._ends(fact.data.get("type") or kind or "unknown", status).inc()
        if kind is not None and since is not None:
            seconds = (_moment(fact) - since).total_seconds()
            self._durations(kind, agent).observe(seconds)


def _moment(fact: LoggedFact) -> datetime:
    return datetime.fromisoformat(fact.at)
