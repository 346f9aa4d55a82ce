"""Where packages are looked up: the indexes that the person's own pip or uv would ask.

In order of precedence: what pip is configured to (environment before files, as `pip config list`
reports both), else uv's variables, else PyPI. Nothing here asks an index, and credentials in a URL
are kept apart from what may be shown.
"""

import ast
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pypi_simple import PYPI_SIMPLE_ENDPOINT

from actors.agents.kit.untrusted import plain, without_credentials
from actors.agents.tools import run_tool

PYPI: Final = PYPI_SIMPLE_ENDPOINT.rstrip("/")
_PIP_DEADLINE_S: Final = 5.0
_SCHEMES: Final = frozenset({"https", "http", "file"})
# pip's sections by precedence: the environment, then what is set for `pip install`, then for all.
_SECTIONS: Final = (":env:", "install", "global")
_PASSED_ON: Final = ("PIP_", "XDG_CONFIG_", "VIRTUAL_ENV")
_FALSE: Final = frozenset({"", "0", "false", "no", "off", "f", "n"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """The configured sources.

    Args:
        urls: Simple-API roots, the primary one first; empty when the index is switched off.
        links: Local directories of distributions (pip's `find-links`).
        certificates: A file or directory of CA certificates, as pip's `cert` names it.
        proxy: As pip's `proxy` names it; without one the environment's variables hold.
        remarks: What of the configuration could not be read or is not honoured, and why.
    """

    urls: tuple[str, ...] = (PYPI,)
    links: tuple[Path, ...] = ()
    certificates: str | None = None
    proxy: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        return (*map(without_credentials, self.urls), *(path.as_uri() for path in self.links))


async def configured_indexes(environ: Mapping[str, str]) -> Indexes:
    """Reads the configuration, running `pip config list` once.

    Args:
        environ: The environment whose `PIP_*` and `UV_*` variables count.
    """
    env = {name: value for name, value in environ.items() if name.startswith(_PASSED_ON)}
    env |= {name: environ[name] for name in ("HOME",) if name in environ}
    # -I: nothing importable from a working directory or from PYTHON* variables is run as "pip".
    pip = await run_tool(
        [sys.executable, "-I", "-m", "pip", "config", "list"],
        cwd=Path(sys.prefix),
        deadline_s=_PIP_DEADLINE_S,
        env=env,
    )
    if pip.ok:
        return choose_indexes(pip_settings(pip.text), environ)
    variables = {
        name[len("PIP_") :].lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_") and value
    }
    chosen = choose_indexes(variables, environ)
    remark = f"pip's configuration files were not read ({plain(pip.why)})"
    return Indexes(
        urls=chosen.urls,
        links=chosen.links,
        certificates=chosen.certificates,
        proxy=chosen.proxy,
        remarks=(remark, *chosen.remarks),
    )


def pip_settings(listing: str) -> dict[str, str]:
    """Parses `pip config list` into setting → value, the section of highest precedence winning."""
    sections: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listing.splitlines():
        key, separator, literal = line.partition("=")
        section, _, name = key.rpartition(".")
        if not separator or section not in sections:
            continue
        try:
            value = ast.literal_eval(literal)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, str):
            sections[section][name] = value
    return {
        name: value for section in reversed(_SECTIONS) for name, value in sections[section].items()
    }


def choose_indexes(pip: Mapping[str, str], environ: Mapping[str, str]) -> Indexes:
    """Decides which indexes to ask, from pip's settings and uv's variables."""
    remarks: list[str] = []
    if pip.get("no-index", "").lower() not in _FALSE:
        wanted: list[str] = []
        remarks.append("the package index is switched off (pip's no-index)")
    else:
        primary = pip.get("index-url") or _uv_default(environ) or PYPI
        extra = pip.get("extra-index-url", "").split() or _uv_extra(environ)
        wanted = list(dict.fromkeys(url.rstrip("/") for url in (primary, *extra)))
    urls = [url for url in wanted if _usable(url)]
    remarks += [
        f"{without_credentials(url)} is not asked (only https, http and file URLs are)"
        for url in wanted
        if url not in urls
    ]
    links = []
    for place in pip.get("find-links", "").split():
        path = _local(place)
        if path is None:
            remarks.append(f"the links at {without_credentials(place)} are not read (not local)")
        else:
            links.append(path)
    return Indexes(
        urls=tuple(urls),
        links=tuple(links),
        certificates=pip.get("cert") or environ.get("REQUESTS_CA_BUNDLE") or None,
        proxy=pip.get("proxy") or None,
        remarks=tuple(remarks),
    )


def _uv_default(environ: Mapping[str, str]) -> str:
    return environ.get("UV_DEFAULT_INDEX", "") or environ.get("UV_INDEX_URL", "")


def _uv_extra(environ: Mapping[str, str]) -> list[str]:
    named = environ.get("UV_INDEX", "").split() + environ.get("UV_EXTRA_INDEX_URL", "").split()
    return [_unnamed(entry) for entry in named]


def _unnamed(entry: str) -> str:
    """Reads an entry of uv's, which may be named: name=URL."""
    name, separator, url = entry.partition("=")
    return url if separator and name.replace("-", "").replace("_", "").isalnum() else entry


def _usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in _SCHEMES and bool(parts.hostname or parts.scheme == "file")


def _local(place: str) -> Path | None:
    scheme = urlsplit(place).scheme
    if scheme == "file":
        return Path(unquote(urlsplit(place).path)).absolute()
    return Path(place).absolute() if not scheme else None
