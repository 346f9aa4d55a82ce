"""Compares options by criteria and weights, over evidence that the caller gives. Pure.

The arithmetic is that of the research report (`ranking.py`): a weighted mean over what is known,
options with obstacles last, and a look at which criterion the first place hangs on.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from actors.agents.kit.untrusted import escaped, plain
from actors.agents.research.compare_messages import (
    CompareRequest,
    Comparison,
    Entry,
    Value,
    WeighedCriterion,
)
from actors.agents.research.messages import Claim, Ranked
from actors.agents.research.ranking import changes, confidence, is_tie, rank

_UNKNOWN: Final = "unknown"


def compare(request: CompareRequest) -> Comparison:
    """The same request gives the same answer, to the letter."""
    counting = [criterion for criterion in request.criteria if criterion.weight]
    weights = {criterion.name: criterion.weight for criterion in counting}
    values = {(value.option, value.criterion): value for value in request.values}
    matrix = tuple(
        entry for criterion in counting for entry in _row(criterion, request.options, values)
    )
    obstacles = {name: tuple(map(plain, said)) for name, said in request.obstacles.items()}
    ranking = rank(matrix, weights, obstacles, request.options)
    hinges = changes(matrix, weights, obstacles, request.options)
    trust, why = confidence(ranking, len(hinges), len(counting))
    said, chosen = _verdict(ranking)
    comparison = Comparison(
        summary=plain(said, 400),
        metrics={"options": len(request.options), "criteria": len(counting), "confidence": trust},
        evidence=request.evidence,
        question=request.question,
        chosen=chosen,
        ranking=ranking,
        matrix=matrix,
        weights=weights,
        sensitivity=tuple(
            Claim(
                text=f"Without {change.without}, {change.winner} would be first "
                f"({change.score:.2f}).",
                evidence=_cited(matrix, change.without, (ranking[0].candidate, change.winner)),
            )
            for change in hinges
        ),
        confidence=trust,
        confidence_reason=why,
        markdown="",
    )
    return comparison.model_copy(update={"markdown": "\n".join(_page(comparison)).rstrip() + "\n"})


def _row(
    criterion: WeighedCriterion, options: Sequence[str], values: Mapping[tuple[str, str], Value]
) -> Iterator[Entry]:
    """One criterion for all options; of measured values the best becomes 1 and the worst 0."""
    given = [values.get((option, criterion.name)) for option in options]
    measured = [value.value for value in given if value is not None and value.value is not None]
    low, high = min(measured, default=0.0), max(measured, default=0.0)
    for option, value in zip(options, given, strict=True):
        yield Entry(
            candidate=option,
            criterion=criterion.name,
            score=None if value is None else _score(value, criterion, low, high),
            reason=_UNKNOWN if value is None else _reason(value),
            evidence=() if value is None else value.evidence,
        )


def _score(value: Value, criterion: WeighedCriterion, low: float, high: float) -> float | None:
    if value.value is None:
        return value.score
    if low == high:
        return 1.0  # they are all the best
    span = Fraction(high) - Fraction(
        low
    )  # exact: floats this far apart, or near, have no difference
    share = float((Fraction(value.value) - Fraction(low)) / span)
    return round(share if criterion.better == "higher" else 1 - share, 3)


def _reason(value: Value) -> str:
    measured = f"{value.value:g}" if value.value is not None else ""
    return plain(": ".join(part for part in (measured, value.reason) if part))


def _verdict(ranking: Sequence[Ranked]) -> tuple[str, str | None]:
    first = ranking[0]
    if first.score is None:
        return "Nothing can be chosen: nothing is known of any option.", None
    if first.blockers:
        obstacles = "; ".join(first.blockers)
        return f"None can be chosen as it is: {first.candidate} is first, but {obstacles}.", None
    if len(ranking) == 1:
        return (
            f"{first.candidate} scores {first.score:.2f}; it is the only option.",
            first.candidate,
        )
    second = ranking[1]
    if is_tie(first, second):
        names = f"{first.candidate} and {second.candidate}"
        why = "these facts do not decide between them"
        return f"{names} come out equal ({first.score:.2f}): {why}.", None
    behind = f"{second.score:.2f}" if second.score is not None else _UNKNOWN
    next_ = f"{second.candidate} comes next with {behind}"
    return f"Choose {first.candidate}: it scores {first.score:.2f}, {next_}.", first.candidate


def _cited(matrix: Sequence[Entry], criterion: str, names: Sequence[str]) -> tuple[str, ...]:
    wanted = (e for e in matrix if e.criterion == criterion and e.candidate in names)
    return tuple(dict.fromkeys(one for entry in wanted for one in entry.evidence))


def _page(made: Comparison) -> Iterator[str]:
    yield f"# {escaped(made.question, 2_000)}"
    yield ""
    yield f"**{escaped(made.summary, 500)}**"
    yield ""
    yield f"Confidence {made.confidence:.2f}: {escaped(made.confidence_reason, 500)}."
    yield ""
    names = [ranked.candidate for ranked in made.ranking]
    scores = {(entry.candidate, entry.criterion): entry for entry in made.matrix}
    yield f"| criterion | weight | {' | '.join(map(escaped, names))} |"
    yield f"| {' | '.join(['---'] * (len(names) + 2))} |"
    for criterion, weight in made.weights.items():
        cells = (_shown(scores[name, criterion].score) for name in names)
        yield f"| {escaped(criterion)} | {weight:g} | {' | '.join(cells)} |"
    yield f"| all | | {' | '.join(_shown(ranked.score) for ranked in made.ranking)} |"
    yield ""
    for entry in made.matrix:
        reason = f"{escaped(entry.candidate)}, {escaped(entry.criterion)}: {escaped(entry.reason)}"
        yield f"- {reason}{_cites(entry.evidence)}"
    for claim in made.sensitivity:
        yield f"- {escaped(claim.text)}{_cites(claim.evidence)}"
    yield ""
    for evidence in made.evidence:
        yield f"- [{evidence.id}] {escaped(evidence.statement, 600)} ({escaped(evidence.source)})"


def _shown(score: float | None) -> str:
    return "?" if score is None else f"{score:.2f}"


def _cites(ids: Sequence[str]) -> str:
    return f" [{', '.join(ids)}]" if ids else ""
