import json
from pathlib import Path
from typing import Any

import pytest

from actors.agents.kit.outcome import Level
from actors.agents.research.advisories import read_advisories
from actors.agents.research.vulnerabilities import find_vulnerabilities
from actors.agents.research.vulnerability_messages import Vulnerabilities
from tests.actors.agents.research.conftest import git
from tests.actors.agents.research.sites import installed


def advisory(name: str = "alpha", **more: Any) -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": "1.4"}]
    return {
        "id": "PYSEC-2026-1",
        "summary": "Crates are left open",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": name},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        ],
        **more,
    }


@pytest.fixture
def book(tmp_path: Path) -> Path:
    place = tmp_path / "advisories" / "2026"
    place.mkdir(parents=True)
    (place / "one.json").write_text(json.dumps(advisory(aliases=["CVE-1"])))
    (place / "two.json").write_text(json.dumps(advisory(id="CVE-1")))
    (place / "other.json").write_text(json.dumps(advisory("beta")))
    return place.parent


async def looked(root: Path, book: Path, *sites: Path) -> Vulnerabilities:
    return await find_vulnerabilities(
        root=root, advisories=book, progress=lambda message, fraction: None, sites=sites
    )


async def test_an_installed_version_that_an_advisory_is_about_is_found_once(
    project: Path, book: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    installed(site, "alpha", "1.3", modules=("alpha",))
    found = await looked(project, book, site)
    (finding,) = found.findings
    assert (finding.rule, finding.level, str(finding.place)) == (
        "PYSEC-2026-1",
        Level.ERROR,
        "pyproject.toml:4",
    )
    assert finding.message == "alpha 1.3: Crates are left open; fixed in 1.4."
    assert found.vulnerabilities[0].aliases == ("CVE-1",)
    assert found.advisories == 3


async def test_what_is_locked_counts_before_what_is_installed(
    project: Path, book: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    installed(site, "alpha", "1.3")
    (project / "requirements.lock").write_text("alpha==1.4\n")
    git(project, "add", ".")
    assert (await looked(project, book, site)).findings == ()


async def test_without_advisories_it_is_said_where_to_put_them(
    project: Path, tmp_path: Path
) -> None:
    found = await looked(project, tmp_path / "nowhere")
    assert found.skipped[0].what == "known vulnerabilities"
    assert "OSV" in found.skipped[0].install


async def test_files_that_are_no_advisories_are_counted(project: Path, book: Path) -> None:
    (book / "broken.json").write_text("[")
    (book / "link.json").symlink_to(book / "2026" / "one.json")
    found = await looked(project, book)
    assert "2 files among the advisories skipped" in " ".join(map(str, found.skipped))


def affects(version: str, **affected: Any) -> bool:
    package = {"ecosystem": "PyPI", "name": "alpha"}
    document = {"id": "X-1", "affected": [{"package": package, **affected}]}
    (found,) = read_advisories(json.dumps(document).encode()) or ()
    return found.affects(version)


def between(*events: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"type": "ECOSYSTEM", "events": [{kind: at} for kind, at in events]}]


@pytest.mark.parametrize(
    ("version", "affected", "expected"),
    [
        ("1.0", {"versions": ["1.0"]}, True),
        ("1.0.0", {"versions": ["1.0"]}, True),
        ("1.1", {"versions": ["1.0"]}, False),
        ("1.5", {"ranges": between(("introduced", "1"), ("fixed", "2"))}, True),
        ("2.0", {"ranges": between(("introduced", "1"), ("fixed", "2"))}, False),
        ("0.9", {"ranges": between(("introduced", "1"), ("fixed", "2"))}, False),
        ("2", {"ranges": between(("introduced", "1"), ("last_affected", "2"))}, True),
        ("2.1", {"ranges": between(("introduced", "1"), ("last_affected", "2"))}, False),
        ("9", {"ranges": between(("introduced", "0"))}, True),
        (
            "3.5",
            {
                "ranges": between(
                    ("introduced", "0"), ("fixed", "2"), ("introduced", "3"), ("fixed", "4")
                )
            },
            True,
        ),
        ("odd", {"versions": ["1.0"]}, False),
        ("odd", {"versions": ["odd"]}, True),
        ("1.5", {"versions": ["odd"], "ranges": between(("introduced", "1"))}, True),
        ("1", {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, False),
    ],
)
def test_versions_and_ranges_say_what_is_affected(
    version: str, affected: dict[str, Any], expected: bool
) -> None:
    assert affects(version, **affected) is expected


def test_an_advisory_that_was_withdrawn_or_is_about_others_affects_nothing() -> None:
    assert read_advisories(json.dumps(advisory(withdrawn="2026-01-01T00:00:00Z")).encode()) == []
    npm = {"package": {"ecosystem": "npm", "name": "alpha"}, "versions": ["1"]}
    assert read_advisories(json.dumps({"id": "X", "affected": [npm]}).encode()) == []


@pytest.mark.parametrize("text", ["[]", "{", '{"affected": 1}', '{"affected": [{}]}', "\xff"])
def test_what_is_no_advisory_is_not_taken_for_one(text: str) -> None:
    assert read_advisories(text.encode("latin-1")) is None
