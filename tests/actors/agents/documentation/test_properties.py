"""What holds for any document and any changelog."""

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.agents.documentation.changelog import merged, worded
from actors.agents.documentation.links import check_links
from actors.agents.documentation.markdown import parse
from actors.agents.documentation.messages import Repair
from actors.agents.documentation.tree import Tree
from actors.agents.documentation.update import Edits, mend
from actors.agents.kit.outcome import Place

HEADINGS = ("# ", "## Unreleased\n", "### Added\n", "## 1.0\n", "---\n", "{#own}")
LINKS = ("[a](b.md#c)", "[x]: y.md\n", "![", "](", "<a id='q'>", "&#", "\\")
BLOCKS = ("- a.\n", "- b.\n", "| a |\n| --- |\n", "```\n", "    ", ">", "`", "text\n")
SPACES = ("\n", "\r\n", "\t", "é", "\u2028")
PIECES = st.sampled_from((*HEADINGS, *LINKS, *BLOCKS, *SPACES))
TEXTS = st.lists(PIECES, max_size=30).map("".join)
ENTRIES = st.dictionaries(
    st.sampled_from(["Added", "Changed", "Removed"]),
    st.lists(st.sampled_from(["a.", "b.", "c (d)."]), max_size=3, unique=True),
)


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_a_document_of_any_kind_is_read_and_its_places_are_in_it(text: str) -> None:
    document = parse(text)
    lines = len(re.split("\r\n|\n|\r", text))
    tree = Tree(path=Path("/nowhere"), commit="0" * 40, paths=("a.md",))
    checked = check_links(tree, {"a.md": document})
    assert all(1 <= link.line <= lines for link in document.links)
    assert all(2 <= fence.line <= lines + 1 for fence in document.fences)
    assert checked.links == len(document.links)
    assert all(finding.place is not None for finding in checked.findings)


@settings(deadline=None, max_examples=60)
@given(TEXTS.map(lambda text: text.replace("\r", "")), ENTRIES)
def test_a_changelog_gets_each_entry_once_and_loses_nothing(
    text: str, entries: dict[str, list[str]]
) -> None:
    addition = worded(entries)
    once = merged(text, addition)
    assert merged(once, addition) == once
    kept = iter(once.split("\n"))
    assert all(any(line == other for other in kept) for line in text.split("\n") if line.strip())
    assert all(f"- {entry}" in once.split("\n") for found in entries.values() for entry in found)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["one", "two", "a.md", "/a.md", " ", "(", ")", "\n", "\r\n", "é"])),
    st.integers(1, 5),
    st.sampled_from(["one", "a.md", "é"]),
)
def test_a_repair_changes_one_word_of_one_line(words: list[str], line: int, old: str) -> None:
    before = "".join(words)
    tree = Tree(path=Path("/nowhere"), commit="0" * 40, paths=("a.md",))
    edits = Edits(files={"a.md": before} if before else {})
    mend(tree, Repair(rule="x", place=Place(path="a.md", line=line), old=old, new="NEW"), edits)
    if not edits.repairs:
        assert edits.skipped
        return
    after = edits.files["a.md"]
    assert after is not None
    pairs = zip(before.split("\n"), after.split("\n"), strict=True)
    different = [number for number, (was, now) in enumerate(pairs, 1) if was != now]
    assert different == [line]
    assert after.replace("NEW", old) == before
