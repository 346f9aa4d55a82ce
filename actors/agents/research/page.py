"""A project's page in an index: from bytes to packages, from packages to releases and artefacts.

Parsing is pypi-simple's (PEP 503, 691, 700, 792); the arithmetic is here and pure. A file whose
name or version cannot be read is left out, as pip leaves it out.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pypi_simple import DistributionPackage, UnsupportedRepoVersionError
from pypi_simple import ProjectPage as ParsedPage

from actors.agents.kit.untrusted import plain
from actors.agents.research.facts import Artefacts, PythonBound, Releases
from actors.agents.research.fetch import Body, Unreachable

_JSON: Final = "application/vnd.pypi.simple.v1+json"
_HTML: Final = frozenset({"application/vnd.pypi.simple.v1+html", "text/html"})
_MAX_BOUNDS: Final = 12
_MAX_FILES: Final = 50_000
_RECENT: Final = timedelta(days=730)
_PLATFORMS: Final = {
    "manylinux": "linux",
    "musllinux": "linux",
    "linux": "linux",
    "macosx": "macos",
    "win": "windows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    """What one or more indexes list for a project, each file once."""

    packages: tuple[DistributionPackage, ...]
    status: str | None = None
    status_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Release:
    version: Version
    packages: tuple[DistributionPackage, ...]

    @property
    def yanked(self) -> bool:
        return all(package.is_yanked for package in self.packages)

    @property
    def uploaded_at(self) -> datetime | None:
        times = [package.upload_time for package in self.packages if package.upload_time]
        return min(times).astimezone(UTC) if times else None

    @property
    def requires_python(self) -> str | None:
        stated = [package.requires_python for package in self.packages if package.requires_python]
        return plain(stated[0], 100) if stated else None


def read_page(body: Body, name: str) -> ProjectPage:
    """Parses an index's answer.

    Raises:
        Unreachable: the answer is not a project page.
    """
    try:
        kind = body.content_type.partition(";")[0].strip().lower()
        if kind == _JSON:
            page = ParsedPage.from_json_data(json.loads(body.data), body.url)
        elif kind in _HTML:
            page = ParsedPage.from_html(name, body.data, body.url)
        else:
            raise Unreachable(
                f"it answered with {plain(body.content_type, 60)}, not a project page"
            )
    except (UnsupportedRepoVersionError, ValueError, LookupError, RecursionError) as err:
        raise Unreachable(f"its answer is not a project page ({type(err).__name__})") from err
    return ProjectPage(
        packages=tuple(page.packages[:_MAX_FILES]),
        status=page.status.value if page.status else None,
        status_reason=plain(page.status_reason) if page.status_reason else None,
    )


def merged(pages: Sequence[ProjectPage]) -> ProjectPage:
    """One page of several: a file that is listed twice counts as the first index lists it."""
    files: dict[str, DistributionPackage] = {}
    for page in pages:
        for package in page.packages:
            files.setdefault(package.filename, package)
    status = next((page for page in pages if page.status), None)
    return ProjectPage(
        packages=tuple(files.values()),
        status=status.status if status else None,
        status_reason=status.status_reason if status else None,
    )


def releases(page: ProjectPage, now: datetime) -> Releases | None:
    """Facts over all versions, or None when the page lists nothing that can be installed."""
    every = _by_version(page.packages)
    chosen = chosen_release(every)
    if chosen is None:
        return None
    times = [release.uploaded_at for release in every if release.uploaded_at]
    later = [r for r in every if r.version > chosen.version and not r.yanked]
    return Releases(
        version=str(chosen.version),
        stable=not chosen.version.is_prerelease,
        released_at=chosen.uploaded_at,
        newer_prerelease=str(later[0].version) if later else None,
        count=len(every),
        yanked=sum(release.yanked for release in every),
        first_at=min(times, default=None),
        in_24_months=sum(time > now - _RECENT for time in times) if times else None,
        requires_python=chosen.requires_python,
        python_bounds=_bounds(r for r in every if _installable(r) and r.version <= chosen.version),
        status=page.status,
        status_reason=page.status_reason,
    )


def artefacts(packages: Iterable[DistributionPackage]) -> Artefacts:
    """What the files of one version can be installed on."""
    kinds = list(packages)
    tags = [tag for package in kinds for tag in _tags(package)]
    stable = sorted(
        (_python(interpreter) for interpreter, abi, _ in tags if abi == "abi3"), key=Version
    )
    pythons = {_python(interpreter) for interpreter, _, _ in tags if interpreter[:2] == "cp"}
    return Artefacts(
        sdist=any(package.package_type == "sdist" for package in kinds),
        wheels=sum(package.package_type == "wheel" for package in kinds),
        universal=any(
            interpreter.startswith("py3") and platform == "any" for interpreter, _, platform in tags
        ),
        stable_abi_from=stable[0] if stable else None,
        pythons=tuple(sorted(pythons, key=Version)),
        platforms=tuple(sorted({p for _, _, tag in tags if (p := _platform(tag)) is not None})),
    )


def packages_of(page: ProjectPage, version: str) -> tuple[DistributionPackage, ...]:
    wanted = Version(version)
    return next((r.packages for r in _by_version(page.packages) if r.version == wanted), ())


def chosen_release(every: Sequence[_Release]) -> _Release | None:
    """The one a plain install takes where any Python will do: stable first, yanked last."""
    ranked = sorted(every, key=lambda r: (not r.yanked, not r.version.is_prerelease, r.version))
    return ranked[-1] if ranked else None


def _by_version(packages: Iterable[DistributionPackage]) -> list[_Release]:
    groups: dict[Version, list[DistributionPackage]] = defaultdict(list)
    for package in packages:
        try:
            groups[Version(package.version or "")].append(package)
        except InvalidVersion:
            continue
    return [
        _Release(version=version, packages=tuple(groups[version]))
        for version in sorted(groups, reverse=True)
    ]


def _installable(release: _Release) -> bool:
    return not release.yanked and not release.version.is_prerelease


def _bounds(newest_first: Iterable[_Release]) -> tuple[PythonBound, ...]:
    bounds: list[PythonBound] = []
    for release in newest_first:
        if not bounds or bounds[-1].requires_python != release.requires_python:
            bounds.append(
                PythonBound(version=str(release.version), requires_python=release.requires_python)
            )
    return tuple(bounds[:_MAX_BOUNDS])


def _tags(package: DistributionPackage) -> list[tuple[str, str, str]]:
    if package.package_type != "wheel":
        return []
    try:
        *_, tags = parse_wheel_filename(package.filename)
    except (InvalidWheelFilename, InvalidVersion):
        return []
    return [(tag.interpreter, tag.abi, tag.platform) for tag in tags if _known(tag.interpreter)]


def _known(interpreter: str) -> bool:
    return interpreter[:2] in {"py", "cp", "pp"} and interpreter[2:].isdigit()


def _python(interpreter: str) -> str:
    """cp311 → 3.11."""
    digits = interpreter[2:]
    return f"{digits[0]}.{digits[1:] or 0}"


def _platform(tag: str) -> str | None:
    return next((name for start, name in _PLATFORMS.items() if tag.startswith(start)), None)
