"""Stands in for the Git worker where the published file is to be left alone.

Who may not write cannot take in what others wrote, so for the tracker there is no file.
"""

from actors.issues.messages import Composed, ComposeFile
from supervision import Actor


class UnreadFile(Actor):
    """Answers `ComposeFile` with no file at all."""

    async def on_receive(self, message: object) -> object:
        if not isinstance(message, ComposeFile):
            return await super().on_receive(message)
        return Composed(
            seq=0,
            sha256="",
            data=b"",
            present_sha256=None,
            flushed_sha256=None,
            intended_seq=0,
            intended_sha256=None,
            known=frozenset(),
            place="",
            is_placed=True,
        )
