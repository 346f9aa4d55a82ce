"""Searches files line by line where there is no ripgrep, and says it as `rg --json` does.

A program of its own, because a regular expression can take for ever and nothing in this process
could end it: `python -m actors.agents.research.matching ROOT LIST PATTERN...`. LIST is a file of
paths, apart by NUL; what follows are patterns, of which one has to fit. It imports little, because
most of its time is its start.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actors.agents.kit.reading import Skips, read_file

PER_FILE: Final = 100
_BAD_PATTERN: Final = 2
_SNIFFED_BYTES: Final = 8_192


def matches(root: Path, path: str, pattern: re.Pattern[str]) -> Iterator[dict[str, object]]:
    """The lines of one file that fit, as messages of `rg --json`."""
    data = read_file(root, path, Skips())
    if data is None or b"\0" in data[:_SNIFFED_BYTES]:
        return
    found = 0
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        spans = [match.group() for match in pattern.finditer(line)]
        if spans and found < PER_FILE:
            found += 1
            yield {
                "type": "match",
                "data": {
                    "path": {"text": path},
                    "lines": {"text": line},
                    "line_number": number,
                    "submatches": [{"match": {"text": span}} for span in spans],
                },
            }


def main(root: str, listed: str, *patterns: str) -> int:
    try:
        pattern = re.compile("|".join(f"(?:{one})" for one in patterns), re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        sys.stderr.write(f"regex parse error: {error}\n")
        return _BAD_PATTERN
    for path in Path(listed).read_text("utf-8", "surrogateescape").split("\0"):
        for message in matches(Path(root), path, pattern) if path else ():
            sys.stdout.write(json.dumps(message) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
