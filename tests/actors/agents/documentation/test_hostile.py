"""A repository that would run programs or lead out of its tree, before every activity."""

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.agents.documentation.changes import api_changes
from actors.agents.documentation.config import DocumentationConfig
from actors.agents.documentation.generate import generate
from actors.agents.documentation.measure import measure
from actors.agents.documentation.messages import (
    ApiChangesRequest,
    CoverageRequest,
    GenerateRequest,
    Repair,
    ReviewRequest,
    UpdateRequest,
)
from actors.agents.documentation.review import review
from actors.agents.documentation.update import update
from actors.agents.kit.outcome import Place
from actors.agents.protocol import Task
from tests.actors.agents.documentation.conftest import Shelf
from tests.support.hostile import Hostile, git, hostile

PAGE = """\
# Page

[out](out/secret.txt) [secret](secret) [up](../../outside/secret.txt)

```python
print(1)
```
"""


@pytest.fixture(scope="module")
def enemy(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    made = hostile(tmp_path_factory.mktemp("hostile"))
    files = {"shop/__init__.py": '"""A shop."""\n', "README.md": PAGE}
    for name, text in files.items():
        (made.repo / name).parent.mkdir(exist_ok=True)
        (made.repo / name).write_text(text)
    (made.repo / "shop" / "inner").symlink_to(made.secret.parent)
    (made.secret.parent / "__init__.py").write_text('SECRET = "secret"\n')
    (made.repo / "shop.pth").write_text(str(made.secret.parent))
    (made.repo / ".codespellrc").write_text("[codespell]\nwrite-changes =\ninteractive = 3\n")
    hardly = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=", "-c", "commit.gpgSign=0")
    git(made.repo, *hardly, "add", *files, "shop", "shop.pth", ".codespellrc")
    git(made.repo, *hardly, "commit", "--quiet", "-m", "third")
    made.silence()
    return made


async def test_no_activity_has_git_run_a_program_or_leaves_the_tree(
    enemy: Hostile, task_in: Callable[[Path], Task], shelf: Shelf
) -> None:
    task = task_in(enemy.repo)
    mend = Repair(rule="x", place=Place(path="secret", line=1), old="secret", new="told")
    answers = (
        await generate(task, GenerateRequest()),
        await measure(task, CoverageRequest()),
        await review(task, ReviewRequest(), DocumentationConfig()),
        await api_changes(task, ApiChangesRequest(base="HEAD~1")),
        await update(task, UpdateRequest(repairs=(mend,))),
    )
    assert enemy.sung() == set()
    assert enemy.secret.read_text() == "secret\n"
    assert "SECRET" not in "".join(answer.model_dump_json() for answer in answers)
    assert not [name for name, data in shelf.items() if b"SECRET" in data]
