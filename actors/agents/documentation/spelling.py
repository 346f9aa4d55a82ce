"""Has codespell read documents, and makes a repair of what it has one answer to.

The repository's own configuration of codespell counts, as it does when people run it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from actors.agents.documentation.messages import Repair
from actors.agents.kit.outcome import Finding, Level, Place, Skipped
from actors.agents.kit.toolbox import Toolbox
from actors.agents.kit.untrusted import plain

TOOL: Final = "codespell"
RULE: Final = "spelling"
_BATCH: Final = 500
_DEADLINE_S: Final = 120.0
_FOUND_SOME: Final = 65
_LINE: Final = re.compile(r"\./(?P<path>.+?):(?P<line>\d+): (?P<old>\S+) ==> (?P<new>.+)")

Spelling = tuple[list[Finding], list[Repair], list[Skipped]]


async def check_spelling(
    toolbox: Toolbox, paths: Sequence[str], words: Sequence[str] = ()
) -> Spelling:
    """Look for misspelt words.

    Args:
        toolbox: runs codespell at the root of the tree.
        paths: of documents, below it.
        words: that are right.
    """
    findings: list[Finding] = []
    repairs: list[Repair] = []
    options = ["--disable-colors", "--quiet-level=39", *(["-L", ",".join(words)] if words else [])]
    for start in range(0, len(paths), _BATCH):
        files = [f"./{path}" for path in paths[start : start + _BATCH]]
        result = await toolbox.run(
            TOOL, *options, *files, deadline_s=_DEADLINE_S, ok=(0, _FOUND_SOME)
        )
        if isinstance(result, Skipped):
            return findings, repairs, [result]
        if not result.ok:
            return findings, repairs, [Skipped(what=TOOL, why=plain(result.why))]
        for finding, repair in _read(result.text):
            findings.append(finding)
            if repair is not None:
                repairs.append(repair)
    return findings, repairs, []


def _read(text: str) -> Iterator[tuple[Finding, Repair | None]]:
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        old, new = found["old"], found["new"]
        place = Place(path=found["path"], line=int(found["line"]))
        finding = Finding(
            tool=TOOL,
            rule=RULE,
            level=Level.WARNING,
            message=plain(f"{old}: {new}"),
            place=place,
        )
        is_sure = re.fullmatch(r"[\w'-]+(?: [\w'-]+)*", new) is not None
        yield finding, Repair(rule=RULE, place=place, old=old, new=new) if is_sure else None
