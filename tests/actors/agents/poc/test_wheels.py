import zipfile
from pathlib import Path

import pytest

from actors.agents.poc.wheels import check_wheel

WHOLE = "Name: a\nVersion: 1\nSummary: Apples\nRequires-Python: >=3.11\nLicense-Expression: MIT\n"
METADATA = "a-1.dist-info/METADATA"


def rules(path: Path, files: dict[str, str | bytes]) -> list[str]:
    wheel = path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return [finding.rule for finding in check_wheel(wheel)]


def test_a_whole_wheel_has_nothing_wrong_with_it(tmp_path: Path) -> None:
    assert rules(tmp_path, {"a/__init__.py": "x = 1\n", METADATA: WHOLE}) == []


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({METADATA: WHOLE}, ["empty-wheel"]),
        ({"a.py": "x = 1\n"}, ["broken-wheel"]),
        ({"a.py": "def\n", METADATA: WHOLE}, ["no-python"]),
        ({"a.py": b"\0", METADATA: WHOLE}, ["no-python"]),
        ({"a.py": 'x = "\\d"\n', METADATA: WHOLE}, []),
        ({"a.so": b"", METADATA: WHOLE}, []),
        ({"a.py": "", "tests/b.py": "", METADATA: WHOLE}, ["stray-package"]),
        ({"a.py": "", METADATA: "Name: a\n"}, ["thin-metadata"] * 3),
        ({"a.py": "", METADATA: WHOLE, f"b{METADATA}": WHOLE}, []),
        ({"a.py": "", METADATA: b"\xff\0"}, ["thin-metadata"] * 3),
    ],
)
def test_what_is_wrong_with_a_wheel_is_found(
    tmp_path: Path, files: dict[str, str | bytes], found: list[str]
) -> None:
    assert rules(tmp_path, files) == found


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + b"\0" * 18, b"x" * 1_000])
def test_a_file_that_is_no_wheel_is_a_finding(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a-1-py3-none-any.whl"
    file.write_bytes(content)
    assert "broken-wheel" in {finding.rule for finding in check_wheel(file)}


def test_a_damaged_wheel_is_a_finding(tmp_path: Path) -> None:
    assert rules(tmp_path, {"a.py": "x = 1\n" * 1_000, METADATA: WHOLE}) == []
    file = tmp_path / "a-1-py3-none-any.whl"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"x = 1", b"x = 2", 1))
    assert "broken-wheel" in {finding.rule for finding in check_wheel(file)}
