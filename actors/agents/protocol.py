"""The agent: an actor class whose methods are activities.

A class declares what it is (`agent_type`) and what it can do (methods decorated with `@activity`);
the coordinator gives an instance its tasks one message at a time, and each runs in a task of its
own, so that the agent still answers while it works. Whatever an activity raises is the outcome of
that attempt: user code ends here, and crashes nobody.
"""

import contextlib
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import trio
from pydantic import BaseModel

from actors.agents.attempt import Attempt, Pulse
from actors.agents.kit.usage import Usage
from actors.agents.messages import (
    AgentBeat,
    AgentReport,
    AgentUp,
    CancelTask,
    Configure,
    Examine,
    Introduce,
    TaskBeat,
    TaskDone,
    TaskFailed,
    TaskNote,
    TaskOrder,
    TaskUsed,
)
from actors.agents.report import AgentHealth, AgentMetrics, NoConfig, Tally, examine
from actors.agents.site import Site
from actors.breakers import Breaker, Breakers
from actors.coordination.results.messages import StoreArtifact
from actors.errors import AgentError
from actors.hints import hint
from actors.workflows.activities import check_result, checked_input, encode_result, failure_of
from actors.workflows.containment import contained
from actors.workflows.definition import ActivityDefinition, ActivityFailure, belongs_to
from actors.workflows.history import idempotency_key
from storage.payload import plain_text
from supervision import Actor, ActorDeadError, ActorRestarting, MailboxFull, Named, ask

BEAT_S = 5.0
"""How often an agent says that it lives."""

_incarnations = itertools.count(1)

STORE_S = 120.0
"""Time to store a file: the largest there may be takes a second on a usual disk."""

StoreFile = Callable[[str, bytes | Path, str | None], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt of one activity, as its agent sees it.

    Args:
        site: where it works, and what may be run there.
        attempt: 1 for the first; counted over restarts of the process.
        idempotency_key: the same for every attempt of this step.
    """

    workflow_id: str
    op: str
    attempt: int
    site: Site
    _note: Callable[[str, float | None, str, bool], None]
    _pulse: Pulse = field(default_factory=Pulse)
    _store: StoreFile | None = None
    _breakers: Breakers = field(default_factory=Breakers)
    _use: Callable[[Usage], None] = lambda _: None

    @property
    def repo(self) -> Path:
        """Root of the work tree the workflow is about."""
        return self.site.repo

    @property
    def id(self) -> str:
        return idempotency_key(self.workflow_id, self.op)

    @property
    def idempotency_key(self) -> str:
        return idempotency_key(self.workflow_id, self.op)

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants the outcome any more: for a thread, which cannot be stopped."""
        return self._pulse.is_cancelled

    @property
    def heartbeat_details(self) -> Any:
        """What the attempt before said last; None when it said nothing."""
        return self._pulse.before

    def heartbeat(self, details: Any = None) -> None:
        """Say that it lives, and how far it is, from a task or a thread. Never blocks.

        The next attempt finds the details in `heartbeat_details`. After a crash of the process or
        of the agent they may be a second old.

        Raises:
            PayloadError: the details are no JSON.
        """
        self._pulse.say(details)

    def breaker(self, service: str) -> Breaker:
        """The circuit of a service outside, shared by all agents of the process.

        Around each call, from a task or a thread: `with task.breaker("jira").guarding("/search"):`.
        Names are few and fixed: each has its own metrics.
        """
        return self._breakers.of(service)

    @property
    def breakers(self) -> Breakers:
        """All circuits of the process."""
        return self._breakers

    def progress(self, message: str, fraction: float | None = None) -> None:
        """Say how far it is. Never blocks and never raises; shown live, kept as an event.

        It is a sign of life, as `heartbeat` is.
        """
        self._note(message, _share(fraction), "info", True)
        self._pulse.beat()

    def log(self, message: str, level: str = "info") -> None:
        """Put a line into the workflow's log. Never blocks and never raises."""
        self._note(message, None, level, False)

    def used(self, usage: Usage) -> None:
        """Say what a model's work has come to, once for each piece. Never blocks and never raises.

        It is counted in the metrics and kept as an event.
        """
        self._use(usage)

    async def artifact(
        self, name: str, source: bytes | Path, media_type: str | None = None
    ) -> dict[str, Any]:
        """Store a file of this workflow; it is durable when this returns.

        An attempt that stores again what one before has stored gets the same answer. Cancelling it
        leaves the file stored or not, never in part.

        Args:
            name: a file's name, or a relative path of a few parts.
            source: what is in it, or where a file lies that holds it.
            media_type: None guesses it from the name.

        Returns:
            name, version, sha256, size and media_type: what a result can name it by.

        Raises:
            Refused: it is too large, the name is none, or the disk is full; see docs/http.md.
        """
        if self._store is None:
            raise LookupError("this task belongs to no agent that runs")
        return await self._store(name, source, media_type)

    def artifact_from_thread(
        self, name: str, source: bytes | Path, media_type: str | None = None
    ) -> dict[str, Any]:
        """The same, for an activity that is no coroutine: it runs in a thread."""
        stored: dict[str, Any] = trio.from_thread.run(self.artifact, name, source, media_type)
        return stored


class Agent(Actor):
    """Base of every agent.

    Its supervisor starts it, and `stop` ends it, as every actor; what it does then is up to
    `initialize` and `shutdown`. Its tasks come as messages.

    Args:
        agent_id: this instance's name, e.g. "research-1".
        coordinator: who gives the tasks and takes the results.
        site: where it works, and what may be run there.
        config: an instance of the class's `Config`; None for one with its defaults.
        config_sha256: by which the coordinator knows which configuration that is.

    Attributes:
        max_workload: how many workflows an instance works for at once, unless one is registered
            with another number.
        Config: what an instance can be set up with. Whoever registers one gives its fields.
    """

    agent_type: ClassVar[str] = ""
    max_workload: ClassVar[int] = 4
    activities: ClassVar[dict[str, ActivityDefinition]] = {}
    Config: ClassVar[type[BaseModel]] = NoConfig

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.agent_type:
            raise TypeError(f"agent {cls.__qualname__} has no agent_type")
        config: object = cls.Config
        if not (isinstance(config, type) and issubclass(config, BaseModel)):
            raise TypeError(f"the Config of agent {cls.__qualname__} is no pydantic model")
        own = {
            found.name: found
            for member in vars(cls).values()
            if callable(member) and (found := belongs_to(member, cls.agent_type))
        }
        cls.activities = {**cls.activities, **own}

    def __init__(
        self,
        *,
        agent_id: str,
        coordinator: Named,
        site: Site,
        config: BaseModel | None = None,
        config_sha256: str = "",
    ) -> None:
        super().__init__()
        self.agent_id = agent_id
        self.config: Any = self.Config() if config is None else config
        self._coordinator = coordinator
        self.site = site
        self.breakers = Breakers()
        self._running: dict[tuple[str, str], Attempt] = {}
        self._tally = Tally()
        self._introduction = AgentUp(
            agent_id=agent_id, incarnation=next(_incarnations), config_sha256=config_sha256
        )

    @classmethod
    def capabilities(cls) -> tuple[str, ...]:
        return tuple(sorted(cls.activities))

    @classmethod
    def check_config(cls, config: BaseModel, site: Site) -> None:
        """See that an instance of this configuration could work here.

        Asked before one is registered, and before it is set up anew. Look at what is given only:
        it must not wait for anything.

        Raises:
            ValidationError: it could not; `field` is that of the configuration.
        """

    @property
    def current_workload(self) -> int:
        return len(self._running)

    async def initialize(self) -> None:
        """Get ready: open what all tasks share. Raising here is a failed start."""

    async def shutdown(self) -> None:
        """Give back what `initialize` took. Not called after a crash."""

    async def configure(self, config: BaseModel) -> None:
        """Go on with another configuration. `config` of the agent is the new one by then.

        A class that does not define this is started anew instead, between its tasks.
        """

    async def health_check(self) -> AgentHealth:
        """How this agent is: whether it could do its work now. It has 5 seconds to find out.

        Whatever it raises is not healthy.
        """
        return AgentHealth()

    def metrics(self) -> AgentMetrics:
        """What it has done since it started."""
        return self._tally.shown(self.current_workload)

    async def on_start(self) -> None:
        await self.initialize()
        hint(self._coordinator, self._introduction)
        self.spawn(self._beat)

    async def on_stop(self) -> None:
        await self.shutdown()

    async def on_receive(self, message: object) -> object:
        match message:
            case TaskOrder():
                self._assign(message)
            case CancelTask():
                self._cancel(message)
            case Introduce():
                return replace(self._introduction, running=tuple(self._attempts()))
            case AgentBeat():
                hint(self._coordinator, message)
            case Examine():
                return self.defer(self._examine())
            case Configure():
                await self._configure(message)
            case _:
                return await super().on_receive(message)
        return None

    async def _beat(self) -> None:
        """Have it say that it lives, by its own mailbox: one that takes no message says nothing."""
        beat = AgentBeat(agent_id=self.agent_id, incarnation=self._introduction.incarnation)
        while True:
            await trio.sleep(BEAT_S)
            with contextlib.suppress(ActorDeadError, MailboxFull):
                self.me.tell(beat)

    async def _examine(self) -> AgentReport:
        health = await examine(self.health_check)
        return AgentReport(health=health, metrics=self.metrics(), running=tuple(self._attempts()))

    async def _configure(self, message: Configure) -> None:
        self.config = message.config
        self._introduction = replace(self._introduction, config_sha256=message.config_sha256)
        await self.configure(message.config)

    def _assign(self, order: TaskOrder) -> None:
        older = self._running.get((order.workflow_id, order.op))
        if older is not None:
            older.cancel()

        def tell(details: str) -> None:
            hint(self._coordinator, TaskBeat(agent_id=self.agent_id, order=order, details=details))

        attempt = Attempt(order, tell=tell, spawn=self.spawn)
        self._running[order.workflow_id, order.op] = attempt
        self.spawn(self._work, attempt)

    def _cancel(self, message: CancelTask) -> None:
        attempt = self._running.get((message.workflow_id, message.op))
        if attempt is not None and attempt.order.fence == message.fence:
            attempt.cancel()

    def _attempts(self) -> Iterator[tuple[str, str, int]]:
        for (workflow_id, op), attempt in self._running.items():
            yield workflow_id, op, attempt.order.fence

    async def _work(self, attempt: Attempt) -> None:
        order = attempt.order
        answer: TaskDone | TaskFailed | None = None
        with attempt.scope:
            answer = await self._outcome(attempt)
        if answer is not None:
            await self._report(answer)  # until it is handed in, the agent is said to be at it
        if self._running.get((order.workflow_id, order.op)) is attempt:
            del self._running[order.workflow_id, order.op]

    async def _outcome(self, attempt: Attempt) -> TaskDone | TaskFailed:
        order, started = attempt.order, trio.current_time()
        try:
            value = await self.execute_activity(attempt)
            result = encode_result(
                value,
                f"the result of activity {order.activity!r}",
                agent_id=self.agent_id,
                agent_type=self.agent_type,
                attempts=order.attempt,
                seconds=round(trio.current_time() - started, 6),
            )
            check_result(self.activities[order.activity], result)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the agent's sandbox
            failure = failure_of(error)
            self._tally.count(trio.current_time() - started, succeeded=False)
            return TaskFailed(
                agent_id=self.agent_id,
                order=order,
                code=failure.code,
                message=failure.message,
                retryable=failure.retryable,
                heartbeat=attempt.pulse.said,
            )
        self._tally.count(trio.current_time() - started, succeeded=True)
        return TaskDone(agent_id=self.agent_id, order=order, result=result)

    async def execute_activity(self, attempt: Attempt) -> Any:
        """Run one activity with its input checked, within its time.

        Raises:
            AgentError: this agent has no such activity.
            ActivityFailure: it took too long ("start_to_close_timeout") or gave no sign of life
                ("heartbeat_timeout"), or what it raised itself.
                The input is not what the activity takes ("input_of_wrong_type").
        """
        order = attempt.order
        definition = self.activities.get(order.activity)
        if definition is None:
            raise AgentError(
                f"agent {self.agent_id} has no activity {order.activity!r}; "
                f"it has: {', '.join(self.capabilities())}",
                agent_id=self.agent_id,
                agent_type=self.agent_type,
            )
        arguments = [self._task(attempt)]
        if definition.input_type is not None:
            arguments.append(checked_input(definition, order.input))
        try:
            with trio.move_on_after(order.timeout_s) as scope, attempt.silence, contained():
                if definition.is_async:
                    result = await definition.function(self, *arguments)
                else:
                    result = await trio.to_thread.run_sync(
                        definition.function, self, *arguments, abandon_on_cancel=True
                    )
                if trio.current_time() <= scope.deadline:  # code that never waits goes on for ever
                    return result
        finally:
            attempt.end()
        if attempt.silence.cancelled_caught:
            raise ActivityFailure(
                "heartbeat_timeout",
                f"activity {order.activity!r} gave no heartbeat for {order.heartbeat_timeout_s} s",
            )
        raise ActivityFailure(
            "start_to_close_timeout",
            f"activity {order.activity!r} took longer than {order.timeout_s} s",
        )

    def _task(self, attempt: Attempt) -> Any:
        order = attempt.order

        def note(message: str, fraction: float | None, level: str, progress: bool) -> None:
            fact = TaskNote(
                agent_id=self.agent_id,
                order=order,
                message=plain_text(message),
                fraction=fraction,
                level=plain_text(level),
                progress=progress,
            )
            hint(self._coordinator, fact)  # a note is worth less than the work it is about

        async def store(name: str, source: bytes | Path, media_type: str | None) -> dict[str, Any]:
            message = StoreArtifact(
                workflow_id=order.workflow_id,
                name=name,
                source=source,
                media_type=media_type,
                step=order.op,
                agent_type=self.agent_type,
                agent_id=self.agent_id,
            )
            results = self.system.named("results")
            return asdict((await ask(results, message, deadline_s=STORE_S)).reference)

        def use(usage: Usage) -> None:
            self._tally.used += usage
            fact = TaskUsed(
                agent_id=self.agent_id,
                agent_type=self.agent_type,
                order=order,
                usage=usage.model_dump(exclude_none=True),
            )
            hint(self._coordinator, fact)

        names = (order.workflow_id, order.op, order.attempt)
        return Task(*names, self.site, note, attempt.pulse, store, self.breakers, use)

    async def _report(self, answer: TaskDone | TaskFailed) -> None:
        """Hand in the outcome. A coordinator that restarts hands the task out again instead."""
        while True:
            try:
                self._coordinator.tell(answer)
            except MailboxFull:
                await trio.sleep(0.05)
            except (ActorDeadError, ActorRestarting):
                return
            else:
                return


def _share(fraction: float | None) -> float | None:
    """A fraction that can be shown: 0.0 to 1.0; one that is no number is left out."""
    if not isinstance(fraction, int | float) or fraction != fraction:  # noqa: PLR0124 - not a number
        return None
    return float(min(1.0, max(0.0, fraction)))
