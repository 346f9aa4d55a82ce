"""The whole supervision tree, on one screen: children from top to bottom in the order they start.

They stop in reverse. `rest_for_one` at the root says what depends on what: whatever stands below a
part that had to be restarted is restarted with it.
"""

import math
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from actors import bus, retention
from actors.agents.catalogue import AgentSpec
from actors.agents.coordinator import AgentCoordinator, CoordinatorParts
from actors.agents.endpoint import ModelEndpoint
from actors.agents.messages import AgentGone
from actors.agents.protocol import Agent
from actors.agents.site import Site
from actors.analytics.analyst import Analyst
from actors.auth import store as auth_store
from actors.auth.credentials import Entropy
from actors.auth.epoch import AuthEpoch
from actors.auth.keeper import AuthKeeper
from actors.auth.settings import AuthSettings
from actors.breakers import Breakers
from actors.bus import EventBus
from actors.circuits import CircuitWatcher
from actors.clock import Clock
from actors.coordination import assigning, leasing, registering
from actors.coordination import bulk as coordination_bulk
from actors.coordination import store as coordination_store
from actors.coordination.cache import CacheManager, SharedCache
from actors.coordination.gates import Gates
from actors.coordination.intents import Intents
from actors.coordination.manager import WorkflowManager
from actors.coordination.reconciler import Reconciler
from actors.coordination.reconciling import store as reconciling_store
from actors.coordination.reconciling.hands import Hands
from actors.coordination.reconciling.passes import Passes
from actors.coordination.reconciling.reading import Pools
from actors.coordination.reconciling.repairs import Repairs
from actors.coordination.record_memory import Limits, MemoryWitness, RecordMemory
from actors.coordination.redis_cache import RedisAddress, RedisCache
from actors.coordination.results import store as results_store
from actors.coordination.results.storage import (
    ARTIFACT_LIMIT_BYTES,
    ARTIFACTS_LIMIT_BYTES,
    ResultsStorage,
)
from actors.coordination.results.types import ResultTypes
from actors.event_filter import EventFilter
from actors.facts import WORKFLOW_UPDATED
from actors.hints import hint
from actors.issues import bulk as issues_bulk
from actors.issues import store as issues_store
from actors.issues.facts import issue_outbox
from actors.issues.messages import JournalAdvanced
from actors.issues.publishing import sync_store
from actors.issues.publishing.git_remote import GitRemote
from actors.issues.publishing.git_worker import GitWorker
from actors.issues.publishing.publisher import IssuePublisher, PublisherSettings
from actors.issues.publishing.sync import IssueSync
from actors.issues.publishing.unread import UnreadFile
from actors.issues.tracker import IssueTracker
from actors.issues.writing import claims
from actors.keeper import Keeper
from actors.stores import Readers, Stores
from actors.telemetry import Meters, Telemetry
from actors.workflows import bulk as workflows_bulk
from actors.workflows import store as workflows_store
from actors.workflows.definition import ActivityDefinition, Definitions
from actors.workflows.dispatcher import Dispatcher
from actors.workflows.facts import workflow_outbox
from actors.workflows.messages import WorkflowGaveUp
from actors.workflows.parts import EngineParts
from actors.workflows.timers import Timers
from actors.writer import DatabaseWriter, Group, Handler
from storage import changes
from storage.arrangement import Arrangement, mode_of
from storage.artifacts import Artifacts
from storage.gitrunner import Interrupt
from storage.home import DataDir
from storage.issues.file import PUBLISHED
from supervision import (
    Actor,
    BlockingActor,
    ChildSpec,
    DynamicSupervisor,
    ExitReason,
    Intensity,
    System,
    supervisor,
)
from supervision.strategy import Restart

BUDGET = Intensity(restarts=3, period_s=60.0)
"""Of each workflow and each agent on its own; beyond it that one is set aside, and no other."""


WRITERS = ("coordination", "tempolite", "beads")

LAST_RESORT = Intensity(restarts=2, period_s=60.0)
"""Of the root: budgets multiply on the way up, and what two fresh starts did not mend is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a running system is made of, apart from its actors.

    Args:
        repo: root of the work tree that agents look at and that `.beads/` lies in.
        agent_types: classes of agents that more instances can be registered of.
        incarnation: names this life of the process.
        poison: database writers accept `Poison`, a message that kills them (tests only).
        drives_all: False leaves workflows alone that this process did not start.
        retention_days: how long ended workflows are kept; 0 keeps them for ever.
        reconcile_s: seconds from one pass of the reconciler to the next; 0 for none by itself.
        git_mode: "ref", "branch" or "off": how the issues are kept in Git; "" as it was arranged.
        artifact_limit_bytes: of one artifact.
        artifacts_limit_bytes: of all artifacts of one workflow.
        breakers: the circuits of the services outside, of this process.
        cache: how many workflows are kept in memory, for those who look at them.
        redis: where copies of workflows are kept beside that; None keeps none.
        agent_commands: programs that agents run for whoever asks.
        agent_environment: names of variables that those get beside the usual ones.
        model: the language model that agents may ask; None when there is none.
        model_urls: other places where an agent's configuration may have a model asked.
        auth: how access tokens are made.
        epoch: shared with the doors: what they remember of credentials is of one epoch.
        entropy: gives bytes that nobody can guess, for keys and tokens.
    """

    data: DataDir
    stores: Stores
    repo: Path
    definitions: Definitions
    agents: Sequence[AgentSpec]
    meters: Meters
    clock: Clock
    chance: random.Random
    incarnation: str
    poison: bool = False
    drives_all: bool = True
    retention_days: int = 0
    git_mode: str = ""
    reconcile_s: float = 0.0
    agent_types: Sequence[type[Agent]] = ()
    artifact_limit_bytes: int = ARTIFACT_LIMIT_BYTES
    artifacts_limit_bytes: int = ARTIFACTS_LIMIT_BYTES
    breakers: Breakers = field(default_factory=Breakers)
    cache: Limits = field(default_factory=Limits)
    redis: RedisAddress | None = None
    agent_commands: Sequence[str] = ()
    agent_environment: Sequence[str] = ()
    model: ModelEndpoint | None = None
    model_urls: Sequence[str] = ()
    auth: AuthSettings = field(default_factory=AuthSettings)
    epoch: AuthEpoch = field(default_factory=AuthEpoch)
    entropy: Entropy = secrets.token_bytes

    @property
    def site(self) -> Site:
        """Where agents work."""
        return Site(
            repo=self.repo,
            workspace=self.data.workspace,
            commands=tuple(self.agent_commands),
            environment=tuple(self.agent_environment),
            model=self.model,
            model_urls=tuple(self.model_urls),
        )


def tree(system: System, world: World, doors: Sequence[ChildSpec] = ()) -> ChildSpec:
    """The root's spec. `doors` are the API's, so that nothing in this room knows of it."""
    parts = _Parts(system, world)
    world.breakers.watch(
        CircuitWatcher(meters=world.meters, bus=system.named("event_bus"), clock=world.clock)
    )
    return supervisor("root", "rest_for_one", [
        child("telemetry", parts.telemetry),
        supervisor("stores", "one_for_one", [
            child("coordination_writer", parts.coordination_writer, shutdown_s=30.0),
            child("tempolite_writer", parts.tempolite_writer, shutdown_s=30.0),
            child("beads_writer", parts.beads_writer, shutdown_s=30.0),
            child("git_worker", parts.git_worker, shutdown_s=90.0),
            child("git_remote", parts.git_remote, shutdown_s=130.0),
        ]),
        child("event_bus", parts.event_bus),
        child("intents", parts.intents),
        supervisor("issues", "one_for_one", [
            child("tracker", parts.tracker),
            child("publisher", parts.publisher, shutdown_s=90.0),
            child("sync", parts.sync),
        ]),
        supervisor("coordination", "one_for_one", [
            child("results", parts.results),
            child("analyst", parts.analyst),
            child("manager", parts.manager),
            child("keeper", parts.keeper),
            child("gates", parts.gates),
            child("auth", parts.auth),
        ]),
        supervisor("agents", "rest_for_one", [
            child("agent_instances", parts.agent_instances, shutdown_s=math.inf),
            child("coordinator", parts.coordinator),
        ]),
        supervisor("engine", "rest_for_one", [
            child("workflow_instances", parts.workflow_instances, shutdown_s=math.inf),
            child("dispatcher", parts.dispatcher),
            child("timers", parts.timers),
        ]),
        child("reconciler", parts.reconciler),
        *([supervisor("doors", "one_for_one", doors)] if doors else []),
    ], intensity=LAST_RESORT)  # fmt: skip


def issues_tree(system: System, world: World) -> ChildSpec:
    """Only what keeps issues: for a command that works on them in its own process.

    The events of what it does are told by the next system that runs whole: they are in the journal.
    The ref waits for it, too, or for a sync: a commit for each command would be one for each line.
    """
    parts = _Parts(system, world)
    return supervisor("root", "rest_for_one", [
        supervisor("stores", "one_for_one", [
            child("beads_writer", parts.beads_writer, shutdown_s=30.0),
            child("git_worker", parts.git_worker, shutdown_s=90.0),
            child("git_remote", parts.git_remote, shutdown_s=130.0),
        ]),
        supervisor("issues", "one_for_one", [
            child("tracker", parts.tracker),
            child("publisher", parts.publisher_without_ref, shutdown_s=90.0),
            child("sync", parts.sync),
        ]),
    ], intensity=LAST_RESORT)  # fmt: skip


def auth_tree(system: System, world: World) -> ChildSpec:
    """Only what keeps keys: for a command that makes or ends one in its own process."""
    parts = _Parts(system, world)
    return supervisor("root", "rest_for_one", [
        supervisor("stores", "one_for_one", [
            child("coordination_writer", parts.coordination_writer, shutdown_s=30.0),
        ]),
        child("auth", parts.auth),
    ], intensity=LAST_RESORT)  # fmt: skip


def reading_tree(system: System, world: World) -> ChildSpec:
    """Only what answers for issues, from databases that this process may not write."""
    parts = _Parts(system, world)
    return supervisor("root", "rest_for_one", [
        child("git_worker", UnreadFile),
        child("git_remote", parts.git_remote),
        child("tracker", parts.tracker),
        child("sync", parts.sync),
    ], intensity=LAST_RESORT)  # fmt: skip


def child(
    name: str,
    build: Callable[[], Actor | BlockingActor],
    *,
    restart: Restart = "permanent",
    shutdown_s: float = 10.0,
) -> ChildSpec:
    """A child that is known by its id everywhere."""
    return ChildSpec(id=name, name=name, build=build, restart=restart, shutdown_s=shutdown_s)


class _Parts:
    """Builds each actor anew, with what it needs of the others: their names, never their refs."""

    def __init__(self, system: System, world: World) -> None:
        self._system = system
        self._world = world
        self._name = system.named
        self._arranged = Arrangement.read(world.data.path)
        self._interrupt = Interrupt()

    @cached_property
    def _git_mode(self) -> str:
        """Asked for where it matters: finding out may take running Git."""
        world = self._world
        return mode_of(world.data.git, world.git_mode, self._arranged.git_mode)

    def telemetry(self) -> Telemetry:
        return Telemetry(meters=self._world.meters)

    def coordination_writer(self) -> DatabaseWriter:
        readers = self._world.stores.coordination
        handlers = {
            **coordination_store.HANDLERS,
            **assigning.HANDLERS,
            **registering.HANDLERS,
            **results_store.HANDLERS,
            **leasing.HANDLERS,
            **retention.COORDINATION,
            **reconciling_store.COORDINATION,
            **auth_store.HANDLERS,
        }
        return self._writer(
            "coordination",
            readers,
            handlers,
            None,
            groups=coordination_bulk.GROUPS,
            triggers=changes.COORDINATION,
        )

    def tempolite_writer(self) -> DatabaseWriter:
        wake = partial(bus.ring, self._name("event_bus"))
        readers = self._world.stores.tempolite
        handlers = {**workflows_store.HANDLERS, **retention.TEMPOLITE}
        handlers |= reconciling_store.TEMPOLITE
        return self._writer(
            "tempolite",
            readers,
            handlers,
            wake,
            groups=workflows_bulk.GROUPS,
            triggers=changes.TEMPOLITE,
        )

    def beads_writer(self) -> DatabaseWriter:
        event_bus, publisher = self._name("event_bus"), self._name("publisher")

        def wake() -> None:
            bus.ring(event_bus)
            hint(publisher, JournalAdvanced())

        readers = self._world.stores.beads
        handlers = {**issues_store.HANDLERS, **claims.HANDLERS, **sync_store.HANDLERS}
        handlers |= reconciling_store.BEADS
        return self._writer("beads", readers, handlers, wake, groups=issues_bulk.GROUPS)

    def _writer(
        self,
        database: str,
        readers: Readers,
        handlers: Mapping[type, Handler],
        on_commit: Callable[[], None] | None,
        *,
        groups: Mapping[type, Group] | None = None,
        triggers: str | None = None,
    ) -> DatabaseWriter:
        meters = self._world.meters
        witness = triggers and MemoryWitness(self._memory, database, triggers)
        return DatabaseWriter(
            readers.path,
            readers.schema,
            handlers,
            database=database,
            observe=meters.observe_query,
            observe_commit=partial(meters.observe_commit, database),
            observe_log=partial(meters.observe_log, database),
            on_commit=on_commit,
            tuning=readers.tuning,
            presence=self._world.stores.presence,
            groups=groups,
            poison=self._world.poison,
            witness=witness or None,
        )

    def git_worker(self) -> GitWorker:
        data = self._world.data
        return GitWorker(
            data.beads_db,
            self._world.repo / PUBLISHED,
            repository=None if self._git_mode == "off" else self._world.repo,
            mode=self._git_mode,
        )

    def git_remote(self) -> GitRemote:
        return GitRemote(
            lambda: self._git_mode, self._world.repo, self._interrupt, self._world.breakers
        )

    @property
    def _followers(self) -> tuple[str, ...]:
        followers = ("telemetry", "coordinator", "reconciler", "gates")
        return followers if self._shared is None else (*followers, "manager")

    def event_bus(self) -> EventBus:
        stores = self._world.stores
        return EventBus(
            writer=self._name("coordination_writer"),
            reader=stores.coordination.inline,
            outboxes=(workflow_outbox(stores.tempolite.inline), issue_outbox(stores.beads.inline)),
            followers=tuple(map(self._name, self._followers)),
            listeners=((self._name("intents"), EventFilter(topics=(WORKFLOW_UPDATED,))),),
            meters=self._world.meters,
        )

    def intents(self) -> Intents:
        return Intents(
            coordination=self._name("coordination_writer"),
            beads=self._name("beads_writer"),
            tempolite=self._name("tempolite_writer"),
            coordinator=self._name("coordinator"),
            dispatcher=self._name("dispatcher"),
            pool=self._world.stores.coordination.pool,
            lookups=self._world.stores.coordination.lookups,
            clock=self._world.clock,
        )

    def tracker(self) -> IssueTracker:
        return IssueTracker(
            writer=self._name("beads_writer"),
            files=self._name("git_worker"),
            database=self._world.data.beads_db,
            pool=self._world.stores.beads.pool,
            directory=self._world.repo,
            home=self._world.stores.identity.home,
            prefix=self._arranged.prefix,
            types=self._arranged.types,
            statuses=self._arranged.statuses,
            clock=self._world.clock,
        )

    def publisher(self) -> IssuePublisher:
        return self._publisher(PublisherSettings(record=self._git_mode == "ref"))

    def publisher_without_ref(self) -> IssuePublisher:
        return self._publisher(PublisherSettings(record=False))

    def _publisher(self, settings: PublisherSettings) -> IssuePublisher:
        return IssuePublisher(
            writer=self._name("beads_writer"),
            files=self._name("git_worker"),
            settings=settings,
            database=self._world.data.beads_db,
            path=self._world.repo / PUBLISHED,
            clock=self._world.clock,
        )

    def sync(self) -> IssueSync:
        return IssueSync(
            writer=self._name("beads_writer"),
            files=self._name("git_worker"),
            remotes=self._name("git_remote"),
            publisher=self._name("publisher"),
            mode=lambda: self._git_mode,
            clock=self._world.clock,
            chance=self._world.chance,
            interrupt=self._interrupt,
        )

    @cached_property
    def _artifacts(self) -> Artifacts:
        """The same for each incarnation: a thread of the one before may still move a content."""
        return Artifacts(self._world.data.artifacts)

    def results(self) -> ResultsStorage:
        return ResultsStorage(
            directory=self._world.data.path,
            artifacts=self._artifacts,
            pool=self._world.stores.coordination.pool,
            histories=self._world.stores.tempolite.pool,
            coordination=self._name("coordination_writer"),
            event_bus=self._name("event_bus"),
            types=ResultTypes(
                self._world.definitions,
                {
                    spec.agent_class.agent_type: spec.agent_class.activities.values()
                    for spec in self._world.agents
                },
            ),
            clock=self._world.clock,
            agents={spec.agent_id: spec.agent_class.agent_type for spec in self._world.agents},
            artifact_limit=self._world.artifact_limit_bytes,
            artifacts_limit=self._world.artifacts_limit_bytes,
        )

    def manager(self) -> WorkflowManager:
        return WorkflowManager(
            home=self._world.stores.identity.home,
            definitions=self._world.definitions,
            pool=self._world.stores.coordination.pool,
            histories=self._world.stores.tempolite.pool,
            coordination=self._name("coordination_writer"),
            tempolite=self._name("tempolite_writer"),
            beads=self._name("beads_writer"),
            tracker=self._name("tracker"),
            coordinator=self._name("coordinator"),
            dispatcher=self._name("dispatcher"),
            intents=self._name("intents"),
            event_bus=self._name("event_bus"),
            cache=CacheManager(
                coordination=self._world.stores.coordination.inline,
                tempolite=self._world.stores.tempolite.inline,
                pool=self._world.stores.coordination.pool,
                histories=self._world.stores.tempolite.pool,
                memory=self._memory,
                shared=self._shared,
            ),
            clock=self._world.clock,
            chance=self._world.chance,
            lookups=(
                self._world.stores.coordination.lookups,
                self._world.stores.tempolite.lookups,
            ),
        )

    @cached_property
    def _memory(self) -> RecordMemory:
        return RecordMemory(self._world.cache, self._world.meters.observe_cache)

    @cached_property
    def _shared(self) -> SharedCache | None:
        world = self._world
        if world.redis is None:
            return None
        return RedisCache(
            world.redis,
            home=world.stores.identity.home,
            breakers=world.breakers,
            count=world.meters.observe_cache,
        )

    def keeper(self) -> Keeper:
        return Keeper(
            directory=self._world.data.path,
            days=self._world.retention_days,
            coordination=self._name("coordination_writer"),
            tempolite=self._name("tempolite_writer"),
            clock=self._world.clock,
        )

    def auth(self) -> AuthKeeper:
        stores = self._world.stores
        return AuthKeeper(
            directory=self._world.data.path,
            settings=self._world.auth,
            epoch=self._world.epoch,
            writer=self._name("coordination_writer"),
            lookups=stores.coordination.lookups,
            pool=stores.coordination.pool,
            clock=self._world.clock,
            entropy=self._world.entropy,
        )

    def gates(self) -> Gates:
        return Gates(
            home=self._world.stores.identity.home,
            tracker=self._name("tracker"),
            manager=self._name("manager"),
            coordination=self._name("coordination_writer"),
            tempolite=self._name("tempolite_writer"),
            dispatcher=self._name("dispatcher"),
            pool=self._world.stores.coordination.pool,
            clock=self._world.clock,
        )

    def analyst(self) -> Analyst:
        return Analyst(pool=self._world.stores.coordination.pool, clock=self._world.clock)

    def agent_instances(self) -> DynamicSupervisor:
        coordinator = self._name("coordinator")

        def gave_up(agent_id: str, reason: ExitReason) -> None:
            hint(coordinator, AgentGone(agent_id=agent_id, reason=str(reason)))

        return DynamicSupervisor(per_child=BUDGET, gave_up=gave_up)

    def coordinator(self) -> AgentCoordinator:
        stores = self._world.stores
        return AgentCoordinator(
            specs=self._world.agents,
            types=self._world.agent_types,
            parts=CoordinatorParts(
                incarnation=self._world.incarnation,
                instances=self._name("agent_instances"),
                me=self._name("coordinator"),
                dispatcher=self._name("dispatcher"),
                bus=self._name("event_bus"),
                coordination=self._name("coordination_writer"),
                tempolite=self._name("tempolite_writer"),
                coordination_reader=stores.coordination.inline,
                tempolite_reader=stores.tempolite.inline,
                site=self._world.site,
                definitions=self._world.definitions,
                clock=self._world.clock,
                on_workload=self._world.meters.observe_workload,
                breakers=self._world.breakers,
                drives_all=self._world.drives_all,
            ),
        )

    def workflow_instances(self) -> DynamicSupervisor:
        dispatcher = self._name("dispatcher")

        def gave_up(workflow_id: str, reason: ExitReason) -> None:
            hint(dispatcher, WorkflowGaveUp(workflow_id=workflow_id, reason=str(reason)))

        return DynamicSupervisor(per_child=BUDGET, gave_up=gave_up)

    def dispatcher(self) -> Dispatcher:
        return Dispatcher(
            incarnation=self._world.incarnation,
            drives_all=self._world.drives_all,
            instances=self._name("workflow_instances"),
            parts=EngineParts(
                definitions=self._world.definitions,
                writer=self._name("tempolite_writer"),
                coordinator=self._name("coordinator"),
                dispatcher=self._name("dispatcher"),
                timers=self._name("timers"),
                bus=self._name("event_bus"),
                reader=self._world.stores.tempolite.inline,
                pool=self._world.stores.tempolite.pool,
                clock=self._world.clock,
                parks=self._world.drives_all,
            ),
        )

    def timers(self) -> Timers:
        return Timers(
            writer=self._name("tempolite_writer"),
            dispatcher=self._name("dispatcher"),
            reader=self._world.stores.tempolite.inline,
            clock=self._world.clock,
            drives_all=self._world.drives_all,
        )

    def reconciler(self) -> Reconciler:
        return Reconciler(
            pool=self._world.stores.coordination.pool,
            beads_reader=self._world.stores.beads.inline,
            beads=self._name("beads_writer"),
            publisher=self._name("publisher"),
            coordination=self._name("coordination_writer"),
            hands=Hands(
                pools=self._pools,
                repairs=self._repairs(),
                home=self._world.stores.identity.home,
                clock=self._world.clock,
            ),
            passes=self._passes(),
            period_s=self._world.reconcile_s if self._world.drives_all else 0.0,
        )

    def _passes(self) -> Passes:
        names = ("coordinator", "intents", "publisher")
        actors = {name: self._name(name) for name in names}
        actors |= {name: self._name(f"{name}_writer") for name in WRITERS}
        actors["bus"] = self._name("event_bus")
        return Passes(
            pools=self._pools,
            repairs=self._repairs(),
            actors=actors,
            named=self._name,
            live=self._live,
            home=self._world.stores.identity.home,
            clock=self._world.clock,
        )

    def _live(self) -> frozenset[str]:
        """The workflows that have an actor."""
        found = self._system.snapshot("root/engine/workflow_instances", depth=1)
        return frozenset(child.id for child in found.children) if found else frozenset()

    @property
    def _pools(self) -> Pools:
        stores = self._world.stores
        return Pools(
            coordination=stores.coordination.pool,
            tempolite=stores.tempolite.pool,
            beads=stores.beads.pool,
        )

    def _repairs(self) -> Repairs:
        actors = {name: self._name(f"{name}_writer") for name in WRITERS}
        actors["bus"] = self._name("event_bus")
        actors |= {name: self._name(name) for name in ("dispatcher", "coordinator", "intents")}
        return Repairs(
            actors=actors,
            named=self._name,
            pools=self._pools,
            activities=self._activity,
            clock=self._world.clock,
        )

    def _activity(self, agent_type: str, activity: str) -> ActivityDefinition | None:
        kinds = (spec.agent_class for spec in self._world.agents)
        found = (k.activities.get(activity) for k in kinds if k.agent_type == agent_type)
        return next(found, None)
