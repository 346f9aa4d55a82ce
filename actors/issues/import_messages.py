"""Taking in issues that somebody sends as lines of the published format. The tracker answers."""

from dataclasses import dataclass

from supervision import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class LineProblem:
    """A line that was not taken in, and why; `id` is None where it is no issue."""

    line: int
    id: str | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did, or would do.

    Args:
        created: issues that were not here.
        changed: issues that were, and have something of a line now.
        unchanged: issues that hold all that their lines say, or something newer.
        duplicates: lines whose issue another line is about, too; they were merged first.
        quarantined: lines that are no issues.
        refused: issues that cannot be taken in.
        problems: why, the first of both.
    """

    dry_run: bool
    created: int
    changed: int
    unchanged: int
    duplicates: int
    quarantined: int
    refused: int
    problems: tuple[LineProblem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportIssues(Ask[Imported]):
    """Merge lines of the published format into the issues.

    Each issue is merged as if somebody had written its line into the published file: field by
    field, the later one wins, and a line older than what was published changes nothing. Doing it
    again changes nothing. Durable when it is answered.

    Args:
        dry_run: change nothing, and tell what would.
        gates: whether the lines may be about gates; those are refused otherwise.
    """

    data: bytes
    dry_run: bool = False
    gates: bool = True
