from collections.abc import Callable
from pathlib import Path

import pytest

from actors.agents.documentation.changes import api_changes
from actors.agents.documentation.messages import ApiChanges, ApiChangesRequest
from actors.agents.protocol import Task
from actors.workflows.definition import ActivityFailure
from tests.support.planted import Planted
from tests.support.repos import commit, git, repository

Compared = Callable[[str, str], ApiChanges]

OLD = '''"""A."""
LIMIT = 3

class Shop:
    """A shop."""

    def sell(self, what: str, price: int = 1) -> int:
        """Sell it."""

    def close(self) -> None:
        """Close it."""

def count(first: int) -> int:
    """Count."""
'''
NEW = '''"""A."""
LIMIT = 4

class Shop:
    """A shop."""

    def sell(self, what: str) -> int:
        """Sell it."""

    def open(self) -> None:
        """Open it."""

class Market:
    """A market.

    It is large.
    """

    def begin(self) -> None:
        """Begin."""

def count(first: int, second: int) -> int:
    """Count."""
'''


async def test_exactly_what_head_added_is_new(task: Task, orchard: Planted) -> None:
    found = await api_changes(task, ApiChangesRequest(base=orchard.base))
    assert (found.base, found.commit) == (orchard.base, orchard.head)
    assert [change.path for change in found.added] == ["orchard.prices.wholesale"]
    assert (found.breaking, found.findings) == ((), ())
    assert found.changelog == (
        "### Added\n\n"
        "- `orchard.prices.wholesale(apples: int) -> int`: Say what apples cost a trader."
    )


async def test_what_callers_would_notice_is_breaking(
    task_in: Callable[[Path], Task], tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", {"a/__init__.py": OLD, "gone/__init__.py": '"""G."""\n'})
    (repo / "gone" / "__init__.py").unlink()
    commit(repo, {"a/__init__.py": NEW})
    found = await api_changes(task_in(repo), ApiChangesRequest(base="HEAD~1"))
    assert sorted(change.what.replace("`", "") for change in found.breaking) == [
        "Shop.close: Public object was removed",
        "Shop.sell(price): Parameter was removed",
        "count(second): Parameter was added as required",
        "gone: Package was removed",
    ]
    assert [change.path for change in found.added] == ["a.Shop.open", "a.Market"]
    assert {str(finding.place) for finding in found.findings} == {
        "None",
        "a/__init__.py:7",
        "a/__init__.py:22",
    }
    assert "- `a.Market`: A market.\n" in found.changelog
    assert "- **Breaking**, in `a`: `count(second)`: Parameter was added" in found.changelog
    assert "### Removed\n\n- `a.Shop.close`.\n- `gone`." in found.changelog


async def test_one_and_the_same_commit_has_no_changes(task: Task) -> None:
    found = await api_changes(task, ApiChangesRequest(base="HEAD"))
    assert (found.added, found.changelog) == ((), "")


@pytest.mark.parametrize(("base", "code"), [("nothing", "unknown_ref"), ("--all", "bad_ref")])
async def test_a_base_that_is_no_commit_is_refused(task: Task, base: str, code: str) -> None:
    with pytest.raises(ActivityFailure) as caught:
        await api_changes(task, ApiChangesRequest(base=base))
    assert caught.value.code == code


async def test_without_griffe_it_says_what_to_install(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "griffe", None)
    (skipped,) = (await api_changes(task, ApiChangesRequest(base="HEAD~1"))).skipped
    assert skipped.install == "install beadflow[documentation]"


async def test_code_that_cannot_be_read_is_said(
    task_in: Callable[[Path], Task], tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", {"a/__init__.py": OLD})
    git(repo, "tag", "old")
    commit(repo, {"a/__init__.py": "def (:\n"})
    found = await api_changes(task_in(repo), ApiChangesRequest(base="old"))
    assert found.skipped or found.breaking
