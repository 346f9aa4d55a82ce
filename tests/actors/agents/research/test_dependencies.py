import sys
from pathlib import Path

import pytest

from actors.agents.kit.outcome import Level
from actors.agents.research.dependencies import analyse_dependencies
from actors.agents.research.dependency_messages import (
    Dependencies,
    DependenciesRequest,
    LicencePolicy,
    Verdict,
)
from tests.actors.agents.research.conftest import git
from tests.actors.agents.research.sites import installed
from tests.support.planted import Planted, planted

NO_LIST = LicencePolicy()


@pytest.fixture(scope="module")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted(tmp_path_factory.mktemp("planted"))


async def analysed(root: Path, *sites: Path, policy: LicencePolicy = NO_LIST) -> Dependencies:
    return await analyse_dependencies(
        DependenciesRequest(policy=policy),
        root=root,
        progress=lambda message, fraction: None,
        sites=sites,
    )


def manifest(root: Path, dependencies: str, more: str = "") -> None:
    (root / "pyproject.toml").write_text(
        f'[project]\nname = "app"\nlicense = "MIT"\ndependencies = {dependencies}\n{more}'
    )
    git(root, "add", ".")


async def test_exactly_what_was_planted_is_found(orchard: Planted) -> None:
    found = await analysed(orchard.repo, orchard.site)
    line = next(
        number
        for number, text in enumerate((orchard.repo / "pyproject.toml").read_text().splitlines(), 1)
        if orchard.unused in text
    )
    assert [(f.rule, f.level, str(f.place).split(":")[:2]) for f in found.findings] == [
        ("DEP001", Level.ERROR, [orchard.missing_at.path, str(orchard.missing_at.line)]),
        ("DEP002", Level.WARNING, ["pyproject.toml", str(line)]),
        ("licence", Level.ERROR, ["pyproject.toml", str(line)]),
    ]
    missing, unused, licence = (finding.message for finding in found.findings)
    assert missing.startswith(orchard.missing)
    assert unused.startswith(orchard.unused)
    assert licence.startswith(orchard.restrictive)
    assert orchard.licence in licence
    assert found.own_licence == orchard.own_licence
    assert found.skipped == ()


async def test_what_something_declared_brings_along_is_transitive_and_not_missing(
    project: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    installed(site, "alpha", "1.5", "Requires-Dist: beta-lib>=2", modules=("alpha",))
    installed(site, "beta_lib", "2.0", modules=("beta",))
    (project / "src" / "app" / "store.py").write_text("import alpha\nimport beta\n")
    found = await analysed(project, site)
    (finding,) = [f for f in found.findings if f.tool == "deptry"]
    assert finding.rule == "DEP003"
    assert finding.message == (
        "beta (beta-lib) is imported, but not declared: it comes with alpha."
    )
    packages = {package.name: package for package in found.packages}
    assert packages["alpha"].requires == ("beta-lib",)
    assert packages["beta-lib"].scopes == ()
    assert packages["beta-lib"].shipped


async def test_what_is_installed_where_beadflow_runs_does_not_make_an_import_transitive(
    project: Path,
) -> None:
    """The environment of deptry is ours; the project knows nothing of it."""
    (project / "src" / "app" / "store.py").write_text("import alpha\nimport pykka\n")
    found = await analysed(project)
    rules = {f.message.split(" ")[0]: f.rule for f in found.findings if f.tool == "deptry"}
    assert rules == {"pykka": "DEP001"}


async def test_an_extra_brings_what_it_requires(project: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    lines = ('Requires-Dist: gamma; extra == "fast"', 'Requires-Dist: delta; extra == "slow"')
    installed(site, "alpha", "1.5", *lines, modules=("alpha",))
    manifest(project, '["alpha[fast]"]')
    found = await analysed(project, site)
    assert [package.name for package in found.packages] == ["alpha", "gamma"]


async def test_an_extra_that_is_not_imported_is_only_noted(project: Path) -> None:
    extra = '[project.optional-dependencies]\nspeed = ["gamma"]\ndev = ["delta"]\n'
    manifest(project, '["alpha"]', extra)
    found = await analysed(project)
    (finding,) = [f for f in found.findings if f.rule == "DEP002"]
    assert (finding.level, finding.message) == (
        Level.NOTE,
        "gamma is declared (extra speed), but not imported.",
    )


async def test_a_licence_that_only_an_extra_brings_is_a_warning(
    project: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    installed(site, "gamma", "1", "License-Expression: GPL-3.0-only")
    extras = (
        '[project.optional-dependencies]\ndocumentation = ["gamma"]\nlint = ["gamma"]\n'
        'all = ["app[documentation]"]\n'
    )
    manifest(project, '["alpha"]', extras)
    found = await analysed(project, site)
    assert [(f.rule, f.level) for f in found.findings] == [
        ("DEP002", Level.NOTE),
        ("licence", Level.WARNING),
    ]
    packages = {package.name: package.scopes for package in found.packages}
    assert packages == {"alpha": ("runtime",), "gamma": ("extra documentation", "dev")}


async def test_what_is_imported_but_declared_for_development_is_found(project: Path) -> None:
    manifest(project, "[]", '[project.optional-dependencies]\ndev = ["alpha"]\n')
    found = await analysed(project)
    assert [f.message for f in found.findings] == [
        "alpha is imported, but declared for development only."
    ]


async def test_what_is_declared_twice_and_not_imported_is_found_once(project: Path) -> None:
    extras = '[project.optional-dependencies]\none = ["gamma"]\ntwo = ["gamma"]\n'
    manifest(project, '["alpha"]', extras)
    assert [f.rule for f in (await analysed(project)).findings] == ["DEP002"]


async def test_an_installed_version_that_the_manifest_does_not_allow_is_found(
    project: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    installed(site, "alpha", "0.9", "Requires-Dist: beta<2", modules=("alpha",))
    installed(site, "beta", "2.1")
    found = await analysed(project, site)
    said = [(f.rule, f.message) for f in found.findings if f.tool == "beadflow"]
    assert said == [
        (
            "version",
            "alpha 0.9 (the configured environment) is not what pyproject.toml asks for: >=1.",
        ),
        (
            "conflict",
            "alpha 0.9 requires beta<2, but 2.1 is in the configured environment.",
        ),
    ]
    assert found.findings[0].place is not None
    assert found.findings[0].place.line == 4


async def test_a_lock_file_says_which_versions_and_what_requires_what(project: Path) -> None:
    (project / "uv.lock").write_text(
        '[[package]]\nname = "app"\nversion = "0"\nsource = { editable = "." }\n'
        '[[package]]\nname = "alpha"\nversion = "1.2"\ndependencies = [{ name = "beta" }]\n'
        '[[package]]\nname = "beta"\nversion = "3"\n'
    )
    manifest(project, '["alpha"]')
    found = await analysed(project)
    assert [(p.name, p.version, p.requires) for p in found.packages] == [
        ("alpha", "1.2", ("beta",)),
        ("beta", "3", ()),
    ]
    assert found.locks == ("uv.lock",)
    assert "the licences of alpha, beta skipped" in str(found.skipped[0])


async def test_a_list_of_licences_decides_where_there_is_one(project: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    installed(site, "alpha", "1", "License-Expression: BSD-3-Clause", modules=("alpha",))
    found = await analysed(project, site, policy=LicencePolicy(allow=("MIT",)))
    assert found.packages[0].verdict is Verdict.DENIED
    assert "BSD-3-Clause is not among those allowed" in found.findings[-1].message


async def test_development_tools_are_not_judged(project: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    installed(site, "gamma", "1", "License-Expression: GPL-3.0-only")
    manifest(project, "[]", '[project.optional-dependencies]\ndev = ["gamma"]\n')
    (project / "src" / "app" / "store.py").write_text("")
    found = await analysed(project, site)
    assert (found.packages[0].verdict, found.findings) == (Verdict.NOT_SHIPPED, ())


async def test_without_deptry_the_rest_is_still_answered(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    found = await analysed(project)
    assert "unused and missing dependencies skipped" in str(found.skipped[0])
    assert found.skipped[0].install == "install beadflow[research]"
    assert {"alpha", "pytest"} < {package.name for package in found.packages}


async def test_a_project_that_deptry_cannot_read_is_said_to_be_one(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "app.py").write_text("import alpha\n")
    found = await analysed(tmp_path)
    assert found.packages == ()
    assert "deptry says:" in found.skipped[0].why


async def test_the_project_cannot_have_deptry_write_a_file(project: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    manifest(project, '["alpha"]', f'[tool.deptry]\njson_output = "{canary}"\n')
    found = await analysed(project)
    assert not canary.exists()
    assert found.skipped[0].what.startswith("the licences of alpha")


async def test_dependencies_of_other_languages_are_said_not_to_be_analysed(project: Path) -> None:
    (project / "package.json").write_text('{"dependencies": {"left": "1"}}')
    git(project, "add", ".")
    found = await analysed(project)
    assert "dependencies of npm skipped" in " ".join(map(str, found.skipped))


async def test_a_list_that_cannot_be_applied_is_said_to_be_one(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    installed(site, "alpha", "1", "License-Expression: MIT", modules=("alpha",))
    found = await analysed(project, site, policy=LicencePolicy(deny=("GLP-3.0",)))
    assert "GLP-3.0 of the policy skipped" in str(found.skipped[0])

    def spdx() -> None:
        raise ImportError("license_expression")

    monkeypatch.setattr("actors.agents.research.policy.spdx", spdx)
    found = await analysed(project, site, policy=LicencePolicy(deny=("GPL-3.0-only",)))
    assert found.packages[0].verdict is Verdict.UNKNOWN
    assert found.skipped[0].install == "install beadflow[research]"


async def test_this_project_has_no_errors_in_its_own_dependencies() -> None:
    root = Path(__file__).parents[4]
    found = await analysed(root)
    assert [str(f) for f in found.findings if f.level is Level.ERROR] == []
    assert {"trio", "pykka", "pydantic"} < {package.name for package in found.packages}
