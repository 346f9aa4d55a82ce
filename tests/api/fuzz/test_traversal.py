"""Ids that are paths elsewhere: nothing outside of what is ours is read, written or removed."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.api.fuzz import corpus
from tests.api.fuzz.corpus import Valid
from tests.api.fuzz.raw import ask
from tests.api.fuzz.served import served
from tests.api.fuzz.traversal import strings
from tests.api.fuzz.values import Names

EVERY = int(os.environ.get("BEADFLOW_TRAVERSAL_EVERY", "29"))
"""Of all strings in place of all ids, each so-manieth is tried; 1 tries all."""

SECRET = "what-is-in-the-canary"
OURS = (".git/beadflow", ".git/objects", ".git/refs/beadflow", ".beads")
"""What may change in a repository."""


def tree(root: Path, repo: Path) -> dict[str, tuple[int, bytes]]:
    """All that lies below, but for what is the system's own to change."""
    ours = [repo / name for name in OURS]
    return {
        str(path): (path.stat().st_mode, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file() and not any(path.is_relative_to(each) for each in ours)
    }


def attempts(found: Iterable[Valid], names: list[str], ids: dict[str, str]) -> Iterator[bytes]:
    """Each operation, with some of the strings in place of each of its ids."""
    number = 0
    for one in found:
        for taken in re.findall(r"{(\w+)}", one.path):
            for name in names:
                number += 1
                if number % EVERY == 0:
                    path = one.path.format_map(Names({**ids, taken: as_sent(name)}))
                    yield one.around(path.encode(), one.body)


def as_sent(name: str) -> str:
    """The string in an address, with all that may stand there left as it is."""
    return quote(name.encode("utf-8", "surrogatepass"), safe="".join(map(chr, range(0x21, 0x7F))))


async def test_no_id_leads_out_of_what_is_ours(
    tmp_path: Path, repo: Path, logged: list[dict[str, Any]]
) -> None:
    canary = tmp_path / "canary.txt"
    canary.write_text(SECRET)
    statuses: Counter[int | None] = Counter()
    names = strings(str(canary))
    assert len(names) >= 500
    async with served(repo) as here:
        before = tree(tmp_path, repo)
        found = corpus.templates(corpus.document(here.app), here.key)
        for raw in attempts(found, names, here.ids):
            reply = await ask(here.address, raw)
            statuses[None if reply is None else reply.status] += 1
            for secret in (SECRET, "root:x:0", "[core]", "PATH="):
                assert reply is None or secret.encode() not in reply.body, raw
        assert tree(tmp_path, repo) == before
    print(dict(statuses))
    assert [path for path in tmp_path.rglob("*canary*") if path != canary] == []
    assert [entry for entry in logged if entry["log_level"] == "error"] == []
