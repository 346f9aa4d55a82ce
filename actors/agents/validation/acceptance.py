"""Acceptance criteria: what one of them asks, and whether a commit does it.

A criterion is a line. `cmd:` runs a program that the operator lets agents run, `file:` wants a
file, `text:` wants a text in one; all else only a person can judge. Criteria come from issues,
which anybody may write: nothing outside of the work tree is read, and no line reaches a shell.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import trio

from actors.agents.kit.changed import tracked_files
from actors.agents.kit.checkouts import Checkout, allowed_variables, checked_out
from actors.agents.kit.outcome import Evidence, Skipped
from actors.agents.kit.untrusted import plain
from actors.agents.protocol import Task
from actors.agents.site import Site
from actors.agents.validation.messages import AcceptOutcome, AcceptRequest, Criterion, Verdict
from actors.errors import ValidationError

MOST: Final = 100
"""Criteria of one request; further ones are for a person."""

_MARK: Final = re.compile(r"^\s*(?:[-*+]|\d+[.)])?\s*(?:\[[ xX]\]\s*)?")
_KIND: Final = re.compile(r"(cmd|file|text):\s*(.*)", re.DOTALL)
_FILE_LIMIT_BYTES: Final = 4 << 20
_SAID_CHARACTERS: Final = 300
_CRITERION_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """A criterion as it is written: what is to be done about it, and with what."""

    text: str
    kind: str
    operand: str


def parse(text: str) -> tuple[Wanted, ...]:
    """The criteria of a text, one for each line that is neither empty nor a heading."""
    return tuple(_wanted(line) for line in text.splitlines() if not _is_structure(line))


def _is_structure(line: str) -> bool:
    return not _MARK.sub("", line).strip() or line.lstrip().startswith("#")


def _wanted(line: str) -> Wanted:
    said = _MARK.sub("", line, count=1).strip().strip("`")
    match = _KIND.fullmatch(said)
    text = plain(said, _CRITERION_CHARACTERS)
    if match is None:
        return Wanted(text, "judgement", said)
    return Wanted(text, match[1], match[2].strip().strip("`").strip())


async def accept(
    task: Task, request: AcceptRequest, text: str, *, deadline_s: float
) -> AcceptOutcome:
    """Check the criteria of a text at a commit.

    Args:
        task: is told how far it is.
        request: which commit.
        text: the criteria.
        deadline_s: of each command.

    Raises:
        ActivityFailure: as `checked_out`.
    """
    wanted = parse(text)
    if not any(one.kind != "judgement" for one in wanted):
        return _answer(request, [_for_a_person(one) for one in wanted], ())
    async with checked_out(task.site, key=task.idempotency_key, ref=request.ref) as place:
        tracked = await tracked_files(task.site, place.commit)
        judge = _Judge(task.site, place, tracked, deadline_s)
        found = []
        for number, one in enumerate(wanted):
            task.progress(f"criterion {number + 1} of {len(wanted)}", number / len(wanted))
            found.append(await judge.criterion(one) if number < MOST else _for_a_person(one))
    return _answer(request, found, tuple(judge.evidence))


def _answer(
    request: AcceptRequest, found: Sequence[Criterion], evidence: tuple[Evidence, ...]
) -> AcceptOutcome:
    counts = {verdict: sum(one.verdict is verdict for one in found) for verdict in Verdict}
    summary = (
        f"{counts[Verdict.PASS]} of {len(found)} criteria are met, {counts[Verdict.FAIL]} are not, "
        f"{counts[Verdict.NEEDS_HUMAN]} are for a person."
        if found
        else "There are no acceptance criteria."
    )
    return AcceptOutcome(
        summary=summary,
        metrics={f"criteria_{verdict.value}": count for verdict, count in counts.items()},
        evidence=evidence,
        criteria=tuple(found),
        issue_id=request.issue_id,
    )


def _for_a_person(wanted: Wanted, why: str = "only a person can tell") -> Criterion:
    return Criterion(
        text=wanted.text, kind=wanted.kind, verdict=Verdict.NEEDS_HUMAN, why=plain(why)
    )


@dataclass(slots=True)
class _Judge:
    """Checks criteria one after the other, and notes what it saw."""

    site: Site
    place: Checkout
    tracked: tuple[str, ...]
    deadline_s: float
    evidence: list[Evidence] = field(default_factory=list)

    async def criterion(self, wanted: Wanted) -> Criterion:
        match wanted.kind:
            case "cmd":
                return await self._command(wanted)
            case "file":
                return self._file(wanted)
            case "text":
                return await trio.to_thread.run_sync(self._text, wanted)
            case _:
                return _for_a_person(wanted)

    async def _command(self, wanted: Wanted) -> Criterion:
        try:
            argv = shlex.split(wanted.operand)
            self.site.check(argv)
        except (ValueError, ValidationError) as error:
            return _for_a_person(wanted, f"it was not run: {error}")
        box = self.place.guarded(**allowed_variables(self.site))
        ran = await box.run(*argv, deadline_s=self.deadline_s)
        if isinstance(ran, Skipped):
            return _for_a_person(wanted, str(ran))
        said = plain((ran.text or ran.stderr.decode("utf-8", "replace"))[-2000:], _SAID_CHARACTERS)
        seen = self._saw(wanted.operand, f"{ran.why}{f'; it said: {said}' if said else ''}")
        return self._judged(wanted, is_met=ran.ok, why=ran.why, seen=seen)

    def _file(self, wanted: Wanted) -> Criterion:
        found = self._matching(wanted.operand)
        shown = ", ".join(found[:3])
        why = f"there is {shown}" if found else f"no file of the commit is {wanted.operand}"
        return self._judged(wanted, is_met=bool(found), why=why, seen=self._saw("git ls-tree", why))

    def _text(self, wanted: Wanted) -> Criterion:
        """A text in a file; for a thread."""
        pattern, colon, text = wanted.operand.partition(":")
        text = text.strip().strip('"')
        if not colon or not text:
            return _for_a_person(wanted, "write `text: <file>: <what is in it>`")
        files = self._matching(pattern.strip())
        places = [found for path in files if (found := self._line_of(path, text))]
        if places:
            why = f"it is in {places[0]}"
        else:
            why = f"it is in none of {len(files)} files" if files else f"there is no {pattern}"
        seen = self._saw(pattern.strip(), why)
        return self._judged(wanted, is_met=bool(places), why=why, seen=seen)

    def _matching(self, pattern: str) -> list[str]:
        """Paths of the commit: only what Git has is read, and no link is."""
        wanted = pattern.removeprefix("./")
        return [path for path in self.tracked if path == wanted or fnmatchcase(path, wanted)]

    def _line_of(self, path: str, text: str) -> str:
        file = self.place.path / path
        if not _is_bearable(file, self.place.path):
            return ""
        content = file.read_text(encoding="utf-8", errors="replace")
        at = content.find(text)
        return "" if at < 0 else f"{path}:{content.count(chr(10), 0, at) + 1}"

    def _saw(self, source: str, statement: str) -> str:
        number = f"E{len(self.evidence) + 1}"
        self.evidence.append(
            Evidence(id=number, source=plain(source), statement=plain(statement, 600))
        )
        return number

    def _judged(self, wanted: Wanted, *, is_met: bool, why: str, seen: str) -> Criterion:
        return Criterion(
            text=wanted.text,
            kind=wanted.kind,
            verdict=Verdict.PASS if is_met else Verdict.FAIL,
            why=plain(why),
            evidence=(seen,),
        )


def _is_bearable(file: Path, root: Path) -> bool:
    return (
        file.is_file()
        and not file.is_symlink()
        and file.resolve().is_relative_to(root.resolve())
        and file.stat().st_size <= _FILE_LIMIT_BYTES
    )
