"""Finds links of documents that lead nowhere in the repository: no such file, no such heading.

Links to other places are counted and not followed. Where only one file can be meant, or one heading
is nearly the same, the answer has a repair.
"""

import difflib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, unquote

from actors.agents.documentation.markdown import Document, Link
from actors.agents.documentation.messages import Repair
from actors.agents.documentation.tree import Tree
from actors.agents.kit.outcome import Finding, Level, Place
from actors.agents.kit.untrusted import plain

_OUTSIDE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_LINES: Final = re.compile(r"L\d+(C\d+)?(-L\d+(C\d+)?)?")
_NEAR: Final = 0.8  # as difflib counts it: "begins" for "begin" is 0.91


@dataclass(slots=True)
class Checked:
    """What came of the links of some documents.

    Args:
        outside: how many lead to other places.
    """

    findings: list[Finding] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)
    links: int = 0
    outside: int = 0


def check_links(tree: Tree, documents: Mapping[str, Document]) -> Checked:
    """Look at every link of the documents, which are known by their paths."""
    checked = Checked()
    places = _Places(tree, documents)
    for path, document in documents.items():
        for link in document.links:
            checked.links += 1
            if _OUTSIDE.match(link.target):
                checked.outside += 1
            elif problem := places.problem(path, link):
                finding, new = problem
                checked.findings.append(finding)
                if new and finding.place is not None:
                    repair = Repair(
                        rule=finding.rule, place=finding.place, old=link.target, new=new
                    )
                    checked.repairs.append(repair)
    return checked


class _Places:
    """All that a link can lead to."""

    def __init__(self, tree: Tree, documents: Mapping[str, Document]) -> None:
        self._documents = documents
        self._files = {*tree.paths, *tree.others}
        self._others = frozenset(tree.others)
        self._directories = {
            str(parent) for path in self._files for parent in PurePosixPath(path).parents
        }
        self._by_name: dict[str, list[str]] = {}
        for path in tree.paths:
            self._by_name.setdefault(path.rpartition("/")[2].lower(), []).append(path)

    def problem(self, path: str, link: Link) -> tuple[Finding, str] | None:
        """What is wrong with a link, and what it should be; None when it leads somewhere."""
        written, _, anchor = link.target.partition("#")
        target = self._target(path, written.partition("?")[0])
        if target is None:
            return None
        if not self._exists(target):
            message = f"{link.target!r} leads to no file"
            return _finding("broken-link", message, path, link), self._moved(path, target, anchor)
        document = self._documents.get(target)
        if document is None or not anchor or _LINES.fullmatch(anchor):
            return None
        name = unquote(anchor)
        if name in document.anchors or name.lower() in document.anchors:
            return None
        near = difflib.get_close_matches(name.lower(), sorted(document.anchors), 1, _NEAR)
        message = f"{link.target!r}: {target} has no heading #{name}"
        new = f"{written}#{near[0]}" if near else ""
        return _finding("broken-anchor", message, path, link), new

    def _target(self, path: str, written: str) -> str | None:
        """The path below the root that is meant; None when that lies outside."""
        if not written:
            return path
        text = unquote(written)
        here = "" if text.startswith("/") else posixpath.dirname(path)
        target = posixpath.normpath(posixpath.join(here, text.lstrip("/")))
        return None if target.startswith("..") else target

    def _exists(self, target: str) -> bool:
        if target in self._files or target in self._directories:
            return True
        return any(str(parent) in self._others for parent in PurePosixPath(target).parents)

    def _moved(self, path: str, target: str, anchor: str) -> str:
        """Where the file is now, if there is only one of that name."""
        found = self._by_name.get(target.rpartition("/")[2].lower(), [])
        if len(found) != 1:
            return ""
        new = quote(posixpath.relpath(found[0], posixpath.dirname(path) or "."))
        return f"{new}#{anchor}" if anchor else new


def _finding(rule: str, message: str, path: str, link: Link) -> Finding:
    return Finding(
        tool="beadflow",
        rule=rule,
        level=Level.ERROR,
        message=plain(message),
        place=Place(path=path, line=link.line),
    )
