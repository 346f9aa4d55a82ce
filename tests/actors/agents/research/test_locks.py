import pytest

from actors.agents.research.locks import is_lock, read_lock

POETRY = '[[package]]\nname = "A_b"\nversion = "1"\n[package.dependencies]\nBeta = ">=1"\n'
PDM = '[[package]]\nname = "a-b"\nversion = "1"\ndependencies = ["beta>=1", "?"]\n'
PYLOCK = (
    '[[packages]]\nname = "a-b"\nversion = "1"\ndependencies = [{ name = "beta" }]\n'
    '[[packages]]\nname = "local"\n'
)
PINNED = "a.b[x]==1 ; python_version > '3' \\\n    --hash=sha256:00\nbeta>=2\ngamma==1.*\n# c==1\n"


@pytest.mark.parametrize(
    ("path", "text", "requires"),
    [
        ("poetry.lock", POETRY, ("beta",)),
        ("sub/pdm.lock", PDM, ("beta",)),
        ("pylock.toml", PYLOCK, ("beta",)),
        ("requirements-dev.txt", PINNED, None),
    ],
)
def test_each_kind_of_lock_file_is_read(
    path: str, text: str, requires: tuple[str, ...] | None
) -> None:
    assert is_lock(path)
    (found,) = read_lock(path, text.encode())
    assert (found.name, found.version, found.requires) == ("a-b", "1", requires)


@pytest.mark.parametrize("text", ["[[package", "package = 3", "[[package]]\nname = 1\n", "\xff"])
def test_a_lock_file_that_cannot_be_read_locks_nothing(text: str) -> None:
    assert read_lock("uv.lock", text.encode("latin-1")) == []


def test_other_files_are_no_lock_files() -> None:
    assert not is_lock("package-lock.json")
    assert not is_lock("requirements.py")
