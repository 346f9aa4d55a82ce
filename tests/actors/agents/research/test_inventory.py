from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.agents.research.churn import count
from actors.agents.research.entries import entry_points
from actors.agents.research.inventory import take_inventory
from actors.agents.research.inventory_messages import Inventory, InventoryRequest
from actors.agents.research.reminders import reminders
from tests.actors.agents.research.conftest import git

NOW = datetime(2026, 6, 2, tzinfo=UTC)


async def taken(root: Path, *, days: int = 365) -> Inventory:
    return await take_inventory(
        InventoryRequest(days=days),
        root=root,
        progress=lambda message, fraction: None,
        now=lambda: NOW,
    )


async def test_what_there_is_is_counted(project: Path) -> None:
    found = await taken(project)
    assert {language.name: language.lines for language in found.languages}["Python"] == 5
    assert found.manifests == ("pyproject.toml",)
    assert found.practices.test_files == 1
    assert (found.metrics["files"], found.metrics["commits"]) == (6, 1)
    assert found.skipped == ()
    assert "Python (3 files, 5 lines)" in found.evidence[0].statement


async def test_a_file_that_changes_often_and_is_long_comes_first(project: Path) -> None:
    (project / "src" / "app" / "long.py").write_text("x = 1\n" * 50)
    for number in range(2):
        (project / "src" / "app" / "store.py").write_text(f"import alpha\nx = {number}\n")
        git(project, "add", ".")
        git(project, "commit", "-q", "-m", "Change")
    hot = (await taken(project)).hotspots
    assert [(h.path, h.commits, h.lines) for h in hot[:2]] == [
        ("src/app/long.py", 1, 50),
        ("src/app/store.py", 3, 2),
    ]
    assert "README.md" not in {h.path for h in hot}


def test_changes_before_the_days_asked_for_do_not_count() -> None:
    text = "\x01100\0\n1\t0\told.py\0\0\x01200\0\n2\t1\tnew.py\0-\t-\todd\tname.png\0"
    churn = count(text, 150, 200)
    assert (churn.total, dict(churn.commits)) == (1, {"new.py": 1, "odd\tname.png": 1})
    assert (churn.added["new.py"], churn.deleted["new.py"]) == (2, 1)
    assert churn.added["odd\tname.png"] == 0


async def test_without_a_history_that_part_is_skipped_and_said(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("# TODO: more\n")
    found = await taken(tmp_path)
    assert [skipped.what for skipped in found.skipped] == ["files that change often"]
    assert [note.text for note in found.reminders] == ["more"]


async def test_a_scan_that_has_no_time_says_what_it_did_not_read(project: Path) -> None:
    found = await take_inventory(
        InventoryRequest(), root=project, progress=lambda message, fraction: None, scan_s=0.0
    )
    assert "6 files skipped" in str(found.skipped[0])


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "pyproject.toml",
            """\
[project]
name = "x"
[project.scripts]
x = "x.main:run"
[project.entry-points."y.plugins"]
z = "x:Z"
""",
            [("command", "x", "x.main:run", 4), ("plug-in", "y.plugins: z", "x:Z", 6)],
        ),
        (
            "setup.cfg",
            "[options.entry_points]\nconsole_scripts =\n  x = x.main:run\ny.plugins =\n  z = x:Z\n",
            [("command", "x", "x.main:run", 3), ("plug-in", "y.plugins: z", "x:Z", 5)],
        ),
        ("package.json", '{"name": "x", "bin": "x.js"}', [("npm command", "x", "x.js", None)]),
        ("package.json", '{"bin":\n{"x": "x.js"}}', [("npm command", "x", "x.js", None)]),
        (
            "Cargo.toml",
            '[[bin]]\nname = "x"\npath = "a.rs"\n',
            [("cargo binary", "x", "a.rs", 2)],
        ),
        (
            "src/a/b/__main__.py",
            "",
            [("module", "python -m a.b", "src/a/b/__main__.py", None)],
        ),
        ("__main__.py", "", []),
        ("cmd/main.go", "// c\npackage main\n", [("go program", "cmd", "cmd/main.go", 2)]),
        ("pyproject.toml", "[project", []),
        ("pyproject.toml", "project = 3", []),
        ("package.json", "[1]", []),
    ],
)
def test_programs_begin_where_manifests_and_names_say(
    path: str, text: str, expected: list[tuple[str, str, str, int | None]]
) -> None:
    found = entry_points(path, text.encode())
    assert [(e.kind, e.name, e.target, e.place.line) for e in found] == expected


def test_only_comments_that_begin_with_the_word_are_reminders() -> None:
    data = (
        b"# TODO: first\nx = 'TODO: no'\n// FIXME(ann) second\n<!-- XXX third -->\n"
        b"# see the TODO list\n/* HACK: fourth */\n#" + b" " * 600 + b"TODO far\n"
    )
    assert [(note.word, note.text, note.place.line) for note in reminders("a.c", data)] == [
        ("TODO", "first", 1),
        ("FIXME", "ann) second", 3),
        ("XXX", "third", 4),
        ("HACK", "fourth", 6),
    ]


def test_in_python_a_text_that_looks_like_a_comment_is_none() -> None:
    data = b'x = "# TODO: no"\ny = 1  # TODO: yes\n'
    assert [(note.text, note.place.line) for note in reminders("a.py", data)] == [("yes", 2)]
    assert len(reminders("a.py", b"(\n# TODO: broken\n")) == 1
