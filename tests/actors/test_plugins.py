"""Where workflows and agents come from, and what is said of one that cannot be used."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from actors import plugins
from actors.plugins import AGENTS, WORKFLOWS, ForbiddenCallsError, PluginError, load
from beadflow import Agent, Context, workflow

FLOW = """
from beadflow import Context, workflow

@workflow
async def {name}(ctx: Context) -> None:
    {body}
"""
AGENT = """
from beadflow import Agent, Task, activity

class {name}(Agent):
    agent_type = "{kind}"

    @activity
    async def dig(self, task: Task) -> None: ...
"""


def flow(name: str = "dig", body: str = "return None") -> str:
    return FLOW.format(name=name, body=body)


def agent(name: str = "Digger", kind: str = "digger") -> str:
    return AGENT.format(name=name, kind=kind)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def _no_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda group: [])


def names(loaded: plugins.Plugins) -> list[str]:
    return [definition.name for definition in loaded.definitions.latest()]


def test_nothing_configured_is_nothing_to_run() -> None:
    loaded = load()
    assert (names(loaded), loaded.agents) == ([], ())


def test_a_file_gives_its_workflows_and_its_agents(tmp_path: Path) -> None:
    loaded = load([write(tmp_path / "flows.py", flow() + agent())])
    assert names(loaded) == ["dig"]
    (spec,) = loaded.agents
    assert (spec.agent_id, spec.agent_class.capabilities()) == ("digger-1", ("dig",))


def test_what_a_file_only_imports_is_not_its_own(tmp_path: Path) -> None:
    text = "from beadflow import Agent, workflow\nfrom beadflow import *\n"
    loaded = load([write(tmp_path / "flows.py", text)])
    assert (names(loaded), loaded.agents) == ([], ())


def test_what_workflows_must_not_do_is_only_reported(tmp_path: Path) -> None:
    loaded = load([write(tmp_path / "flows.py", flow(body="print(open('x'))"))])
    rules = [one.rule for known in loaded.definitions.every() for one in known.report.findings]
    assert sorted(rules) == ["console", "file"]


def test_strict_about_workflows_all_that_was_found_refuses_them(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "a.py", flow("one", "print('x')")),
        write(tmp_path / "b.py", flow("two", "return id(ctx)")),
        write(tmp_path / "c.py", flow("three")),
    ]
    with pytest.raises(ForbiddenCallsError, match="2 findings") as refused:
        load(files, strict_workflows=True)
    assert isinstance(refused.value, PluginError)
    assert [(one.file, one.what) for one in refused.value.findings] == [
        (str(files[0]), "print"),
        (str(files[1]), "id"),
    ]


def test_strict_about_workflows_those_without_a_finding_are_taken(tmp_path: Path) -> None:
    body = "print('x')  # beadflow: allow console"
    assert names(load([write(tmp_path / "flows.py", flow(body=body))], strict_workflows=True))


def test_two_files_of_one_name_do_not_clash(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "a" / "flows.py", flow("one")),
        write(tmp_path / "b" / "flows.py", flow("two")),
    ]
    assert names(load(files)) == ["one", "two"]


def test_a_file_named_twice_is_imported_once(tmp_path: Path) -> None:
    path = write(tmp_path / "flows.py", flow() + agent())
    assert names(load([path, tmp_path / "." / "flows.py"])) == ["dig"]


def test_agents_come_in_the_order_of_their_types(tmp_path: Path) -> None:
    text = agent("Zed", "zed") + agent("Ada", "ada")
    loaded = load([write(tmp_path / "agents.py", text)])
    assert [spec.agent_id for spec in loaded.agents] == ["ada-1", "zed-1"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("import sys; sys.exit(3)", "SystemExit"),
        (flow() + "\n@workflow\ndef plain(ctx): ...\n", "not an async function"),
        ("from beadflow import Agent\nclass Nameless(Agent): ...", "no agent_type"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_its_reason(
    tmp_path: Path, text: str, why: str
) -> None:
    path = write(tmp_path / "flows.py", text)
    with pytest.raises(PluginError, match=why) as refused:
        load([path])
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("name", ["missing.py", "notes.txt", "folder.py"])
def test_what_is_no_python_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "notes.txt").write_text("x = 1")
    with pytest.raises(PluginError, match=f"{name} is not a Python file"):
        load([tmp_path / name])


def test_two_workflows_of_one_name_and_version_are_refused(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "a.py", flow()),
        write(tmp_path / "b.py", flow(body="raise ValueError")),
    ]
    with pytest.raises(PluginError, match=r"b\.py: two workflows are called 'dig'"):
        load(files)


def test_two_agents_of_one_type_are_refused(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.py", agent("One")), write(tmp_path / "b.py", agent("Two"))]
    with pytest.raises(PluginError, match=r"b\.py: two agents have the type 'digger'"):
        load(files)


# --- entry points


@workflow
async def installed(ctx: Context) -> None: ...


class Installed(Agent):
    agent_type = "installed"


NOT_A_PLUGIN = 3


def point(group: str, target: str) -> EntryPoint:
    return EntryPoint(name="it", group=group, value=f"{__name__}:{target}")


def offer(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    def found(*, group: str) -> list[Any]:
        return [point for point in points if point.group == group]

    monkeypatch.setattr(plugins, "entry_points", found)


def test_installed_distributions_give_theirs_by_entry_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(monkeypatch, point(WORKFLOWS, "installed"), point(AGENTS, "Installed"))
    loaded = load()
    assert names(loaded) == ["installed"]
    assert [spec.agent_class for spec in loaded.agents] == [Installed]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("NOT_A_PLUGIN", "is not a workflow"),
        ("Path", "is no Agent"),
        ("missing", "AttributeError"),
    ],
)
def test_an_entry_point_that_is_no_plugin_is_named(
    monkeypatch: pytest.MonkeyPatch, target: str, why: str
) -> None:
    offer(monkeypatch, point(WORKFLOWS, target))
    with pytest.raises(PluginError, match=why) as refused:
        load()
    assert "entry point beadflow.workflows:it" in str(refused.value)


def test_an_entry_point_whose_module_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path / "failing_plugin.py", "1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    offer(monkeypatch, EntryPoint(name="it", group=AGENTS, value="failing_plugin:x"))
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        load()
