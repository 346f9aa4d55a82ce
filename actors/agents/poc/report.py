"""What a proof of concept came to, in one verdict and one page. Pure."""

from collections.abc import Iterator

from actors.agents.kit.outcome import Outcome
from actors.agents.kit.untrusted import code, escaped
from actors.agents.kit.worktrees import Changes, Sandbox
from actors.agents.poc.messages import Benchmarked, PackageRequest, Verdict

_FILES = 100
_WORDS = {
    Verdict.PASS: "It works",
    Verdict.FAIL: "It does not work",
    Verdict.NEEDS_HUMAN: "Somebody has to look at it",
}


def verdict_of(request: PackageRequest) -> Verdict:
    """Fail where something was tried and failed; pass only where tests ran, and all passed."""
    tried = (request.built, request.tested, request.benchmarked)
    if any(one is not None and one.ok is False for one in tried):
        return Verdict.FAIL
    is_tested = request.tested is not None and request.tested.ok is True
    return Verdict.PASS if is_tested and not request.unfinished else Verdict.NEEDS_HUMAN


def summary_of(request: PackageRequest, verdict: Verdict, sandbox: Sandbox) -> str:
    """The whole in a sentence or two."""
    done = [one.summary for one in steps_of(request).values() if one is not None]
    why = (f"Not finished: {request.unfinished}",) if request.unfinished else ()
    return " ".join((f"{_WORDS[verdict]}: {sandbox.branch or 'on no branch'}.", *why, *done))


def page(
    request: PackageRequest, sandbox: Sandbox, changes: Changes, commit: str, words: str | None
) -> str:
    """The report, as Markdown; `words` are a model's, fit to be shown."""
    return "\n".join(_lines(request, sandbox, changes, commit, words)) + "\n"


def _lines(
    request: PackageRequest, sandbox: Sandbox, changes: Changes, commit: str, words: str | None
) -> Iterator[str]:
    yield f"# {escaped(request.title)}"
    yield ""
    branch, tip, base = map(code, (sandbox.branch or "none", commit[:12], sandbox.base[:12]))
    yield f"**{_WORDS[verdict_of(request)]}.** Branch {branch} at {tip},"
    yield f"begun at {base}; {changes.commits} commits."
    if request.unfinished:
        yield ""
        yield f"Not finished: {escaped(request.unfinished)}"
    if words:
        yield ""
        yield words
    yield ""
    yield "| Step | Result |"
    yield "| --- | --- |"
    for name, step in steps_of(request).items():
        yield f"| {name} | {escaped(step.summary) if step is not None else 'not asked for'} |"
    yield from _changed(changes)
    yield from _measured(request.benchmarked)
    yield from _found(request)


def steps_of(request: PackageRequest) -> dict[str, Outcome | None]:
    """What each step came to; None for those that nobody asked for."""
    return {
        "Work tree": request.prepared,
        "Change": request.implemented,
        "Build": request.built,
        "Tests": request.tested,
        "Speed": request.benchmarked,
    }


def _changed(changes: Changes) -> Iterator[str]:
    yield ""
    yield "## Changes"
    yield ""
    if not changes.files:
        yield "None."
        return
    yield f"{len(changes.files)} files, {changes.insertions} lines more, {changes.deletions} less:"
    yield ""
    yield from (f"- {code(path)}" for path in changes.files[:_FILES])
    if len(changes.files) > _FILES:
        yield f"- and {len(changes.files) - _FILES} more"


def _measured(benchmarked: Benchmarked | None) -> Iterator[str]:
    if benchmarked is None or not benchmarked.comparisons:
        return
    yield ""
    yield "## Speed"
    yield ""
    yield "| Benchmark | Before | Now | Ratio | Noise | |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for one in benchmarked.comparisons:
        before, now = one.base.median_s, one.head.median_s
        yield (
            f"| {code(one.name)} | {before:.3g} s | {now:.3g} s | {one.ratio:.3g}"
            f" | {one.bound:.1%} | {one.difference} |"
        )


def _found(request: PackageRequest) -> Iterator[str]:
    done = [step for step in steps_of(request).values() if step is not None]
    findings = [finding for step in done for finding in step.findings]
    skipped = [one for step in done for one in step.skipped]
    if findings:
        yield ""
        yield "## Findings"
        yield ""
        for one in findings:
            where = f" at {code(str(one.place))}" if one.place else ""
            yield f"- {one.level}: {escaped(one.message)}{where}"
    if skipped:
        yield ""
        yield "## Skipped"
        yield ""
        yield from (f"- {escaped(str(one))}" for one in skipped)
