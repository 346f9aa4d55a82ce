"""Reads a file that an earlier step of the workflow has stored."""

from functools import partial
from typing import Final

import trio

from actors.agents.kit.outcome import StoredFile
from actors.agents.protocol import Task
from actors.coordination.results.messages import OpenArtifact
from actors.workflows.definition import ActivityFailure
from supervision import Target, ask

LIMIT_BYTES: Final = 64 << 20
_DEADLINE_S: Final = 120.0


async def fetch(results: Target, task: Task, stored: StoredFile) -> bytes:
    """The whole content, verified.

    Args:
        results: the actor that keeps them.
        task: of the workflow they belong to.
        stored: what the earlier step has answered.

    Raises:
        ActivityFailure: "artifact_too_large".
        Refused: it is not there any more, or damaged.
    """
    question = OpenArtifact(workflow_id=task.workflow_id, name=stored.name, version=stored.version)
    opened = await ask(results, question, deadline_s=_DEADLINE_S)
    with opened.content as content:
        if content.size > LIMIT_BYTES:
            raise ActivityFailure(
                "artifact_too_large",
                f"{stored.name} is larger than {LIMIT_BYTES >> 20} MiB",
                retryable=False,
            )
        return await trio.to_thread.run_sync(partial(content.read, 0, content.size))
