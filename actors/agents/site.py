"""Where the agents of a process work, and what its operator lets them do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.agents.endpoint import ModelEndpoint
from actors.errors import ValidationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the agents of one process have in common.

    Args:
        repo: root of the work tree that workflows are about.
        workspace: a directory of the server's own, for what outlives an attempt and is no result:
            work trees and the environments beside them. It need not exist yet.
        commands: programs that a request or a configuration may have run, by name; a path is
            another program than its last part. None of them are run unless the operator says so.
        environment: names of variables that such programs get beside the usual ones.
        model: the language model that agents may ask; None when there is none.
        model_urls: other places where a configuration may have a model asked.
    """

    repo: Path
    workspace: Path
    commands: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    model: ModelEndpoint | None = None
    model_urls: tuple[str, ...] = ()

    def check(self, argv: Sequence[str], field: str = "command") -> None:
        """See that a command may be run that somebody else than the operator has chosen.

        Raises:
            ValidationError: it is empty, or its program is none of `commands`.
        """
        if not argv or not all(argv) or any("\0" in part for part in argv):
            raise ValidationError(
                "a command is a list of words, its program first", field=field, value=list(argv)
            )
        if argv[0] in self.commands:
            return
        named = ", ".join(self.commands) or "none"
        raise ValidationError(
            f"{argv[0][:200]!r} is no program that this server runs; it runs: {named}",
            field=field,
            value=argv[0],
            hint="the operator lets agents run it: commands under [agents] in the settings file",
        )
