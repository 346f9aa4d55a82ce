"""Settings of the server: what it listens on, which plugins it loads, how long it keeps things.

From the command line, then the environment, then the settings file, then the defaults. The file is
TOML and is only ever named by the operator: a repository cannot bring code of its own to run.
"""

import logging
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from cli.exits import ExitCode
from cli.problem import Problem

PORTS = range(65536)
DAYS = range(36_501)
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One server's settings.

    Args:
        host: a loopback address to listen on.
        port: of the API; 0 picks a free one.
        metrics_port: of /metrics; 0 picks a free one.
        log_level: "debug", "info", "warning" or "error".
        plugins: Python files with workflows and agents, relative to the settings file.
        retention_days: days for which ended workflows stay in the databases; 0 keeps them for ever.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    metrics_port: int = 9090
    log_level: str = "info"
    plugins: tuple[Path, ...] = ()
    retention_days: int = 0

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """The settings of a file; the defaults without one.

        Raises:
            Problem: the file cannot be read, or a key in it is unknown or wrong; it is named.
        """
        if path is None:
            return cls()
        try:
            found = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise _bad(path, str(error)) from error
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(found) - known)
        if unknown:
            raise _bad(path, f"unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
        if "plugins" in found:
            found["plugins"] = _plugins(path, found["plugins"])
        return cls(**found).checked(path)

    def override(self, **given: Any) -> Self:
        """These settings with what was given on the command line; None means not given."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def checked(self, source: Path | str = "the command line") -> Self:
        """These settings, once each of them can be used.

        Raises:
            Problem: the first that cannot, by its name.
        """
        for name in ("port", "metrics_port"):
            value = getattr(self, name)
            if type(value) is not int or value not in PORTS:
                raise _bad(source, f"{name} is a port number, 0 to 65535, not {value!r}")
        if type(self.retention_days) is not int or self.retention_days not in DAYS:
            raise _bad(
                source,
                f"retention_days is a number of days, 0 to {DAYS[-1]}, not {self.retention_days!r}",
            )
        if type(self.host) is not str or not self.host:
            raise _bad(source, f"host is an address, not {self.host!r}")
        if self.log_level not in LEVELS:
            raise _bad(source, f"log_level is one of {', '.join(LEVELS)}, not {self.log_level!r}")
        return self


def _plugins(path: Path, found: Any) -> tuple[Path, ...]:
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise _bad(path, f"plugins is a list of paths, not {found!r}")
    return tuple(path.parent / name for name in found)


def _bad(source: Path | str, why: str) -> Problem:
    return Problem(
        "The settings cannot be used",
        f"{source}: {why}",
        code="bad_settings",
        exit_code=ExitCode.USAGE,
    )


def level_number(name: str) -> int:
    """The number logging knows a level by."""
    return int(getattr(logging, name.upper()))
