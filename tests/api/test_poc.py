"""The workflow `poc` over HTTP, on a repository with a failing test and a slower function."""

from pathlib import Path

import pytest

from actors.agents.command.agent import CommandAgent
from actors.agents.command.workflow import command
from actors.agents.poc.agent import PocAgent
from actors.agents.poc.workflow import poc
from tests.api.built_in import artifact, built_in, output
from tests.api.problems import refused
from tests.api.site import WORKFLOWS
from tests.support.hostile import git
from tests.support.planted import planted
from tests.support.processes import written

MENDED = """\
diff --git a/orchard/prices.py b/orchard/prices.py
--- a/orchard/prices.py
+++ b/orchard/prices.py
@@ -10,5 +10,5 @@

 def discount(apples: int) -> int:
     \"\"\"Say what is taken off: one for every ten apples.\"\"\"
-    return apples // 10 - 1
+    return apples // 10

"""


PLAIN = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> str:
    """What keeps pytest from loading the plug-ins of our own tests."""
    monkeypatch.setenv(PLAIN, "1")
    return PLAIN


async def test_a_change_becomes_a_branch_that_was_built_tested_and_measured(
    tmp_path: Path, plain: str
) -> None:
    found = planted(tmp_path)
    before = git(found.repo, "status", "--porcelain", "--untracked-files=no")
    async with built_in(
        found.repo, workflows=[poc], agents=[PocAgent], agent_environment=[plain]
    ) as site:
        variables = {
            "title": "Mend the discount",
            "patch": MENDED,
            "install": False,
            "benches": [{"script": "bench.py"}],
            "baseline": found.base,
            "rounds": 3,
        }
        workflow_id = (await site.start("poc", variables=variables)).json()["id"]
        await site.running.ended(workflow_id, deadline_s=120)
        result = await output(site, workflow_id)
        report = (await artifact(site, workflow_id, "report.md")).decode()
        patch = await artifact(site, workflow_id, "changes.patch")
        wheel = await artifact(site, workflow_id, "dist/orchard-0.1.0-py3-none-any.whl")
    assert result["verdict"] == "fail", result  # for it is slower than the baseline, whatever else
    assert (result["files"], result["kept"]) == (["orchard/prices.py"], "")
    assert result["branch"] == f"beadflow/{workflow_id}"
    assert git(found.repo, "rev-parse", result["branch"]).strip() == result["commit"]
    assert b"+    return apples // 10\n" in patch
    assert wheel[:2] == b"PK"
    assert "| Tests | 5 passed. |" in report
    assert {(one["tool"], one["rule"]) for one in result["findings"]} == {
        ("benchmark", "regression")
    }
    assert result["markdown"] == report
    assert "times as long as before" in report
    assert git(found.repo, "worktree", "list").count("\n") == 1
    assert git(found.repo, "status", "--porcelain", "--untracked-files=no") == before


async def test_what_a_command_changes_in_the_work_tree_is_committed_and_tested(
    tmp_path: Path, plain: str
) -> None:
    found = planted(tmp_path, failing_test=False)
    script = "echo '# Apples' > docs/apples.md; echo done"
    variables = {
        "title": "Write about apples",
        "command": ["sh", "-c", script],
        "install": False,
        "build": False,
        "benchmark": False,
    }
    async with built_in(
        found.repo,
        workflows=[poc, command],
        agents=[PocAgent, CommandAgent],
        agent_commands=["sh"],
        agent_environment=[plain],
    ) as site:
        workflow_id = (await site.start("poc", variables=variables)).json()["id"]
        await site.running.ended(workflow_id, deadline_s=120)
        result = await output(site, workflow_id)
    assert (result["verdict"], result["files"]) == ("pass", ["docs/apples.md"])
    assert git(found.repo, "log", "--format=%s", f"main..{result['branch']}").splitlines() == [
        "Write about apples"
    ]


async def test_work_that_a_command_did_not_finish_needs_a_human(repo: Path) -> None:
    steps = {"build": False, "test": False, "benchmark": False}
    async with built_in(
        repo,
        workflows=[poc, command],
        agents=[PocAgent, CommandAgent],
        agent_commands=["sh"],
    ) as site:
        variables = {"command": ["sh", "-c", "exit 3"], **steps}
        workflow_id = await site.done("poc", variables=variables)
        result = await output(site, workflow_id)
        report = (await artifact(site, workflow_id, "report.md")).decode()
    assert result["verdict"] == "needs_human"
    assert "Not finished: " in report


async def test_a_command_that_the_operator_does_not_allow_ends_the_workflow(repo: Path) -> None:
    async with built_in(repo, workflows=[poc, command], agents=[PocAgent, CommandAgent]) as site:
        workflow_id = await site.done("poc", variables={"command": ["sh", "-c", "true"]})
        found = (await site.call("GET", f"/api/v1/workflows/{workflow_id}")).json()
    assert found["status"] == "failed"


async def test_a_workflow_that_is_cancelled_in_its_tests_leaves_nothing_behind(repo: Path) -> None:
    mark = repo.parent / "mark"
    script = f"echo $$ > {mark}; exec sleep 600"
    steps = {"build": False, "benchmark": False}
    variables = {"test_command": ["sh", "-c", script], **steps}
    async with built_in(repo, workflows=[poc], agents=[PocAgent], agent_commands=["sh"]) as site:
        workflow_id = (await site.start("poc", variables=variables)).json()["id"]
        pid = (await written(mark)).strip()
        await site.call("DELETE", f"{WORKFLOWS}/{workflow_id}")
        (ended,) = await site.running.ended(workflow_id)
    assert ended.status == "cancelled"
    assert not Path(f"/proc/{pid}").exists()
    assert git(repo, "worktree", "list").count("\n") == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"no_such": 1},
        {"command": ["a"], "preset": "b"},
        {"benches": [{"script": "a.py", "function": "a:b"}]},
        {"benches": [{"function": "import os"}]},
        {"rounds": 0},
        {"ref": "x" * 300},
    ],
)
async def test_odd_variables_are_refused_at_the_door(
    repo: Path, variables: dict[str, object]
) -> None:
    async with built_in(repo, workflows=[poc], agents=[PocAgent]) as site:
        refused(await site.start("poc", variables=variables), 422, "validation_error")


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"ref": "--upload-pack=x"}, "bad_ref"),
        ({"ref": "no/such"}, "unknown_ref"),
        ({"branch": "main"}, "branch_in_use"),
        ({"patch": "no patch"}, "bad_patch"),
        ({"files": {"../x": ""}}, "bad_path"),
        ({"template": {"name": "no-such"}}, "unknown_template"),
        ({"test_command": ["rm", "-rf", "/"], "build": False}, "validation_error"),
    ],
)
async def test_what_cannot_be_done_fails_with_a_code(
    repo: Path, variables: dict[str, object], code: str
) -> None:
    async with built_in(repo, workflows=[poc], agents=[PocAgent]) as site:
        workflow_id = await site.done("poc", variables=variables)
        found = (await site.call("GET", f"/api/v1/workflows/{workflow_id}")).json()
    assert (found["status"], found["error"]["code"]) == ("failed", code)
    assert git(repo, "worktree", "list").count("\n") == 1


@pytest.mark.parametrize("change", [{"patch": "garbage"}, {"files": {"a": "x", "../b": "y"}}])
async def test_a_change_that_is_refused_leaves_neither_work_tree_nor_branch(
    repo: Path, change: dict[str, object]
) -> None:
    variables = {"files": {"a.txt": "x"}, "branch": "mine", **change}
    async with built_in(repo, workflows=[poc], agents=[PocAgent]) as site:
        workflow_id = await site.done("poc", variables=variables)
        found = (await site.call("GET", f"{WORKFLOWS}/{workflow_id}")).json()
        assert found["status"] == "failed"
        assert git(repo, "branch", "--list", "mine") == ""
        assert git(repo, "worktree", "list").count("\n") == 1
