"""A storm of kill -9 over lives that start, hand on, cancel and complete workflows.

As `tests.process.mixed`: a directory sees a few deaths at moments drawn from the seed, then one
life that brings everything to its end.

    python -m tests.process.handed DIRECTORY SEED KILLS
"""

import gc
import json
import random
import shutil
import signal
import sqlite3
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from actors.coordination.assignment_messages import HandOff
from actors.coordination.messages import CancelWorkflow, SignalWorkflow
from storage.home import DataDir
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused
from tests.process import relay
from tests.process.storm import ACK_S, DEATHS, Death, lived
from tests.support.life import say
from tests.support.world import Running, git_repository

UNANSWERED = (Refused, ActorDeadError, ActorRestarting, AskTimeout)
CLIENTS: Final = 4
MOST_HANDOFFS: Final = 3
HEARD: Final = ("started", "handed", "handed", "cancelled", "told")
AGENTS: Final = ("digger-1", "digger-2", "painter-1", "painter-2")


def draw(number: int, chance: random.Random) -> Death:
    """Most deaths come soon after something was acknowledged, some while a life boots.

    Never the first of a directory: what it leaves is perhaps no database yet.
    """
    if number % 2 == 1 and chance.random() < 0.5:
        return Death(moment="boot", heard="", times=0, after_s=chance.uniform(0.02, 0.3))
    heard = chance.choice(HEARD)
    times = chance.randint(1, 6)
    return Death(moment=heard, heard=heard, times=times, after_s=chance.uniform(0, 2 * ACK_S))


@dataclass(frozen=True, kw_only=True)
class Life:
    """What a process does until it is killed.

    Args:
        settle: everything that is there is brought to its end, and nothing new is begun.
    """

    root: Path
    number: int
    settle: bool = False

    def live(self) -> None:
        trio.run(self._run)

    async def _run(self) -> None:
        async with relay.running(self.root) as living:
            say(ready=self.number)
            if self.settle:
                await self._settle(living)
                return
            async with trio.open_nursery() as nursery:
                for client in range(CLIENTS):
                    nursery.start_soon(self._client, living, f"{self.number}-{client}")

    async def _client(self, living: Running, name: str) -> None:
        chance, number = random.Random(), 0
        while True:
            number += 1
            try:
                await self._one(living, chance, f"{name}-{number}")
            except UNANSWERED:
                await trio.sleep(0.005)

    async def _one(self, living: Running, chance: random.Random, name: str) -> None:
        kind = chance.choice(("relay", "relay", "passed"))
        record = await living.start(kind, f"T {name}", idempotency_key=f"start {name}")
        say(started=record.id, issue=record.beads_issue_id)
        if kind == "relay":
            for count in range(chance.randint(0, MOST_HANDOFFS)):
                await self._hand_on(living, chance, record.id, f"{name}-{count}")
        match chance.choice(("go", "go", "cancel", "leave")):
            case "go":
                await living.ask(
                    "manager", SignalWorkflow(workflow_id=record.id, name="go", message_id="go")
                )
                say(told=record.id)
            case "cancel":
                await living.ask("manager", CancelWorkflow(workflow_id=record.id, reason="enough"))
                say(cancelled=record.id)

    async def _hand_on(
        self, living: Running, chance: random.Random, workflow_id: str, key: str
    ) -> None:
        holder = (await living.get(workflow_id)).agent_id
        if holder is None:
            return
        taker = chance.choice([agent for agent in AGENTS if agent != holder])
        message = HandOff(
            workflow_id=workflow_id,
            from_agent=holder,
            to_agent=taker,
            reason=key,
            payload=key,
            idempotency_key=f"handoff {key}",
        )
        made = await living.ask("manager", message)
        say(handed=workflow_id, assignment=made.id, to=taker, key=key)
        if chance.random() < 0.3:  # as after a broken connection
            assert await living.ask("manager", message) == made

    async def _settle(self, living: Running) -> None:
        sql = "SELECT tempolite_workflow_id AS id, status FROM workflow_mappings"
        rows = living.stores.coordination.inline.execute(sql).fetchall()
        for row in rows:
            if row["status"] not in relay.ENDED:
                try:
                    await living.ask(
                        "manager", SignalWorkflow(workflow_id=row["id"], name="go", message_id="go")
                    )
                except Refused as error:
                    if error.code != "workflow_closed":
                        raise
        await living.ended(*(row["id"] for row in rows))
        await relay.quiet(living)


@dataclass
class Record:
    """What was acknowledged over the lives of one directory."""

    root: Path
    started: dict[str, str] = field(default_factory=dict)
    handed: dict[int, tuple[str, str]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)

    def hear(self, text: bytes) -> None:
        for line in text.splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue  # cut off, or a line of the log
            match said:
                case {"started": workflow_id, "issue": issue_id}:
                    self.started[workflow_id] = issue_id
                case {"handed": workflow_id, "assignment": assignment, "to": taker}:
                    self.handed[assignment] = workflow_id, taker
                case {"told": workflow_id}:
                    self.told.add(workflow_id)
                case {"cancelled": workflow_id}:
                    self.cancelled.add(workflow_id)

    def losses(self, *, settled: bool) -> Iterator[str]:
        """What was acknowledged and is not there, or twice."""
        data = DataDir.resolve(self.root)
        with (
            closing(relay.opened(data.coordination_db)) as coordination,
            closing(relay.opened(data.tempolite_db)) as tempolite,
        ):
            sql = "SELECT tempolite_workflow_id, beads_issue_id, status FROM workflow_mappings"
            mapped = {row[0]: (row[1], row[2]) for row in coordination.execute(sql)}
            for workflow_id, issue_id in self.started.items():
                if mapped.get(workflow_id, ("", ""))[0] != issue_id:
                    yield f"{workflow_id}: its start was acknowledged, and is not there"
            sql = "SELECT id, workflow_id, agent_id FROM agent_assignments"
            rows = {row[0]: (row[1], row[2]) for row in coordination.execute(sql)}
            for assignment, handed in self.handed.items():
                if rows.get(assignment) != handed:
                    yield f"{handed}: its handoff {assignment} is {rows.get(assignment)}"
            if settled:
                yield from self._ends({key: status for key, (_, status) in mapped.items()})
                acknowledged = Counter(workflow_id for workflow_id, _ in self.handed.values())
                yield from _told(coordination, tempolite, acknowledged)

    def _ends(self, statuses: dict[str, str]) -> Iterator[str]:
        for workflow_id, status in statuses.items():
            allowed = {"completed"}
            if workflow_id not in self.told:
                allowed.add("cancelled")  # asked for, and perhaps never answered
            if workflow_id in self.cancelled:
                allowed = {"cancelled"}
            if status not in allowed:
                yield f"{workflow_id} is {status}"


def _told(
    coordination: sqlite3.Connection, tempolite: sqlite3.Connection, acknowledged: Counter[str]
) -> Iterator[str]:
    """A handoff is one signal, and one result; it is none only where the workflow ended first."""
    sql = "SELECT workflow_id, count(*) FROM events WHERE type = 'agent_handoff' GROUP BY 1"
    handoffs = Counter(dict(coordination.execute(sql).fetchall()))
    sql = "SELECT workflow_id, count(*) FROM inbox WHERE name = 'agent_handoff' GROUP BY 1"
    signals = Counter(dict(tempolite.execute(sql).fetchall()))
    if extra := signals - handoffs:
        yield f"signals of handoffs that there were not: {extra}"
    if missing := acknowledged - signals:
        yield f"handoffs were acknowledged, and are no signals: {missing}"
    sql = "SELECT result_data, count(*) FROM workflow_results WHERE result_type = 'handoff'"
    for value, count in coordination.execute(f"{sql} GROUP BY workflow_id, result_data"):
        if count > 1:
            yield f"{value} was handed over {count} times"


@dataclass
class Storm:
    directory: Path
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    workflows: int = 0
    handoffs: int = 0
    lost: list[str] = field(default_factory=list)

    def run(self, kills: int) -> None:
        number = 0
        while self.kills.total() < kills and not self.lost:
            self._one_directory(self.directory / f"handed-{number}", kills)
            number += 1

    def _one_directory(self, root: Path, kills: int) -> None:
        git_repository(root)
        record = Record(root)
        lives = min(DEATHS, kills - self.kills.total())
        for number in range(lives):
            death = draw(number, self.chance)
            text, status = lived(Life(root=root, number=number).live, death)
            self.kills[death.moment] += 1
            if status != -signal.SIGKILL:
                self.lost.append(f"a life in {root} ended with {status}: {text[-3000:]!r}")
            self._judge(root, text, record, f"killed at {death}")
        text, status = lived(Life(root=root, number=lives, settle=True).live, None)
        if status != 0:
            self.lost.append(f"the last life in {root} ended with {status}: {text[-3000:]!r}")
        self._judge(root, text, record, "stopped in order", settled=True)
        self.workflows += len(record.started)
        self.handoffs += len(record.handed)
        if not self.lost:
            shutil.rmtree(root)

    def _judge(
        self, root: Path, text: bytes, record: Record, when: str, *, settled: bool = False
    ) -> None:
        record.hear(text)
        try:
            lost = [*relay.contradictions(root), *record.losses(settled=settled)]
            if settled:
                lost += relay.unsettled(root)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            lost = ["".join(traceback.format_exception(error))]
        if lost:
            self.lost += [f"in {root}, {when}:", *lost]


def main() -> None:
    directory, seed, kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    directory.mkdir(parents=True, exist_ok=True)
    gc.collect()
    gc.freeze()
    storm = Storm(directory, random.Random(seed))
    storm.run(kills)
    found = {"kills": storm.kills, "workflows": storm.workflows, "handoffs": storm.handoffs}
    print(json.dumps({**found, "lost": storm.lost}))


if __name__ == "__main__":
    main()
