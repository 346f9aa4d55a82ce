"""How free a licence leaves its user: pure, and unknown rather than guessed.

An SPDX expression is read as such (the choice of an OR is the user's, an AND binds to both); older
metadata has a classifier or a few words, which are matched against the names in common use.
"""

import re
from collections.abc import Iterable
from typing import Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

PERMISSIVE: Final = 1.0
WEAK_COPYLEFT: Final = 0.6
STRONG_COPYLEFT: Final = 0.2

KIND: Final = {
    PERMISSIVE: "permissive",
    WEAK_COPYLEFT: "weak copyleft: changes to the library itself stay open",
    STRONG_COPYLEFT: "strong copyleft: programs distributed with it fall under it",
}

_CLASSIFIER: Final = "License :: "
# First match wins: "Lesser General Public" before "General Public", "Affero" before both.
_PATTERNS: Final = (
    (re.compile(r"(?i)affero|\bAGPL"), STRONG_COPYLEFT),
    (re.compile(r"(?i)lesser general|\bLGPL|library general"), WEAK_COPYLEFT),
    (re.compile(r"(?i)mozilla public|\bMPL|eclipse public|\bEPL\b|\bCDDL"), WEAK_COPYLEFT),
    (re.compile(r"(?i)\bEUPL|european union public"), WEAK_COPYLEFT),
    (re.compile(r"(?i)general public|\bGPL"), STRONG_COPYLEFT),
    (
        re.compile(
            r"(?i)\bMIT\b|\bMIT-0|\bBSD|\b0BSD|apache|\bISC\b|\bPSF|python software foundation"
            r"|\bzlib\b|unlicense|public domain|\bCC0|\bany-OSI\b|\bblessing\b|\bBSL-1\.0|boost"
            r"|\bHPND\b|\bCNRI\b|\bWTFPL\b|\bZPL\b|zope public|artistic"
        ),
        PERMISSIVE,
    ),
)


def stated_licence(
    expression: str | None, text: str | None, classifiers: Iterable[str]
) -> str | None:
    """The best statement among SPDX expression, classifiers and the old free-text field."""
    if expression:
        return expression
    named = [
        classifier.rpartition(" :: ")[2]
        for classifier in classifiers
        if classifier.startswith(_CLASSIFIER) and classifier.count(" :: ") > 1
    ]
    if named:
        return "; ".join(named)
    first_line = (text or "").strip().partition("\n")[0].strip()
    return None if first_line.upper() in {"", "UNKNOWN"} else first_line


def permissiveness(licence: str) -> float | None:
    """1.0 for permissive, less for copyleft, None when it is not one of those known here."""
    try:
        spdx = canonicalize_license_expression(licence)
    except InvalidLicenseExpression:
        return _worst(licence.split("; "))  # several classifiers: whether and or or is not said
    choices = re.split(r"\bOR\b", spdx.replace("(", "").replace(")", ""))
    grades = [_worst(re.split(r"\bAND\b", choice)) for choice in choices]
    return max((grade for grade in grades if grade is not None), default=None)


def _worst(parts: Iterable[str]) -> float | None:
    grades = [_grade(part) for part in parts]
    known = [grade for grade in grades if grade is not None]
    return min(known) if known and len(known) == len(grades) else None


def _grade(name: str) -> float | None:
    return next((grade for pattern, grade in _PATTERNS if pattern.search(name)), None)
