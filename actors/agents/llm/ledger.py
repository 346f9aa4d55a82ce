"""What of a conversation is kept, so that nothing is paid for twice.

An activity may run again, after a crash or a pause. Each turn is on the disk before the next one
begins: the next attempt goes on from there, and one that finds the last answer asks nothing. The
files are the server's own and private, since a conversation holds what was read; a week after the
last turn they are removed.
"""

import contextlib
import hashlib
import re
from pathlib import Path
from typing import Final

from pydantic import ValidationError as ModelError

from actors.agents.kit.chat.messages import ChatMessage, Finish
from actors.agents.kit.outcome import Model
from actors.agents.kit.usage import Usage
from storage.durable import replace

KEPT_S: Final = 7 * 86400.0

_ID: Final = re.compile(r"[0-9a-f]{64}")


class Conversation(Model):
    """All turns so far.

    Attributes:
        workflow_id: whose it is; nobody else goes on with it.
        question: SHA-256 of what was asked.
        first: how many of the messages were there before the model said anything.
        finish: why its last answer ended.
        repairs: how often it was told that its answer does not fit.
        spent: on all turns, also on those of an answer that was given up.
    """

    workflow_id: str
    question: str
    messages: tuple[ChatMessage, ...]
    first: int
    finish: Finish = Finish.STOP
    turns: int = 0
    repairs: int = 0
    spent: Usage = Usage()
    is_counted: bool = True
    model: str = ""

    def anew(self) -> "Conversation":
        """The same from its beginning; what was spent stays spent."""
        begun = self.messages[: self.first]
        return self.model_copy(update={"messages": begun, "turns": 0, "repairs": 0})


def conversation_id(idempotency_key: str) -> str:
    """By which a step's conversation is found."""
    return hashlib.sha256(idempotency_key.encode()).hexdigest()


class Ledger:
    """The conversations of one server. All of it blocks.

    Args:
        directory: need not be there yet.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, conversation: str) -> Conversation | None:
        """A conversation; None where there is none that can be read."""
        if not _ID.fullmatch(conversation):
            return None
        try:
            return Conversation.model_validate_json(self._file(conversation).read_bytes())
        except (OSError, ModelError):
            return None

    def keep(self, conversation: str, state: Conversation) -> None:
        """Put it on the disk; it is there when this returns."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace(self._file(conversation), state.model_dump_json().encode())

    def sweep(self, now_s: float) -> int:
        """Remove what is older than a week, and give how many that were.

        Args:
            now_s: seconds since 1970, as the dates of files.
        """
        removed = 0
        for file in self._directory.glob("*.json*") if self._directory.is_dir() else ():
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < now_s - KEPT_S:
                    file.unlink()
                    removed += 1
        return removed

    def _file(self, conversation: str) -> Path:
        return self._directory / f"{conversation}.json"
