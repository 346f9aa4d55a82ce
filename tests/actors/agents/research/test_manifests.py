import pytest

from actors.agents.research.facts import Manifest
from actors.agents.research.manifests import read_manifest


def read(path: str, text: str) -> Manifest:
    manifest = read_manifest(path, text.encode())
    assert manifest is not None
    return manifest


def scopes(manifest: Manifest) -> dict[str, str]:
    return {dependency.name: dependency.scope for dependency in manifest.dependencies}


def test_pyproject_has_runtime_extras_groups_and_build() -> None:
    manifest = read(
        "pyproject.toml",
        '[project]\ndependencies = ["Foo.Bar>=1"]\n'
        '[project.optional-dependencies]\npg = ["psycopg"]\n'
        '[dependency-groups]\ndev = ["ruff", {include-group = "x"}]\n'
        '[build-system]\nrequires = ["hatchling"]\n',
    )
    assert scopes(manifest) == {
        "foo-bar": "runtime",
        "psycopg": "extra pg",
        "ruff": "dev",
        "hatchling": "build",
    }


@pytest.mark.parametrize(
    ("stated", "meant"),
    [("^3.11", ">=3.11,<4"), ("~3.11", ">=3.11,<3.12"), (">=3.9", ">=3.9")],
)
def test_poetry_is_read_with_its_own_version_signs(stated: str, meant: str) -> None:
    manifest = read(
        "pyproject.toml",
        f'[tool.poetry.dependencies]\npython = "{stated}"\nhttpx = {{version = "^1"}}\n'
        '[tool.poetry.group.test.dependencies]\npytest = "*"\n',
    )
    assert manifest.requires_python == meant
    assert scopes(manifest) == {"httpx": "runtime", "pytest": "dev"}


def test_requirements_files_tell_their_scope_by_name() -> None:
    text = "# c\nflask==3 # x\n-r other.txt\nfoo @ https://example.org/foo.whl\n"
    assert scopes(read("requirements.txt", text)) == {"flask": "runtime", "foo": "runtime"}
    assert scopes(read("requirements-dev.txt", text)) == {"flask": "dev", "foo": "dev"}
    assert scopes(read("requirements/test.txt", "tox\n")) == {"tox": "dev"}


def test_setup_cfg_is_read() -> None:
    text = "[options]\npython_requires = >=3.9\ninstall_requires =\n  six\n"
    manifest = read("setup.cfg", text + "[options.extras_require]\ntest = pytest\n")
    assert manifest.requires_python == ">=3.9"
    assert scopes(manifest) == {"six": "runtime", "pytest": "dev"}


def test_other_ecosystems_are_read() -> None:
    node = read("package.json", '{"dependencies": {"a": "1"}, "devDependencies": {"b": "2"}}')
    rust = read("Cargo.toml", '[dependencies]\nserde = {version = "1"}\n')
    go = read("go.mod", "module x\nrequire (\n\tgithub.com/a/b v1.2.3\n\tx.org/c v1 // indirect\n)")
    assert scopes(node) == {"a": "runtime", "b": "dev"}
    assert scopes(rust) == {"serde": "runtime"}
    assert scopes(go) == {"github.com/a/b": "runtime"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", "[project"),
        ("pyproject.toml", "project = 5"),
        ("pyproject.toml", "[project]\ndependencies = [5]"),
        ("package.json", "[]"),
        ("package.json", "[" * 100_000),
        ("Cargo.toml", "dependencies = 'x'"),
        ("setup.cfg", "x"),
    ],
)
def test_a_broken_manifest_is_kept_with_its_problem(path: str, text: str) -> None:
    assert read(path, text).problem is not None


def test_what_is_no_manifest_is_none() -> None:
    assert read_manifest("setup.py", b"import os") is None
