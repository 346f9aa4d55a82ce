"""Who is named as the author of what agents commit."""

import os
import re
from typing import Final

from actors.agents.tools import run_tool
from storage.gitdir import GitDir

_IDENTITY: Final = re.compile(r"(user|author|committer)\.(name|email)\n(.*)", re.DOTALL)


async def author(where: GitDir) -> dict[str, str]:
    """Names author and committer as the user's configuration does, else us.

    The only command that reads the user's configuration: it asks for names and runs nothing.
    """
    wanted = r"^(user|author|committer)\.(name|email)$"
    own = {name: os.environ[name] for name in ("XDG_CONFIG_HOME",) if name in os.environ}
    own |= {n: os.environ[n] for n in os.environ if n.startswith("GIT_CONFIG_")}
    asked = await run_tool(
        ["git", "config", "--null", "--get-regexp", wanted],
        cwd=where.work_tree or where.git_dir,
        deadline_s=10.0,
        env={**own, "GIT_DIR": str(where.git_dir)},
    )
    found = {
        (match[1], match[2]): match[3]
        for entry in asked.stdout.decode("utf-8", "replace").split("\0")
        if (match := _IDENTITY.fullmatch(entry)) and match[3].strip()
    }
    return _person(found, "author") | _person(found, "committer")


def _person(found: dict[tuple[str, str], str], role: str) -> dict[str, str]:
    name = found.get((role, "name")) or found.get(("user", "name"))
    email = found.get((role, "email")) or found.get(("user", "email"))
    if not name or not email:
        name, email = "beadflow", "beadflow@localhost"
    return {f"GIT_{role.upper()}_NAME": name, f"GIT_{role.upper()}_EMAIL": email}
