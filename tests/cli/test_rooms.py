import subprocess
import sys
from pathlib import Path

import pytest

from cli import rooms
from cli.main import main


def test_our_own_packages_are_no_strangers() -> None:
    assert rooms.strangers() == []


def test_a_package_of_another_project_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "__init__.py").touch()
    root = Path(rooms.__file__).parent.parent
    code = (
        f"import sys; sys.path[:0] = [{str(root)!r}]; import cli.rooms;"
        f" sys.path[:0] = [{str(tmp_path)!r}]; print(cli.rooms.strangers())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert ran.stdout.strip() == f"['storage ({tmp_path}/storage)']"


def test_strangers_end_the_command_before_anything_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rooms, "strangers", lambda: ["api (/elsewhere/api)"])
    assert main(["workflow", "list"]) == 1
    assert "api (/elsewhere/api)" in capsys.readouterr().err
