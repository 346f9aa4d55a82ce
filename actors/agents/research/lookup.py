"""Asks the configured indexes about one candidate. Blocking: runs in a worker thread.

Never raises for an index that fails: what could not be learnt is a gap with its reason. Of the
chosen version the core metadata is read (PEP 658 where the index serves it, else out of a wheel)
and one wheel is looked into; sdists are never downloaded, because only building one tells more.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from packaging.utils import canonicalize_name
from pypi_simple import ACCEPT_JSON_PREFERRED, DistributionPackage, UnparsableFilenameError
from pypi_simple.filenames import parse_filename

from actors.agents.kit.untrusted import without_credentials
from actors.agents.research.facts import PACKAGE_INDEX, Artefacts, Contents, Metadata, Releases
from actors.agents.research.fetch import PAGE_CAP_BYTES, RETRIES, Absent, Fetcher, Unreachable
from actors.agents.research.indexes import Indexes
from actors.agents.research.metadata import read_metadata
from actors.agents.research.page import (
    ProjectPage,
    artefacts,
    merged,
    packages_of,
    read_page,
    releases,
)
from actors.agents.research.wheel import METADATA_CAP_BYTES, look_into
from actors.breakers import Breakers
from actors.retrying import Retries

_MAX_LINKED: Final = 10_000


@dataclass(slots=True, kw_only=True)
class Finding:
    """What the indexes said about one candidate; a part that is None has its gap."""

    found: Literal["found", "absent", "unknown"] = "unknown"
    asked: list[str] = field(default_factory=list)  # the sources that answered, with or without it
    source: str = ""  # the page it was found on
    indexes: int = 0  # how many of them have it
    releases: Releases | None = None
    artefacts: Artefacts | None = None
    metadata: Metadata | None = None
    metadata_source: str = ""
    contents: Contents | None = None
    contents_source: str = ""
    gaps: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What is asked for: a candidate, in the light of a question, within a time."""

    name: str
    question: str
    indexes: Indexes
    now: datetime
    deadline_s: float
    breakers: Breakers | None = None
    retries: Retries = RETRIES

    def run(self) -> Finding:
        """Asks every index, then reads of the chosen version what can be read cheaply."""
        finding = Finding()
        fetcher = Fetcher(
            self.indexes, self.deadline_s, breakers=self.breakers, retries=self.retries
        )
        try:
            page = self._page(fetcher, finding)
            if page is not None:
                finding.found = "found"
                self._read(page, fetcher, finding)
        finally:
            fetcher.close()
        return finding

    def _page(self, fetcher: Fetcher, finding: Finding) -> ProjectPage | None:
        pages: list[tuple[str, ProjectPage]] = []
        failed = False
        for root in self.indexes.urls:
            url = f"{root}/{self.name}/"
            shown = without_credentials(url)
            try:
                body = fetcher.get(
                    url + "index.html" if root.startswith("file:") else url,
                    cap_bytes=PAGE_CAP_BYTES,
                    accept=ACCEPT_JSON_PREFERRED,
                )
                pages.append((shown, read_page(body, self.name)))
            except Absent:
                finding.asked.append(without_credentials(root))
            except Unreachable as err:
                failed = True
                why = f"index unreachable: {without_credentials(root)}: {err}"
                finding.gaps.append((PACKAGE_INDEX, why))
        for directory in self.indexes.links:
            linked = _linked(directory, self.name)
            finding.asked.append(directory.as_uri())
            if linked.packages:
                pages.append((directory.as_uri(), linked))
        if not pages:
            finding.found = "unknown" if failed or not finding.asked else "absent"
            return None
        finding.source, finding.indexes = pages[0][0], len(pages)
        return merged([page for _, page in pages])

    def _read(self, page: ProjectPage, fetcher: Fetcher, finding: Finding) -> None:
        finding.releases = releases(page, self.now)
        if finding.releases is None:
            finding.gaps.append(("releases", "the index lists no file that can be installed"))
            return
        version = finding.releases.version
        packages = packages_of(page, version)
        finding.artefacts = artefacts(packages)
        served = next((package for package in packages if package.has_metadata), None)
        if served is not None:
            self._served_metadata(served, version, fetcher, finding)
        self._wheel(packages, version, fetcher, finding)

    def _served_metadata(
        self, package: DistributionPackage, version: str, fetcher: Fetcher, finding: Finding
    ) -> None:
        try:
            body = fetcher.get(package.metadata_url, cap_bytes=METADATA_CAP_BYTES)
        except (Absent, Unreachable) as err:
            finding.gaps.append(("the index's metadata file", str(err)))
            return
        expected = (package.metadata_digests or {}).get("sha256")
        if expected and hashlib.sha256(body.data).hexdigest() != expected.lower():
            finding.gaps.append(("the index's metadata file", "its SHA-256 is not the stated one"))
            return
        finding.metadata = read_metadata(body.data, version, self.question, self.name)
        finding.metadata_source = without_credentials(package.metadata_url)

    def _wheel(
        self,
        packages: tuple[DistributionPackage, ...],
        version: str,
        fetcher: Fetcher,
        finding: Finding,
    ) -> None:
        wheels = sorted((p for p in packages if p.package_type == "wheel"), key=_convenience)
        if not wheels:
            what = "contents" if finding.metadata else "metadata and contents"
            why = f"{version} has no wheel to look into (a source distribution is not downloaded)"
            finding.gaps.append((what, why))
            return
        url = wheels[0].url
        try:
            wheel = look_into(fetcher, url)
        except (Absent, Unreachable) as err:
            what = "contents" if finding.metadata else "metadata and contents"
            finding.gaps.append((what, f"{wheels[0].filename}: {err}"))
            return
        finding.contents, finding.contents_source = wheel.contents, without_credentials(url)
        if finding.metadata is None:
            finding.metadata = read_metadata(wheel.metadata, version, self.question, self.name)
            finding.metadata_source = without_credentials(url)


def _convenience(package: DistributionPackage) -> tuple[bool, bool, bool, int, str]:
    """Orders wheels by how typical and how small they are."""
    name = package.filename
    return (
        not name.endswith("-none-any.whl"),
        "manylinux" not in name,
        "x86_64" not in name,
        package.size or 0,
        name,
    )


def _linked(directory: Path, name: str) -> ProjectPage:
    """The distributions of one project among the files of a local directory."""
    packages = []
    try:
        files = sorted(path for path in directory.iterdir() if path.is_file())[:_MAX_LINKED]
    except OSError:
        files = []
    for path in files:
        try:
            project, version, kind = parse_filename(path.name)
        except UnparsableFilenameError:
            continue
        if canonicalize_name(project) == name:
            packages.append(
                DistributionPackage(
                    filename=path.name,
                    url=path.as_uri(),
                    project=project,
                    version=version,
                    package_type=kind,
                    digests={},
                    requires_python=None,
                    has_sig=None,
                    size=path.stat().st_size,
                )
            )
    return ProjectPage(packages=tuple(packages))
