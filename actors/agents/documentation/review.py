"""Reviews the documents of a commit: their spelling, their links and their code."""

from collections.abc import Mapping

import trio

from actors.agents.documentation.blocks import Bench, check_syntax, run_blocks
from actors.agents.documentation.config import DocumentationConfig
from actors.agents.documentation.links import check_links
from actors.agents.documentation.markdown import MISSING, Document, parse
from actors.agents.documentation.messages import (
    MAX_FINDINGS,
    MAX_REPAIRS,
    Check,
    Repair,
    Review,
    ReviewRequest,
)
from actors.agents.documentation.pages import is_ours
from actors.agents.documentation.sources import Sources, sources
from actors.agents.documentation.spelling import check_spelling
from actors.agents.documentation.tree import Tree, tree_of
from actors.agents.kit.checkouts import Checkout
from actors.agents.kit.outcome import Finding, Level, Skipped
from actors.agents.protocol import Task


async def review(task: Task, request: ReviewRequest, config: DocumentationConfig) -> Review:
    """Look for what is wrong in the documents of a commit.

    Pages that were made from code are only followed, not read: what is wrong there is wrong in the
    code.
    """
    async with tree_of(task, request.ref) as (tree, checkout):
        found = await trio.to_thread.run_sync(sources, tree, request.packages)
        work = _Work(task, tree, checkout, found, config)
        await work.read()
        for check in dict.fromkeys(request.checks):
            match check:
                case Check.SPELLING:
                    await work.check_spelling()
                case Check.LINKS:
                    await work.check_links()
                case Check.CODE:
                    await work.run_code(request.run_code)
    return work.answer(request.checks)


class _Work:
    """The checks of one review, and what has come of them so far."""

    def __init__(
        self,
        task: Task,
        tree: Tree,
        checkout: Checkout,
        found: Sources,
        config: DocumentationConfig,
    ) -> None:
        self._task = task
        self._tree = tree
        self._checkout = checkout
        self._found = found
        self._config = config
        own = [path for path in found.documents if is_ours(tree.path / path)]
        self._own = frozenset(own)
        self._documents: Mapping[str, Document] = {}
        self._findings: list[Finding] = []
        self._repairs: list[Repair] = []
        self._skipped: list[Skipped] = []
        self._metrics: dict[str, float] = {"documents": len(found.documents) - len(own)}

    async def read(self) -> None:
        """Parse all documents; without the parser there are none, and that is said."""

        def parsed() -> dict[str, Document]:
            return {path: parse(self._tree.text(path)) for path in self._found.documents}

        try:
            self._documents = await trio.to_thread.run_sync(parsed)
        except ImportError:
            self._skipped.append(MISSING)

    async def check_spelling(self) -> None:
        self._task.progress("checking the spelling", 0.1)
        texts = (*self._found.documents, *self._found.unread)
        paths = [path for path in texts if path not in self._own]
        findings, repairs, skipped = await check_spelling(
            self._checkout.reading(), paths, self._config.words
        )
        self._findings += findings
        self._repairs += [repair for repair in repairs if not self._is_code(repair)]
        self._skipped += skipped
        self._metrics["misspelt"] = len(findings)

    def _is_code(self, repair: Repair) -> bool:
        document = self._documents.get(repair.place.path)
        return document is not None and document.is_code(repair.place.line or 0)

    async def check_links(self) -> None:
        self._task.progress("following links", 0.3)
        checked = await trio.to_thread.run_sync(check_links, self._tree, self._documents)
        self._findings += checked.findings
        self._repairs += [r for r in checked.repairs if r.place.path not in self._own]
        self._metrics |= {"links": checked.links, "links_outside": checked.outside}
        if checked.outside:
            why = "only links within the repository are followed"
            self._skipped.append(Skipped(what=f"{checked.outside} links", why=why))
        for path in self._found.unread[:1]:
            what = f"links of documents like {path}"
            self._skipped.append(Skipped(what=what, why="only Markdown is read"))

    async def run_code(self, wanted: bool | None) -> None:
        documents = {p: d for p, d in self._documents.items() if p not in self._own}
        if not (self._config.run_code if wanted is None else wanted):
            why = "neither the request nor the agent's configuration wants it run"
            self._skipped.append(Skipped(what="code blocks", why=why, install="run_code=true"))
            self._findings += check_syntax(documents)
            return
        bench = Bench(
            task=self._task,
            checkout=self._checkout,
            scripts=self._found.scripts,
            own=frozenset(package.name for package in self._found.packages),
            files=frozenset(self._tree.paths),
            deadline_s=self._config.code_timeout_s,
        )
        ran = await run_blocks(bench, documents)
        self._findings += ran.findings
        self._skipped += ran.skipped.values()
        self._metrics |= {"blocks_run": ran.blocks, "commands_run": ran.commands}

    def answer(self, checks: tuple[Check, ...]) -> Review:
        looked_at = " and ".join(str(check) for check in dict.fromkeys(checks)) or "nothing"
        number = int(self._metrics["documents"])
        return Review(
            summary=f"{len(self._findings)} findings in {number} documents ({looked_at}).",
            commit=self._tree.commit,
            findings=tuple(sorted(self._findings, key=_is_lighter)[:MAX_FINDINGS]),
            repairs=tuple(self._repairs[:MAX_REPAIRS]),
            metrics={**self._metrics, "findings": len(self._findings)},
            skipped=tuple(self._skipped),
        )


def _is_lighter(finding: Finding) -> bool:
    """Errors come first: the verdict is made of those that an answer has room for."""
    return finding.level is not Level.ERROR
