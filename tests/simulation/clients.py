"""The clients of the simulated system: they start workflows at random times, and look on.

A request that was not answered may have been carried out. One that bears an idempotency key is made
again until it is answered; any other is given up, and nothing is claimed of it.
"""

import random
from dataclasses import dataclass, field
from typing import Any

import trio

from actors.bus import Subscribe, Subscription
from actors.coordination.messages import (
    GetWorkflow,
    ListWorkflows,
    StartWorkflow,
    WorkflowRecord,
)
from actors.coordination.results.messages import ListResults
from actors.facts import LoggedFact
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused
from tests.simulation.flows import WORKFLOWS, Walk
from tests.support.world import Running

UNANSWERED = (Refused, ActorDeadError, ActorRestarting, AskTimeout)


@dataclass(slots=True)
class Request:
    """One wish to have a workflow started.

    Args:
        at_s: when it is made for the first time.
        record: the answer; None until there is one.
        given_up: it was not answered, and cannot be made again.
    """

    at_s: float
    message: StartWorkflow
    record: WorkflowRecord | None = None
    given_up: bool = False

    @property
    def plan(self) -> Walk:
        return Walk(**self.message.variables)


@dataclass(slots=True)
class Clients:
    """All of them; they outlive the lives of the system."""

    chance: random.Random
    requests: list[Request]
    followed: list[LoggedFact] = field(default_factory=list)

    @classmethod
    def of(cls, chance: random.Random, *, workflows: int, within_s: float) -> "Clients":
        return cls(chance, [_request(chance, n, within_s) for n in range(workflows)])

    async def run(self, running: Running) -> None:
        """Make what is still to be made, and look on, for as long as this life lasts."""
        async with trio.open_nursery() as nursery:
            for request in self.requests:
                if request.record is None and not request.given_up:
                    nursery.start_soon(self._make, running, request)
            nursery.start_soon(self._read, running)
            nursery.start_soon(self._follow, running)

    @property
    def acknowledged(self) -> list[Request]:
        return [request for request in self.requests if request.record is not None]

    @property
    def are_served(self) -> bool:
        return all(request.record or request.given_up for request in self.requests)

    async def _make(self, running: Running, request: Request) -> None:
        await trio.sleep_until(request.at_s)
        request.given_up = request.message.idempotency_key is None  # unless there is an answer
        while request.record is None:
            try:
                request.record = await running.ask("manager", request.message)
                request.given_up = False
            except UNANSWERED:
                if request.given_up:
                    return
                await trio.sleep(self.chance.uniform(0.1, 2.0))

    async def _read(self, running: Running) -> None:
        """Ask for what is there now; every answer has to be one that can be given."""
        while True:
            await trio.sleep(self.chance.uniform(0.5, 3.0))
            known = self.acknowledged
            if not known:
                continue
            workflow_id = _id(self.chance.choice(known))
            questions: list[tuple[str, Any]] = [
                ("manager", GetWorkflow(workflow_id=workflow_id)),
                ("results", ListResults(workflow_id=workflow_id)),
                ("manager", ListWorkflows(limit=5)),
            ]
            try:
                await running.ask(*self.chance.choice(questions), deadline_s=2.0)
            except UNANSWERED:
                continue

    async def _follow(self, running: Running) -> None:
        """Read the stream of events to its end, again and again, from where it broke off."""
        while True:
            try:
                stream: Subscription = await running.ask("event_bus", Subscribe(buffer=2))
            except UNANSWERED:
                await trio.sleep(0.5)
                continue
            self._catch_up(running, stream.after)
            with stream.batches:
                async for batch in stream.batches:
                    self.followed.extend(batch)
                    await trio.sleep(self.chance.choice([0.0, 0.0, 0.2]))

    def _catch_up(self, running: Running, until: int) -> None:
        after = self.followed[-1].seq if self.followed else 0
        self.followed.extend(f for f in running.log() if after < f.seq <= until)


def _request(chance: random.Random, number: int, within_s: float) -> Request:
    plan = Walk(
        legs_s=[round(chance.uniform(0.0, 6.0), 2) for _ in range(chance.randint(1, 3))],
        falls=chance.choice([0, 0, 1, 2]),
    )
    message = StartWorkflow(
        title=f"walk {number}",
        workflow_type=chance.choice(WORKFLOWS).__name__,
        priority=chance.randint(0, 4),
        variables=plan.model_dump(),
        idempotency_key=f"walk-{number}" if chance.random() < 0.8 else None,
    )
    return Request(at_s=chance.uniform(0.0, within_s), message=message)


def _id(request: Request) -> str:
    assert request.record is not None
    return request.record.id
