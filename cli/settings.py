"""Settings of the server: what it listens on, which plugins it loads, how long it keeps things.

From the command line, then the environment, then the settings file, then the defaults. The file is
TOML and is only ever named by the operator: a repository cannot bring code of its own to run.
"""

import logging
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from actors.agents.endpoint import ModelEndpoint, check_url
from actors.auth.settings import ALGORITHMS, LONGEST_TOKEN_S, AuthSettings
from actors.coordination.record_memory import Limits
from actors.coordination.redis_cache import RedisAddress
from actors.errors import ValidationError
from api.exposure import HOST_NAME, Exposure, Rate, Rates
from cli.exits import ExitCode
from cli.problem import Problem
from storage.errors import plain
from storage.tuning import DEFAULTS, MIB, Tuning

PORTS = range(65536)
EVERYWHERE = re.compile(r"0(\.0)*|\[[0:]+\]")
DAYS = range(36_501)
LEVELS = ("debug", "info", "warning", "error")
WHOLE = {
    "port": PORTS,
    "metrics_port": PORTS,
    "retention_days": DAYS,
    "artifact_limit_mib": range(1, 1024 * 1024 + 1),
    "artifacts_limit_mib": range(1, 1024 * 1024 + 1),
    "database_connections": range(1, 65),
    "database_cached_statements": range(100_001),
    "database_wal_limit_mib": range(1024 * 1024 + 1),
    "cache_records": range(1_000_001),
    "cache_mib": range(1, 65_537),
    "connections": range(1, 1_000_001),
    "connections_per_address": range(1, 1_000_001),
    "requests_in_flight": range(1, 10_001),
    "auth_token_s": range(1, LONGEST_TOKEN_S + 1),
    "auth_refresh_s": range(LONGEST_TOKEN_S, 366 * 86400 + 1),
}
"""What settings may be that are whole numbers."""

SECONDS = {
    "reconcile_s": 0.0,
    "database_idle_s": 0.0,
    "database_lifetime_s": 0.0,
    "database_query_timeout_s": 0.001,
    "database_busy_timeout_s": 0.0,
    "cache_age_s": 0.001,
    "llm_timeout_s": 1.0,
}
"""The least that settings may be that are times."""

RATES = ("rate_reads", "rate_writes", "rate_address", "rate_logins")
"""Settings that are numbers a second."""

BURST_S = 10.0
"""How long a rate may be left unused, to be used at once."""

LOGINS_BURST_S = 120.0

HIGHEST_RATE = 1_000_000.0

SWITCHES = ("strict_workflows", "behind_tls_proxy")

NAMES = (
    *("agents_commands", "agents_environment", "llm_urls"),
    *("allowed_hosts", "cors_origins", "trusted_proxies"),
)
"""What settings may be that are lists of names."""

GIT_MODES = ("", "ref", "branch", "off")

LONGEST_S = 366 * 86400.0

HIGHEST_PRICE = 1_000_000.0

LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One server's settings.

    Args:
        host: an address to listen on; one that is not loopback needs an API key to be there.
        port: of the API; 0 picks a free one.
        metrics_port: of /metrics; 0 picks a free one.
        metrics_host: an address to listen on for /metrics, which asks nobody who they are.
        allowed_hosts: names that requests may ask for beside those of loopback, without a port.
        behind_tls_proxy: whether clients come by TLS, through a proxy that speaks it.
        cors_origins: pages elsewhere that may use the API from a browser, as `https://host`.
        trusted_proxies: addresses and networks whose X-Forwarded-For is believed.
        rate_reads: requests a second that read, of one user, in the long run; 0 as many as wanted.
        rate_writes: the same, of those that may change something.
        rate_address: requests a second from one address elsewhere; 0 as many as wanted.
        rate_logins: attempts to log in a second from one address; 0 as many as wanted.
        requests_in_flight: that are worked on at the same time, 1 or more.
        connections: to each port at the same time, 1 or more.
        connections_per_address: the same, from one address elsewhere.
        log_level: "debug", "info", "warning" or "error".
        plugins: Python files with workflows and agents, relative to the settings file.
        strict_workflows: whether to refuse the start when a workflow does what it must not.
        git_mode: how issues are kept in Git: "ref" on a ref of their own, "branch" on the current
            branch when `issue sync` is called, "off" not at all; "" as `init` arranged it.
        retention_days: days for which ended workflows stay in the databases; 0 keeps them for ever.
        reconcile_s: seconds from one comparison of what is live in all stores to the next; 0 none.
        artifact_limit_mib: MiB that one artifact may have.
        artifacts_limit_mib: MiB that all artifacts of one workflow may have, all versions.
        database_connections: that read each database beside each other, 1 to 64.
        database_idle_s: seconds after which a connection nobody uses is closed; 0 never.
        database_lifetime_s: seconds after which a connection is replaced; 0 never.
        database_query_timeout_s: seconds after which a read is interrupted, 0.001 or more.
        database_busy_timeout_s: seconds to wait for another process's lock; 0 not at all.
        database_cached_statements: compiled statements kept by each connection; 0 none.
        agents_commands: programs that agents may run for whoever asks; none, unless named here.
        agents_environment: names of variables that those get beside the usual ones.
        cache_records: workflows kept in memory for who looks at them; 0 none.
        cache_mib: MiB that they take at most, roughly.
        cache_age_s: seconds after which one is read anew all the same.
        redis_url: of a Redis that keeps copies of workflows, with its password; "" none.
        database_wal_limit_mib: MiB of a write-ahead log above which the alarm is raised; 0 never.
        llm_url: where a language model is asked, as `https://host/v1`; "" for no model.
        llm_model: the model's name there.
        llm_key_variable: name of the environment variable that holds the key; "" for no key.
        llm_urls: other places where an agent's configuration may have a model asked.
        llm_input_price: US dollars for a million tokens that are sent.
        llm_output_price: US dollars for a million tokens that are answered.
        llm_timeout_s: seconds that one answer may take in all, 1 or more.
        auth_algorithm: that access tokens are signed with: "HS256", or "EdDSA" with its extra.
        auth_issuer: who gives them out, in their claim "iss".
        auth_audience: for whom they are, in their claim "aud".
        auth_token_s: seconds that one is good for, 1 to 900.
        auth_refresh_s: seconds within which the next one can be fetched without a key, 900 or more.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    metrics_port: int = 9090
    metrics_host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    behind_tls_proxy: bool = False
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    rate_reads: float = Rates().reads.per_s
    rate_writes: float = Rates().writes.per_s
    rate_address: float = Rates().address.per_s
    rate_logins: float = Rates().logins.per_s
    requests_in_flight: int = Exposure().in_flight
    connections: int = Exposure().connections
    connections_per_address: int = Exposure().connections_per_address
    log_level: str = "info"
    plugins: tuple[Path, ...] = ()
    strict_workflows: bool = False
    git_mode: str = ""
    retention_days: int = 0
    reconcile_s: float = 600.0
    artifact_limit_mib: int = 64
    artifacts_limit_mib: int = 1024
    database_connections: int = DEFAULTS.connections
    database_idle_s: float = DEFAULTS.idle_s
    database_lifetime_s: float = DEFAULTS.lifetime_s
    database_query_timeout_s: float = DEFAULTS.query_timeout_s
    database_busy_timeout_s: float = DEFAULTS.busy_timeout_s
    database_cached_statements: int = DEFAULTS.cached_statements
    database_wal_limit_mib: int = DEFAULTS.wal_limit_bytes // MIB
    cache_records: int = Limits().records
    cache_mib: int = Limits().size_bytes // MIB
    cache_age_s: float = Limits().age_s
    agents_commands: tuple[str, ...] = ()
    agents_environment: tuple[str, ...] = ()
    llm_url: str = ""
    llm_model: str = ""
    llm_key_variable: str = ""
    llm_urls: tuple[str, ...] = ()
    llm_input_price: float = 0.0
    llm_output_price: float = 0.0
    llm_timeout_s: float = 300.0
    auth_algorithm: str = AuthSettings().algorithm
    auth_issuer: str = AuthSettings().issuer
    auth_audience: str = AuthSettings().audience
    auth_token_s: int = AuthSettings().token_s
    auth_refresh_s: int = AuthSettings().refresh_s
    redis_url: str = field(default="", repr=False)

    @property
    def tuning(self) -> Tuning:
        """What the databases are opened with."""
        return Tuning(
            connections=self.database_connections,
            idle_s=self.database_idle_s,
            lifetime_s=self.database_lifetime_s,
            query_timeout_s=self.database_query_timeout_s,
            busy_timeout_s=self.database_busy_timeout_s,
            cached_statements=self.database_cached_statements,
            wal_limit_bytes=self.database_wal_limit_mib * MIB,
        )

    @property
    def cache(self) -> Limits:
        """Of the workflows kept in memory."""
        return Limits(
            records=self.cache_records, size_bytes=self.cache_mib * MIB, age_s=self.cache_age_s
        )

    @property
    def redis(self) -> RedisAddress | None:
        """Where copies of workflows are kept."""
        return RedisAddress(url=self.redis_url) if self.redis_url else None

    @property
    def exposure(self) -> Exposure:
        """How far the doors on TCP are open."""
        return Exposure(
            allowed_hosts=(*self.allowed_hosts, *self._own_names()),
            behind_tls=self.behind_tls_proxy,
            cors_origins=self.cors_origins,
            trusted_proxies=self.trusted_proxies,
            rates=Rates(
                reads=_rate(self.rate_reads, BURST_S),
                writes=_rate(self.rate_writes, BURST_S),
                address=_rate(self.rate_address, BURST_S),
                logins=_rate(self.rate_logins, LOGINS_BURST_S),
            ),
            connections=self.connections,
            connections_per_address=self.connections_per_address,
            in_flight=self.requests_in_flight,
        )

    def _own_names(self) -> Iterator[str]:
        """What it listens on, as it stands in an address; all addresses together are no name."""
        for host in (self.host, self.metrics_host):
            name = f"[{host}]" if ":" in host else host
            if HOST_NAME.fullmatch(name) is not None and not EVERYWHERE.fullmatch(name):
                yield name

    @property
    def auth(self) -> AuthSettings:
        """How access tokens are made."""
        return AuthSettings(
            algorithm="EdDSA" if self.auth_algorithm == "EdDSA" else "HS256",
            issuer=self.auth_issuer,
            audience=self.auth_audience,
            token_s=self.auth_token_s,
            refresh_s=self.auth_refresh_s,
        )

    @property
    def model(self) -> ModelEndpoint | None:
        """The language model that agents may ask."""
        if not self.llm_url:
            return None
        return ModelEndpoint(
            url=self.llm_url,
            model=self.llm_model,
            key_variable=self.llm_key_variable,
            input_price=self.llm_input_price,
            output_price=self.llm_output_price,
            timeout_s=self.llm_timeout_s,
        )

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
            raise _bad(path, plain(error)) from error
        known = {field.name for field in fields(cls)}
        found = _flattened(found, known)
        unknown = sorted(set(found) - known)
        if unknown:
            raise _bad(path, f"unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
        if "plugins" in found:
            found["plugins"] = _plugins(path, found["plugins"])
        for name in NAMES:
            if type(found.get(name)) is list:
                found[name] = tuple(found[name])
        return cls(**found).checked(path)

    def override(self, **given: Any) -> Self:
        """These settings with what was given on the command line; None means not given."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def checked(self, source: Path | str = "the command line") -> Self:
        """These settings, once each of them can be used.

        Raises:
            Problem: the first that cannot, by its name.
        """
        for name in ("host", "metrics_host"):
            value = getattr(self, name)
            if type(value) is not str or not value:
                raise _bad(source, f"{name} is an address, not {value!r}")
        if self.log_level not in LEVELS:
            raise _bad(source, f"log_level is one of {', '.join(LEVELS)}, not {self.log_level!r}")
        if self.git_mode not in GIT_MODES:
            raise _bad(source, f"git_mode is ref, branch or off, not {self.git_mode!r}")
        self._check_redis(source)
        for name in NAMES:
            value = getattr(self, name)
            if type(value) is not tuple or not all(type(one) is str and one for one in value):
                raise _bad(source, f"{name} is a list of names, not {value!r}")
        for name in SWITCHES:
            value = getattr(self, name)
            if type(value) is not bool:
                raise _bad(source, f"{name} is true or false, not {value!r}")
        for name, allowed in WHOLE.items():
            value = getattr(self, name)
            if type(value) is not int or value not in allowed:
                least, most = allowed[0], allowed[-1]
                raise _bad(source, f"{name} is a whole number, {least} to {most}, not {value!r}")
        for name, least_s in SECONDS.items():
            value = getattr(self, name)
            if type(value) not in {int, float} or not least_s <= value <= LONGEST_S:
                limits = f"{least_s:g} to {LONGEST_S:g}"
                raise _bad(source, f"{name} is a number of seconds, {limits}, not {value!r}")
        self._check_model(source)
        self._check_auth(source)
        self._check_exposure(source)
        return self

    def _check_model(self, source: Path | str) -> None:
        for name in ("llm_url", "llm_model", "llm_key_variable"):
            if type(getattr(self, name)) is not str:
                raise _bad(source, f"{name} is text, not {getattr(self, name)!r}")
        for name in ("llm_input_price", "llm_output_price"):
            value = getattr(self, name)
            if type(value) not in {int, float} or not 0 <= value <= HIGHEST_PRICE:
                limits = f"0 to {HIGHEST_PRICE:g}"
                raise _bad(source, f"{name} is US dollars, {limits}, not {value!r}")
        if not self.llm_url and (self.llm_model or self.llm_key_variable):
            raise _bad(source, "llm_model and llm_key_variable need an llm_url")
        try:
            _ = self.model
            for url in self.llm_urls:
                check_url(url, "llm_urls")
        except ValidationError as error:
            raise _bad(source, error.message) from None

    def _check_exposure(self, source: Path | str) -> None:
        for name in RATES:
            value = getattr(self, name)
            if type(value) not in {int, float} or not 0 <= value <= HIGHEST_RATE:
                limits = f"0 to {HIGHEST_RATE:g}"
                raise _bad(source, f"{name} is a number a second, {limits}, not {value!r}")
        try:
            _ = self.exposure
        except ValidationError as error:
            raise _bad(source, error.message) from None

    def _check_auth(self, source: Path | str) -> None:
        if self.auth_algorithm not in ALGORITHMS:
            known = " or ".join(ALGORITHMS)
            raise _bad(source, f"auth_algorithm is {known}, not {self.auth_algorithm!r}")
        if self.auth_algorithm == "EdDSA" and find_spec("cryptography") is None:
            raise _bad(source, "EdDSA needs the extra: install beadflow[eddsa]")
        for name in ("auth_issuer", "auth_audience"):
            value = getattr(self, name)
            if type(value) is not str or not 1 <= len(value) <= LONGEST_NAME:
                raise _bad(source, f"{name} is text of 1 to {LONGEST_NAME} characters")

    def _check_redis(self, source: Path | str) -> None:
        """It is never shown: it holds a password."""
        if type(self.redis_url) is not str:
            raise _bad(source, "redis_url is a URL in quotes")
        try:
            _ = self.redis
        except ValidationError as error:
            raise _bad(source, error.message) from None
        if self.redis_url and find_spec("coredis") is None:
            raise _bad(source, "redis_url needs the extra: install beadflow[redis]")


def _flattened(found: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """`git.mode` is `git_mode`: a setting may also stand in a table of its first word."""
    flat: dict[str, Any] = {}
    for key, value in found.items():
        if isinstance(value, dict) and key not in known:
            flat |= {f"{key}_{name}": each for name, each in value.items()}
        else:
            flat[key] = value
    return flat


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


def _rate(per_s: float, burst_s: float) -> Rate:
    return Rate(per_s=per_s, burst=max(1, round(per_s * burst_s)))


def level_number(name: str) -> int:
    """The number logging knows a level by."""
    return int(getattr(logging, name.upper()))
