"""The settings file, as far as no command has to run for it."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from actors.agents.endpoint import ModelEndpoint
from actors.coordination.record_memory import Limits
from api.exposure import Exposure, Rate, Rates
from cli.problem import Problem
from cli.settings import Settings
from storage.tuning import DEFAULTS, MIB
from tests.cli.run import Run


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "beadflow.toml"
    file.write_text(text)
    return Settings.read(file)


def test_without_settings_the_databases_are_tuned_as_the_stores_say() -> None:
    assert Settings().tuning == DEFAULTS


def test_the_cache_can_be_set(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
        cache_records = 5
        cache_mib = 2
        [redis]
        url = "redis://:hunter2@localhost/1"
        """,
    )
    assert settings.cache == Limits(records=5, size_bytes=2 * MIB)
    assert settings.redis is not None
    assert settings.redis.shown == "redis://localhost/1"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("value", ['"http://hunter2@h"', '"hunter2"', "2"])
def test_an_address_of_redis_that_is_none_is_refused_and_not_shown(
    tmp_path: Path, value: str
) -> None:
    with pytest.raises(Problem) as raised:
        read(tmp_path, f"redis_url = {value}")
    assert "redis_url" in str(raised.value.detail)
    assert "hunter2" not in str(raised.value.detail)


def test_redis_without_its_library_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.settings.find_spec", lambda _: None)
    with pytest.raises(Problem) as raised:
        read(tmp_path, 'redis_url = "redis://h"')
    assert "beadflow[redis]" in str(raised.value.detail)


def test_the_help_of_a_start_lists_every_setting(beadflow: Run) -> None:
    said = " ".join(beadflow("up", "--help").out.replace("│", " ").split())
    assert ", ".join(field.name for field in fields(Settings)) in said


def test_every_knob_of_the_databases_can_be_set(tmp_path: Path) -> None:
    tuning = read(
        tmp_path,
        """
        database_connections = 4
        database_idle_s = 10
        database_lifetime_s = 0
        database_query_timeout_s = 1.5
        database_busy_timeout_s = 0.5
        database_cached_statements = 10
        database_wal_limit_mib = 8
        """,
    ).tuning
    assert tuning.connections == 4
    assert (tuning.idle_s, tuning.lifetime_s) == (10, 0)
    assert (tuning.query_timeout_s, tuning.busy_timeout_s) == (1.5, 0.5)
    assert tuning.cached_statements == 10
    assert tuning.wal_limit_bytes == 8 * MIB


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("database_connections", "0"),
        ("database_connections", "65"),
        ("database_connections", "true"),
        ("database_idle_s", "-1"),
        ("database_lifetime_s", "nan"),
        ("database_lifetime_s", "inf"),
        ("database_query_timeout_s", "0"),
        ("database_busy_timeout_s", '"5"'),
        ("database_cached_statements", "-1"),
        ("database_wal_limit_mib", "1.5"),
        ("rate_reads", "-1"),
        ("rate_writes", "nan"),
        ("rate_logins", "true"),
        ("rate_address", '"5"'),
        ("requests_in_flight", "0"),
        ("connections", "1.5"),
        ("connections_per_address", "0"),
        ("cors_origins", '["*"]'),
        ("cors_origins", '"https://a.example"'),
        ("trusted_proxies", '["10.0.0.0/33"]'),
        ("strict_workflows", "1"),
        ("strict_workflows", '"true"'),
    ],
)
def test_a_wrong_knob_is_refused_by_its_name(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(Problem) as raised:
        read(tmp_path, f"{key} = {value}")
    assert key in raised.value.detail


@pytest.mark.parametrize(
    "text", ['git_mode = "branch"', '[git]\nmode = "branch"', 'git.mode = "branch"']
)
def test_a_setting_may_stand_in_a_table_of_its_first_word(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).git_mode == "branch"


@pytest.mark.parametrize("text", ['git_mode = "both"', "git_mode = 1", "[git]\nmode = []"])
def test_a_mode_of_git_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Problem) as refused:
        read(tmp_path, text)
    assert "git_mode" in refused.value.detail


def test_an_unknown_key_of_a_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        read(tmp_path, "[git]\nmodus = 1")
    assert "git_modus" in refused.value.detail


def test_a_model_can_be_set(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
        [llm]
        url = "https://h.example/v1"
        model = "parrot"
        key_variable = "PARROT_KEY"
        urls = ["http://localhost:11434/v1"]
        input_price = 1
        output_price = 2.5
        timeout_s = 60
        """,
    )
    assert settings.model == ModelEndpoint(
        url="https://h.example/v1",
        model="parrot",
        key_variable="PARROT_KEY",
        input_price=1,
        output_price=2.5,
        timeout_s=60,
    )
    assert settings.llm_urls == ("http://localhost:11434/v1",)
    assert Settings().model is None


@pytest.mark.parametrize(
    "text",
    [
        *("url = 1", 'url = "hunter2"', 'url = "https://a:hunter2@h"\nmodel = "m"'),
        *('url = "https://h"', 'model = "m"', 'key_variable = "KEY"'),
        'url = "https://h"\nmodel = "m"\nkey_variable = "sk-hunter2"',
        'url = "http://h"\nmodel = "m"\nkey_variable = "KEY"',
        *("input_price = -1", 'output_price = "1"', "input_price = nan", "timeout_s = 0"),
        *('urls = "http://h"', 'urls = ["ftp://h"]', "urls = [1]"),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused_by_its_setting(tmp_path: Path, text: str) -> None:
    with pytest.raises(Problem) as refused:
        read(tmp_path, f"[llm]\n{text}")
    assert "llm_" in refused.value.detail
    assert "hunter2" not in refused.value.detail


def test_without_settings_doors_are_as_open_as_the_api_says() -> None:
    assert replace(Settings().exposure, allowed_hosts=()) == Exposure()


def test_how_far_doors_are_open_can_be_set(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        cors_origins = ["https://board.example.org"]
        trusted_proxies = ["10.0.0.0/8"]
        connections = 100
        connections_per_address = 10
        requests_in_flight = 7
        [rate]
        reads = 2.5
        writes = 0
        address = 30
        logins = 0.1
        """,
    ).exposure
    assert found.cors_origins == ("https://board.example.org",)
    assert found.trusted_proxies == ("10.0.0.0/8",)
    assert (found.connections, found.connections_per_address, found.in_flight) == (100, 10, 7)
    assert found.rates == Rates(
        reads=Rate(per_s=2.5, burst=25),
        writes=Rate(per_s=0, burst=1),
        address=Rate(per_s=30, burst=300),
        logins=Rate(per_s=0.1, burst=12),
    )
