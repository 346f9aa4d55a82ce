"""Cuts a program off the network, where the system permits that."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from actors.agents.tools import run_tool
from actors.workflows.definition import ActivityFailure

_WAYS: Final = (
    ("--net",),  # for root
    ("--user", "--map-current-user", "--net"),
    ("--user", "--map-root-user", "--net"),  # before util-linux 2.36
)
_PROBE_S: Final = 10.0


async def without_network(argv: Sequence[str], cwd: Path) -> list[str]:
    """The same command with a network of its own, in which there is nobody.

    Raises:
        ActivityFailure: "no_isolation"; the system does not permit it. It is never run without.
    """
    unshare, true = shutil.which("unshare"), shutil.which("true")
    if unshare is not None and true is not None:
        for way in _WAYS:
            if (await run_tool([unshare, *way, "--", true], cwd=cwd, deadline_s=_PROBE_S)).ok:
                return [unshare, *way, "--", *argv]
    raise ActivityFailure(
        "no_isolation",
        "programs are to run without a network, which this system does not permit: install "
        "util-linux and allow user namespaces, or set network to open",
        retryable=False,
    )
