"""The words of a question that carry its meaning, and where they are found in a text.

No model is asked: a word counts when it is not one of the small words of English or of the trade
("library", "best", "project"), and it is found when the text has it as a word of its own, plural
or not. "async" also finds "asyncio" and "asynchronous", as "sqlite" finds "aiosqlite".
"""

import re
from collections.abc import Iterable
from typing import Final

_WORD: Final = re.compile(r"[a-z0-9][a-z0-9+#]*")
_MIN_CHARACTERS: Final = 2
_MIN_PART_CHARACTERS: Final = 4  # shorter words are only found whole: "go" is not in "django"
_MAX_WORDS: Final = 12

_SMALL_WORDS: Final = (
    "a about access accessed accessing advantages all among an and any app application "
    "applications are as at be been being best better between but by can candidate candidates "
    "choose code compare compared could decide default dependencies dependency distribution "
    "do does each easy fast faster find fit fits for framework frameworks from get good has "
    "have how i if in instead into is it its keep kind lib libraries library like look make "
    "may me modern module modules more most must my need needs new no not of off on one only "
    "or other our out over package packages pick please popular prefer project project's "
    "projects provide provides python really recommend recommended repo repository research "
    "run running safe see seem service shall should simple so some stable still suit suitable "
    "support supports switch than that the their them then there these they thing things this "
    "those to tool tools under use used uses using versus vs want we well what when where "
    "whether which while who why will with without work works would you your "
)
_SMALL: Final = frozenset(_SMALL_WORDS.split())


def question_words(question: str, *, without: Iterable[str] = ()) -> tuple[str, ...]:
    """The meaningful words in the order of the question, at most twelve, each once.

    Args:
        question: Any text.
        without: Names that do not count as meaning, such as the candidates' own.
    """
    ignored = {word for name in without for word in (name, *_WORD.findall(name))}
    words = (singular(word) for word in _WORD.findall(question.lower()) if word not in _SMALL)
    kept = (word for word in words if len(word) >= _MIN_CHARACTERS and word not in ignored)
    return tuple(dict.fromkeys(kept))[:_MAX_WORDS]


def singular(word: str) -> str:
    return word[:-1] if len(word) > _MIN_PART_CHARACTERS and word[-1] == "s" != word[-2] else word


def words_of(text: str) -> frozenset[str]:
    return frozenset(singular(word) for word in _WORD.findall(text.lower()))


def found(word: str, words: frozenset[str]) -> bool:
    """Whether `word` is among `words`, or (when it is long enough) a part of one of them."""
    if word in words:
        return True
    return len(word) >= _MIN_PART_CHARACTERS and any(word in other for other in words)
