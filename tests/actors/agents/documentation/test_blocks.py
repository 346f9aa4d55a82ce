import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.agents.documentation.blocks import Bench, Ran, check_syntax, run_blocks
from actors.agents.documentation.config import DocumentationConfig
from actors.agents.documentation.markdown import parse
from actors.agents.documentation.messages import Check, ReviewRequest
from actors.agents.documentation.review import review
from actors.agents.documentation.sources import sources
from actors.agents.kit.checkouts import Checkout
from actors.agents.protocol import Task
from tests.actors.agents.documentation.conftest import shown, tree_in
from tests.support.repos import git, repository

CODE: dict[str, str] = {"shop/__init__.py": '"""A shop."""\nPRICE = 3\n'}


def page(*blocks: str, language: str = "python") -> str:
    return "# Page\n\n" + "\n".join(f"```{language}\n{block}\n```\n" for block in blocks)


def readme(*blocks: str, language: str = "python") -> dict[str, str]:
    return {**CODE, "README.md": page(*blocks, language=language)}


Run = Callable[..., Awaitable[Ran]]


async def found_in(run: Run, files: dict[str, str], **more: Any) -> list[str]:
    return shown((await run(files, **more)).findings)


@pytest.fixture
def run(tmp_path: Path, task_in: Callable[..., Task]) -> Run:
    """Runs the blocks of files that lie in a directory of their own."""

    async def ran(files: dict[str, str], *, deadline_s: int = 30, **site: Any) -> Ran:
        tree = tree_in(tmp_path / "tree", files)
        found = sources(tree)
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        bench = Bench(
            task=task_in(tmp_path, **site),
            checkout=Checkout(tree.path, tree.commit, scratch, ()),
            scripts=found.scripts,
            own=frozenset(package.name for package in found.packages),
            files=frozenset(tree.paths),
            deadline_s=deadline_s,
        )
        return await run_blocks(bench, {p: parse(tree.text(p)) for p in found.documents})

    return ran


async def test_blocks_of_a_page_run_in_one_namespace_with_the_code_of_the_commit(
    run: Run,
) -> None:
    files = readme("from shop import PRICE", "assert PRICE == 3\nprint('much' * 1000)")
    found = await run(files)
    assert (shown(found.findings), found.blocks) == ([], 2)


async def test_a_block_that_fails_is_found_at_its_line_and_the_next_runs(run: Run) -> None:
    files = readme("a = 1\na / 0", "b = a + ", "import shop.nothing", "assert a == 1")
    assert await found_in(run, files) == [
        "README.md:5: `a / 0`: ZeroDivisionError: division by zero",
        "README.md:9: SyntaxError: invalid syntax",
        "README.md:13: there is no module shop.nothing",
    ]


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("a = 1\nassert a == 2", "`assert a == 2`: AssertionError"),
        ("assert (\n  1 ==\n  2)", "`assert ( 1 == 2)`: AssertionError"),
        ("with open('none') as file:\n    pass", "`with open('none') as file:`: FileNotFound"),
        ("if True:\n    1 / 0; a = 1", "`1 / 0; a = 1`: ZeroDivisionError"),
        (">>> nothing", "`nothing`: NameError: name 'nothing' is not defined"),
        (f"raise ValueError({'x' * 999!r})", "`raise ValueError('xxx"),
        ("-" * 99_999 + "1", ""),
    ],
)
async def test_a_failure_shows_the_statement_that_failed(run: Run, block: str, found: str) -> None:
    (said,) = await found_in(run, readme(block))
    assert said.partition(": ")[2].startswith(found)


async def test_a_failure_within_what_an_earlier_block_defines_shows_none(run: Run) -> None:
    files = readme("def check(a):\n    assert a == 1", "check(2)")
    assert await found_in(run, files) == ["README.md:5: AssertionError"]


async def test_sessions_are_held_to_what_they_show(run: Run) -> None:
    session = ">>> from shop import PRICE\n>>> PRICE\n3\n>>> PRICE + 1\n5\n>>> nothing"
    assert await found_in(run, readme(session)) == ["README.md:7: `PRICE + 1`: it prints '4'"]


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("while True: pass", "README.md:4: it did not end within 1 s"),
        ("import os; os._exit(3)", "README.md:4: it ended Python with status 3"),
        ("raise SystemExit(2)", "README.md:4: it exits with 2"),
        ("raise KeyboardInterrupt", "README.md:4: `raise KeyboardInterrupt`: KeyboardInterrupt"),
    ],
)
async def test_a_block_that_ends_python_or_does_not_end_is_found(
    run: Run, block: str, found: str
) -> None:
    assert await found_in(run, readme(block), deadline_s=1) == [found]


async def test_a_block_that_needs_what_is_not_installed_is_skipped(run: Run) -> None:
    found = await run(readme("import no_such_library.part"))
    assert shown(found.findings) == []
    (skipped,) = found.skipped.values()
    assert str(skipped) == (
        "blocks that import no_such_library skipped, because it is not installed:"
        " install no_such_library"
    )


@pytest.mark.parametrize(
    "text",
    [
        "```python no-run\n1 / 0\n```\n",
        "```python {notest}\n1 / 0\n```\n",
        "<!-- no-run -->\n\n```python\n1 / 0\n```\n",
        "```text\n1 / 0\n```\n",
    ],
)
async def test_what_is_marked_or_no_code_is_not_run(run: Run, text: str) -> None:
    assert await found_in(run, {"README.md": text}) == []


def test_code_that_is_not_run_is_still_read(tmp_path: Path) -> None:
    text = page("1 / 0", "a +", ">>> a +\n", "\0") + page("a +", language="text")
    (finding, _) = check_syntax({"README.md": parse(text)})
    assert shown([finding]) == ["README.md:8: SyntaxError: invalid syntax"]


async def test_blocks_reach_neither_the_repository_nor_its_files(
    task_in: Callable[..., Task], tmp_path: Path
) -> None:
    block = (
        "import subprocess, pathlib\n"
        "pathlib.Path('README.md').write_text('changed')\n"
        "subprocess.run(['git', 'branch', '-D', 'other'])\n"
        "subprocess.run(['git', 'update-ref', '-d', 'HEAD'])\n"
    )
    repo = repository(tmp_path / "repo", readme(block))
    git(repo, "branch", "other")
    before = git(repo, "for-each-ref")
    found = await review(task_in(repo), ReviewRequest(checks=(Check.CODE,)), DocumentationConfig())
    assert (found.findings, found.metrics["blocks_run"]) == ((), 1)
    assert git(repo, "for-each-ref") == before
    assert git(repo, "status", "--porcelain") == ""


async def test_secrets_of_the_server_are_not_in_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    block = "import os\nassert 'A_SECRET' not in os.environ\nassert os.environ['HOME'] != '/root'"
    assert await found_in(run, readme(block), environment=("A_SECRET",)) == []


async def test_console_lines_of_the_projects_own_code_run(run: Run) -> None:
    lines = (
        "$ python -c 'import shop; print(shop.PRICE)'\n3\n$ python -m shop.nothing\n$ python x.py"
    )
    files = readme(lines, language="console") | {"x.py": "raise SystemExit('no')"}
    first, second = await found_in(run, files)
    assert first.startswith("README.md:6: `python -m shop.nothing`: python exited with 1")
    assert second == "README.md:7: `python x.py`: python exited with 1: no"


async def test_other_programs_run_only_when_the_operator_names_them(run: Run) -> None:
    lines = "$ false\n$ python -m pip install shop\n$ false again"
    files = readme(lines, language="console")
    found = await run(files)
    assert shown(found.findings) == []
    assert [str(skipped)[:40] for skipped in found.skipped.values()] == [
        "commands like `false` skipped, because '",
        "commands like `python -m pip install sho",
    ]
    allowed = await found_in(run, files, commands=("false",))
    assert [line[:27] for line in allowed] == [
        "README.md:4: `false`: false",
        "README.md:6: `false again`:",
    ]


async def test_nothing_is_given_to_a_shell(run: Run, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    lines = f"$ true; touch {canary}\n$ true $(touch {canary})\n$ true > {canary}\n$ true '*'"
    files = readme(lines, language="console")
    found = await run(files, commands=("true",))
    assert (shown(found.findings), found.commands) == ([], 1)
    assert not canary.exists()
    assert "only a shell could run them" in str(next(iter(found.skipped.values())))


async def test_a_command_of_the_project_runs_its_code_when_it_is_named(run: Run) -> None:
    code = "import sys\ndef main():\n    return 'bad ' + sys.argv[1]\n"
    project = '[project]\nname = "shop"\nscripts = {shop = "shop.cli:main"}\n'
    files = readme("$ shop apples", language="console")
    files |= {"shop/cli.py": code, "pyproject.toml": project}
    assert await found_in(run, files, commands=("shop",)) == [
        "README.md:4: `shop apples`: python exited with 1: bad apples"
    ]


async def test_a_review_that_is_cancelled_leaves_neither_code_running_nor_files(
    task_in: Callable[..., Task], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    block = (
        "import os, time\n"
        "if not os.fork(): os.setsid()\n"  # out of its group, within reach of the guard
        "else: time.sleep(60)\n"
        f"with open({str(pipe)!r}, 'w') as pipe: print(os.getpid(), file=pipe)\n"
        "while True: time.sleep(60)"
    )
    repo = repository(tmp_path / "repo", readme(block))
    task = task_in(repo)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(review, task, ReviewRequest(), DocumentationConfig())
        process = int(await trio.to_thread.run_sync(pipe.read_text))
        os.kill(process, 0)
        nursery.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert git(repo, "worktree", "list").count("\n") == 0
    assert not list((task.site.workspace / "scratch").iterdir())


async def test_a_block_that_writes_too_much_is_found(run: Run) -> None:
    block = "with open('a', 'wb') as file:\n    file.truncate(1 << 40)"
    (found,) = await found_in(run, readme(block))
    assert found == "README.md:5: `file.truncate(1 << 40)`: OSError: [Errno 27] File too large"
