"""From the matrix to an order, a confidence and what the order hangs on. Pure.

The score of a candidate is the weighted mean of what is known about it. Blocked candidates, and
those of which less than half is known, come after the others: a mean over two lucky facts must not
win. Confidence is the share of facts known of the first two, lowered when they are close or when
leaving a single criterion out would change who is first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from actors.agents.research.messages import Ranked

C_co = TypeVar("C_co", bound=str, covariant=True)
C = TypeVar("C", bound=str)

_ENOUGH_KNOWN: Final = 0.5
_CLEAR_LEAD: Final = 0.1
_TIE: Final = 0.02
_ALONE: Final = 0.6  # of one candidate it can be said that it will do, not that it is the best
_BLOCKED: Final = 0.2


class Scored(Protocol[C_co]):
    """A cell of a matrix."""

    @property
    def candidate(self) -> str: ...
    @property
    def criterion(self) -> C_co: ...
    @property
    def score(self) -> float | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[C]):
    """Without the criterion `winner` would be first, with `score`."""

    without: C
    winner: str
    score: float


def rank(
    cells: Sequence[Scored[C]],
    weights: Mapping[C, float],
    blocked: Mapping[str, tuple[str, ...]],
    names: Sequence[str],
) -> tuple[Ranked, ...]:
    """Orders the candidates; equal ones by name, so that the order is always the same."""
    rows = []
    for name in names:
        score, known = mean([cell for cell in cells if cell.candidate == name], weights)
        reasons = blocked.get(name, ())
        if known < _ENOUGH_KNOWN:
            reasons = (*reasons, f"only {known:.0%} of the facts are known")
        rows.append((name, score, known, reasons))
    rows.sort(key=lambda row: (bool(row[3]), -(row[1] if row[1] is not None else -1.0), row[0]))
    return tuple(
        Ranked(candidate=name, rank=place, score=score, known=known, blockers=reasons)
        for place, (name, score, known, reasons) in enumerate(rows, start=1)
    )


def mean(cells: Sequence[Scored[C]], weights: Mapping[C, float]) -> tuple[float | None, float]:
    """The weighted mean over known scores, and the share of the weights that is known."""
    known = [(cell.score, weights[cell.criterion]) for cell in cells if cell.score is not None]
    total = sum(weights[cell.criterion] for cell in cells)
    weight = sum(w for _, w in known)
    if not weight:
        return None, 0.0
    return round(sum(s * w for s, w in known) / weight, 3), round(weight / total, 3)


def changes(
    cells: Sequence[Scored[C]],
    weights: Mapping[C, float],
    blocked: Mapping[str, tuple[str, ...]],
    names: Sequence[str],
) -> tuple[Change[C], ...]:
    """The criteria without which another candidate would be first."""
    first = rank(cells, weights, blocked, names)[0].candidate
    found = []
    for criterion in dict.fromkeys(cell.criterion for cell in cells):
        others = [cell for cell in cells if cell.criterion != criterion]
        winner = rank(others, weights, blocked, names)[0]
        if others and winner.candidate != first and winner.score is not None:
            found.append(Change(without=criterion, winner=winner.candidate, score=winner.score))
    return tuple(found)


def is_tie(first: Ranked, second: Ranked) -> bool:
    return (
        first.score is not None
        and second.score is not None
        and bool(first.blockers) == bool(second.blockers)
        and first.score - second.score < _TIE
    )


def confidence(ranking: Sequence[Ranked], hinges: int, criteria: int) -> tuple[float, str]:
    """How far the first place can be trusted, and the sum it comes from."""
    first = ranking[0]
    if first.score is None:
        return 0.0, "nothing is known about any candidate"
    if len(ranking) == 1:
        value = first.known * _ALONE
        reason = f"{first.known:.0%} of the facts are known, and there is nothing to compare with"
    else:
        second = ranking[1]
        known = (first.known + second.known) / 2
        rival = second.score if second.score is not None and not second.blockers else 0.0
        lead = max(0.0, first.score - rival)
        steady = 1 - hinges / criteria
        value = known * (0.3 + 0.4 * min(1.0, lead / _CLEAR_LEAD) + 0.3 * steady)
        reason = (
            f"{known:.0%} of the facts about the first two are known, the lead is {lead:.2f}, and "
            f"{hinges} of {criteria} criteria would change the first place if left out"
        )
    if first.blockers:
        return round(min(value, _BLOCKED), 2), f"{reason}; even the first is not without obstacle"
    return round(value, 2), reason
