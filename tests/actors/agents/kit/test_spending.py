from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from actors.agents.kit import spending
from actors.agents.kit.spending import Entry, Spending
from actors.agents.kit.usage import Usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY_S = 86_400.0


def entry(key: str, days_ago: float = 0.0, tokens: int = 10) -> Entry:
    return Entry(at=NOW - timedelta(days=days_ago), key=key, usage=Usage(input_tokens=tokens))


def test_turns_add_up_and_none_counts_twice(tmp_path: Path) -> None:
    account = Spending(tmp_path, "command-1")
    assert account.total(NOW, 0.0) == Usage()
    for one in (entry("a"), entry("b"), entry("a", tokens=15)):
        account.add(one, 0.0)
    assert account.total(NOW, 0.0).tokens == 25
    assert Spending(tmp_path, "command-2").total(NOW, 0.0) == Usage()


def test_only_what_was_spent_within_the_window_counts(tmp_path: Path) -> None:
    account = Spending(tmp_path, "command-1")
    account.add(entry("a", days_ago=1.5), DAY_S)
    account.add(entry("b", days_ago=0.5), DAY_S)
    assert account.total(NOW, DAY_S).tokens == 10
    assert account.total(NOW, 0.0).tokens == 20


def test_a_line_that_a_crash_has_cut_off_is_passed_over(tmp_path: Path) -> None:
    account = Spending(tmp_path, "command-1")
    account.add(entry("a"), 0.0)
    (file,) = tmp_path.iterdir()
    with file.open("a") as torn:
        torn.write('{"at": "2026-')
    account.add(entry("b"), 0.0)
    assert account.total(NOW, 0.0).tokens == 20


@pytest.mark.parametrize(("window_s", "total"), [(0.0, 30), (DAY_S, 20)])
def test_an_account_that_grew_long_is_made_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_s: float, total: int
) -> None:
    monkeypatch.setattr(spending, "_COMPACT_BYTES", 200)
    account = Spending(tmp_path, "command-1")
    for one in (entry("a", days_ago=2), entry("b"), entry("c")):
        account.add(one, window_s)
    (file,) = tmp_path.iterdir()
    assert len(file.read_text().split()) == 2
    assert account.total(NOW, 0.0).tokens == total
