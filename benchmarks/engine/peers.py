"""DBOS on SQLite, in an environment of its own, beside the engine in the same run.

The project does not depend on it and its environment has nothing of ours: `.venv-dbos` beside the
sources (which Git ignores) is made when it is first needed, with the package index that pip is set
up for. Without one the benchmark goes on without DBOS and `settings.peers` says why.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engine.size import STEPS, Size
from benchmarks.report import Samples

__all__ = ["JOURNALS", "Dbos"]

REQUIREMENT = "dbos==3.4.0"
ENVIRONMENT = Path(__file__).parents[2] / ".venv-dbos"
PEER = Path(__file__).with_name("dbos_peer.py")
INSTALL_S = 300.0
MEASURE_S = 900.0

JOURNALS: Mapping[str, str] = {"default": "dbos", "wal_normal": "dbos_wal_normal"}
"""What SQLite is told, and how its figures are called: as DBOS has it, and made fast."""


@dataclass(slots=True)
class Dbos:
    """DBOS as far as it can be had.

    Args:
        why_not: why it is not measured; "" when it is.
        settings: of each way it was measured in, as its own connections have them.
    """

    why_not: str = ""
    settings: dict[str, object] = field(default_factory=dict)

    @classmethod
    def found(cls, size: Size) -> "Dbos":
        """Look for it, and install it where it is missing."""
        if not any(size.peer):
            return cls("not at this size")
        if _version() is None and (why := _install()):
            return cls(why)
        return cls()

    @property
    def described(self) -> Mapping[str, object]:
        """What `settings.peers` says."""
        return {"dbos": self.settings} if self.settings else {}

    def measure(self, size: Size, directory: Path, samples: Samples) -> None:
        """Add one round of it, on the same disk."""
        if self.why_not:
            return
        amounts = (STEPS, size.singles, *size.peer)
        for journal, prefix in JOURNALS.items():
            with tempfile.TemporaryDirectory(dir=directory) as place:
                done = subprocess.run(
                    [_python(), PEER, place, journal, *map(str, amounts)],
                    check=True,
                    capture_output=True,
                    text=True,
                    timeout=MEASURE_S,
                    env=_environment(),
                )
            found = json.loads(done.stdout.splitlines()[-1])
            self.settings[prefix] = found["settings"]
            for key, value in found["figures"].items():
                samples.add(f"{prefix}_{key}", value)


def _python() -> Path:
    return ENVIRONMENT / "bin" / "python"


def _environment() -> dict[str, str]:
    """Ours without what would lead into our packages."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def _version() -> str | None:
    if not _python().exists():
        return None
    look = "from importlib.metadata import version; print(version('dbos'))"
    done = subprocess.run(
        [_python(), "-c", look], capture_output=True, text=True, check=False, env=_environment()
    )
    return done.stdout.strip() or None


def _install() -> str:
    """Make the environment; answers why it could not be made, or ""."""
    print(f"installing {REQUIREMENT} into {ENVIRONMENT.name}", file=sys.stderr)
    pip = [str(_python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        for command in ([sys.executable, "-m", "venv", str(ENVIRONMENT)], [*pip, REQUIREMENT]):
            subprocess.run(
                command,
                check=True,
                capture_output=True,
                text=True,
                timeout=INSTALL_S,
                env=_environment(),
            )
    except (OSError, subprocess.SubprocessError) as error:
        print(f"DBOS is not measured: {error}", file=sys.stderr)
        return "it could not be installed: no package index, or not this version"
    return ""
