"""How alive the project is, from its Git history."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from actors.agents.kit.files import git
from actors.agents.kit.untrusted import plain
from actors.agents.research.facts import Activity, Gap

_DEADLINE_S: Final = 10.0
_CAP_BYTES: Final = 2 << 20
_MAX_COMMITS: Final = 10_000
_YEAR: Final = timedelta(days=365)
_QUARTER: Final = timedelta(days=90)


async def read_activity(root: Path, as_of: datetime) -> tuple[Activity | None, Gap | None]:
    """Commits and authors of the last year, or the reason why that is not known."""
    log = await git(
        root,
        "log",
        f"--max-count={_MAX_COMMITS}",
        "--no-color",
        "--format=%ct %ae",
        "--",
        deadline_s=_DEADLINE_S,
        cap_bytes=_CAP_BYTES,
    )
    if not log.ok:
        return None, Gap(subject="repository", what="recent activity", why=plain(log.why))
    commits = [commit for line in log.text.splitlines() if (commit := _commit(line))]
    complete = not log.truncated and len(commits) < _MAX_COMMITS
    return activity(commits, as_of, complete=complete), None


def activity(commits: list[tuple[datetime, str]], as_of: datetime, *, complete: bool) -> Activity:
    """Counts over (committed at, author); commits after `as_of` do not count."""
    past = [(at, who) for at, who in commits if at <= as_of]
    year = [(at, who) for at, who in past if at > as_of - _YEAR]
    return Activity(
        last_commit_at=max((at for at, _ in past), default=None),
        commits_90_days=sum(at > as_of - _QUARTER for at, _ in past),
        commits_365_days=len(year),
        authors_365_days=len({who for _, who in year}),
        complete=complete,
    )


def _commit(line: str) -> tuple[datetime, str] | None:
    seconds, _, author = line.partition(" ")
    try:
        return datetime.fromtimestamp(int(seconds), UTC), author
    except (ValueError, OverflowError, OSError):  # not a time, or one no calendar has
        return None
