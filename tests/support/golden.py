"""Golden files: databases as a released schema left them, small and real.

`python -m tests.support.golden` makes those of the present schema that are not there yet, by
running workflows that end in every way and one that is cut off, and copying what the databases
hold. A file that is there is never made again: it stands for what users have on their disks.
"""

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import trio

from beadflow import Agent, Context, Task, activity, workflow
from storage.databases import Database, databases
from storage.home import DataDir
from tests.support.world import git_repository, running_system

GOLDEN = Path(__file__).resolve().parent.parent / "storage" / "golden"

ENDED = {"golden_done": "completed", "golden_failed": "failed"}
"""The types of the workflows in the golden files that had ended, with how."""

CUT_OFF = "golden_waiting"
"""The type of those that had not: one was at its second step, one waited for the agent."""


class Helper(Agent):
    """Takes one workflow at a time."""

    agent_type = "helper"
    max_workload = 1

    @activity
    async def help(self, task: Task) -> str:
        task.progress("at it", 0.5)
        return self.agent_id

    @activity
    async def wait(self, task: Task) -> str:
        del task
        await hold()
        return "waited"


async def hold() -> None:
    """Keeps a step open until the system stops; a test that goes on replaces it."""
    await trio.sleep_forever()


@workflow(agent_type="helper")
async def golden_done(ctx: Context, variables: dict[str, str]) -> dict[str, str]:
    """Ends well."""
    helped = await ctx.activity(Helper.help)
    return {"summary": f"{variables['text']} {helped}", "made": await ctx.side_effect(lambda: "x")}


@workflow
async def golden_failed(ctx: Context) -> None:
    """Ends badly."""
    raise ValueError(f"{ctx.workflow_id} fails")


@workflow(agent_type="helper")
async def golden_waiting(ctx: Context) -> str:
    """Is cut off."""
    await ctx.activity(Helper.help)
    return str(await ctx.activity(Helper.wait))


WORKFLOWS = (golden_done, golden_failed, golden_waiting)


def golden_file(name: str, version: int) -> Path:
    return GOLDEN / f"{name}-{version:04d}.sqlite"


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        repo = git_repository(Path(place) / "repo")
        trio.run(_live, repo)
        for database in databases(DataDir.resolve(repo).path):
            _keep(database)


async def _live(repo: Path) -> None:
    async with running_system(repo, workflows=WORKFLOWS, agents=[Helper]) as running:
        done = await running.start(
            "golden_done", "A title — with signs", variables={"text": "größer"}, priority=1
        )
        failed = await running.start("golden_failed", idempotency_key="golden")
        await running.ended(done.id, failed.id)
        waiting = await running.start("golden_waiting")
        await running.start("golden_waiting", "second in the queue")
        await running.until(
            lambda seen: any(
                f.workflow_id == waiting.id and f.data.get("step") == "2" for f in seen
            )
        )


def _keep(database: Database) -> None:
    path = golden_file(database.name, database.newest)
    if path.exists():
        print(f"{path} is there", file=sys.stderr)
        return
    with closing(sqlite3.connect(database.path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("VACUUM INTO ?", (str(path),))
    print(path)


if __name__ == "__main__":
    main()
