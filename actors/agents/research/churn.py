"""Which files change often, from the Git history."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from actors.agents.kit.files import git
from actors.agents.kit.outcome import Skipped
from actors.agents.kit.untrusted import plain

_DEADLINE_S: Final = 20.0
_CAP_BYTES: Final = 8 << 20
_MAX_COMMITS: Final = 5_000
_COMMIT: Final = "\x01"
_COLUMNS: Final = 3


@dataclass(slots=True)
class Churn:
    """What was counted, by path."""

    total: int = 0
    commits: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)


async def read_churn(root: Path, as_of: datetime, days: int) -> Churn | Skipped:
    """Counts the changes of the last days, merges left out; or says why it could not."""
    log = await git(
        root,
        "log",
        f"--max-count={_MAX_COMMITS}",
        "--no-merges",
        "--no-renames",
        "--numstat",
        "-z",
        "--format=%x01%ct",
        "--",
        deadline_s=_DEADLINE_S,
        cap_bytes=_CAP_BYTES,
    )
    if not log.ok:
        return Skipped(what="files that change often", why=plain(log.why))
    since = (as_of - timedelta(days=days)).timestamp()
    return count(log.text, since, as_of.timestamp())


def count(text: str, since: float, until: float) -> Churn:
    """Reads what `git log -z --numstat --format=%x01%ct` says; commits outside do not count."""
    churn = Churn()
    counts = False
    for part in text.split("\0"):
        line = part.lstrip("\n")
        if line.startswith(_COMMIT):
            counts = _is_within(line[1:], since, until)
            churn.total += counts
            continue
        columns = line.split("\t", _COLUMNS - 1)
        if counts and len(columns) == _COLUMNS:
            _add(churn, *columns)
    return churn


def _is_within(seconds: str, since: float, until: float) -> bool:
    return seconds.strip().isdigit() and since < int(seconds) <= until


def _add(churn: Churn, added: str, deleted: str, path: str) -> None:
    churn.commits[path] += 1
    for counter, number in ((churn.added, added), (churn.deleted, deleted)):
        counter[path] += int(number) if number.isdigit() else 0  # "-" for a binary file
