"""The reads of whoever keeps the issues in memory: all of them once, then what changed; and words.

Functions take a connection and change nothing.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Final

_SPECIAL = re.compile(r"([\\%_])")
_ESCAPED = re.compile(r'["\\&<>\x00-\x1f]')
"""What a line may spell in another way than the text does; a pattern's own escapes are among it."""

SEARCH: Final = r"""
SELECT id FROM issues WHERE NOT EXISTS (
    SELECT 1 FROM json_each(:words) AS word WHERE NOT EXISTS (
        SELECT 1 FROM json_each(word.value) AS spelling
        WHERE (line LIKE spelling.value ->> '$.line' ESCAPE '\') AND (
            issues.id LIKE spelling.value ->> '$.text' ESCAPE '\'
            OR title LIKE spelling.value ->> '$.text' ESCAPE '\'
            OR line ->> '$.description' LIKE spelling.value ->> '$.text' ESCAPE '\'
            OR line ->> '$.notes' LIKE spelling.value ->> '$.text' ESCAPE '\'
            OR EXISTS (
                SELECT 1 FROM json_each(line, '$.comments') AS comment
                WHERE comment.value ->> '$.text' LIKE spelling.value ->> '$.text' ESCAPE '\'))))
"""
"""Ids of the issues that hold every word; takes `search_words`. Reads every line: for the pool.

Few lines hold a word anywhere, and only these are looked into: that is many times faster.
"""


def search_words(text: str) -> str:
    """Return the argument of `SEARCH` for the words of a text.

    LIKE knows the case of ASCII letters only, so a word with others is looked for as it is, in
    small letters, in capitals, and with one capital.
    """
    return json.dumps([_patterns(word) for word in text.split()])


def _patterns(word: str) -> list[dict[str, str]]:
    """Return for each spelling the pattern of a text, and that of the line it stands in."""
    forms = (word, word.lower(), word.upper(), word.capitalize()) if not word.isascii() else (word,)
    patterns = ["%" + _SPECIAL.sub(r"\\\1", form) + "%" for form in dict.fromkeys(forms)]
    return [{"text": form, "line": "%" if _ESCAPED.search(form) else form} for form in patterns]


def stored_lines(conn: sqlite3.Connection, many: int) -> Iterator[list[str]]:
    """Yield every stored line, at most `many` at a time, in no order."""
    found = conn.execute("SELECT line FROM issues")
    while lines := found.fetchmany(many):
        yield [line for (line,) in lines]


def changed(conn: sqlite3.Connection, after: int, limit: int) -> list[tuple[int, str]]:
    """Return sequence number and issue of the changes above `after`, in commit order."""
    sql = "SELECT seq, issue_id FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"
    return [(seq, issue_id) for seq, issue_id in conn.execute(sql, (after, limit))]
