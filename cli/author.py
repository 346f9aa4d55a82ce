"""Who asks: the name that a command on issues acts under.

It is recorded as creator, commenter, and holder of a claim. `--actor` comes first, then
BEADFLOW_ACTOR, BD_ACTOR, the name Git knows, and the account's.
"""

import os
import subprocess
from dataclasses import dataclass
from typing import Annotated, Final

from cyclopts import Parameter

from cli.discovery import Where, repository
from cli.problem import usage

_UNKNOWN: Final = "unknown"
_LONGEST: Final = 200
_DEADLINE_S: Final = 5.0


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Under which name a command acts."""

    actor: Annotated[str | None, Parameter(env_var=["BEADFLOW_ACTOR", "BD_ACTOR"])] = None
    "Your name, by default the one Git knows."

    def name(self, where: Where) -> str:
        """The name, which is never empty.

        Raises:
            Problem: (usage) the one that was given is too long.
        """
        if self.actor and len(self.actor.strip()) > _LONGEST:
            raise usage(f"A name has at most {_LONGEST} characters", "--actor or BEADFLOW_ACTOR")
        found = (self.actor, _git(where), os.environ.get("USER"), _UNKNOWN)
        return next(name.strip()[:_LONGEST] for name in found if name and name.strip())


ANYBODY = By()


def _git(where: Where) -> str | None:
    """What `git config user.name` says at the repository; reading it runs nothing of it."""
    try:
        done = subprocess.run(
            ["git", "config", "--get", "user.name"],
            cwd=repository(where),
            capture_output=True,
            check=False,
            timeout=_DEADLINE_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace")
