"""Finds the tools that agents use, and says what to install where one is missing.

A tool is looked for in the environment of the work, then beside the Python that runs this, then on
`PATH`. It is run by `actors.agents.tools.run_tool`: argv only, a group and a deadline of its own.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from actors.agents.guarded import Rlimits
from actors.agents.kit.outcome import Skipped
from actors.agents.tools import OUTPUT_CAP_BYTES, ToolResult, ToolStatus, run_tool

EXTRAS: Final = MappingProxyType(
    {
        "bandit": "validation",
        "codespell": "documentation",
        "coverage": "validation",
        "deptry": "research",
        "diff-cover": "validation",
        "lizard": "research",
        "mypy": "validation",
        "pyproject-build": "poc",
        "pytest": "validation",
        "ruff": "validation",
        "uv": "poc",
    }
)
"""The tools that an extra of this distribution brings along, and its name."""

OTHERS: Final = MappingProxyType({"git": "install Git", "rg": "install ripgrep"})


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Runs tools in one directory.

    Args:
        cwd: where they run.
        bins: directories that are looked in first, e.g. those of a virtual environment.
        env: variables for all of them, beside the allow-listed ones.
        limits: what their processes may take; they then run under a guard, as code that nobody has
            vetted should.
    """

    cwd: Path
    bins: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Rlimits | None = None

    def find(self, tool: str) -> str | None:
        """The path of a tool; None where there is none. What is a path itself begins at `cwd`."""
        if os.sep in tool:
            return shutil.which(self.cwd / tool)
        own = Path(sys.executable).parent  # not resolved: a virtual environment's is a link
        places = [*map(str, self.bins), str(own), os.environ.get("PATH", os.defpath)]
        return shutil.which(tool, path=os.pathsep.join(places))

    async def run(
        self,
        tool: str,
        *args: str,
        deadline_s: float = 60.0,
        ok: Sequence[int] = (0,),
        output_cap_bytes: int = OUTPUT_CAP_BYTES,
    ) -> ToolResult | Skipped:
        """Run a tool and give what it left behind, or say why it was not run.

        Args:
            tool: its name.
            args: what it is called with.
            deadline_s: after so many seconds its group is killed.
            ok: the statuses with which it has done its work; linters end with 1 when they find
                something. With another, and when it came to no end, the result's `ok` is False.
            output_cap_bytes: kept of stdout and of stderr each.
        """
        path = self.find(tool)
        if path is None:
            return Skipped(what=tool, why="it is not installed", install=install_hint(tool))
        bins = os.pathsep.join([*map(str, self.bins), os.environ.get("PATH", os.defpath)])
        result = await run_tool(
            [path, *args],
            cwd=self.cwd,
            deadline_s=deadline_s,
            env={"PATH": bins, **self.env},
            output_cap_bytes=output_cap_bytes,
            limits=self.limits,
        )
        if result.status is ToolStatus.MISSING:
            return Skipped(what=tool, why=result.why, install=install_hint(tool))
        if result.status is ToolStatus.FAILED and result.returncode in ok:
            return result.succeeded()
        return result


def install_hint(tool: str) -> str:
    """What to do to have a tool."""
    extra = EXTRAS.get(tool)
    return f"install beadflow[{extra}]" if extra else OTHERS.get(tool, f"install {tool}")
