import sys
from pathlib import Path

import pytest

from actors.agents.research.indexes import PYPI, choose_indexes, configured_indexes, pip_settings


def test_without_any_setting_it_is_pypi() -> None:
    assert choose_indexes({}, {}).urls == (PYPI,)


def test_the_environment_wins_over_install_and_install_over_global() -> None:
    listing = "global.index-url='https://g'\ninstall.index-url='https://i'\nglobal.cert='/c'\n"
    assert pip_settings(listing) == {"index-url": "https://i", "cert": "/c"}
    assert pip_settings(listing + ":env:.index-url='https://e'")["index-url"] == "https://e"


def test_lines_of_a_listing_that_are_not_understood_are_left_out() -> None:
    assert pip_settings("noise\nglobal.x=1+\nglobal.y=[1]\nother.z='1'\n") == {}


def test_pip_is_asked_before_uv() -> None:
    environ = {"UV_DEFAULT_INDEX": "https://uv/simple", "UV_INDEX": "https://b named=https://c"}
    assert choose_indexes({}, environ).urls == ("https://uv/simple", "https://b", "https://c")
    pip = {"index-url": "https://pip/simple/", "extra-index-url": "https://more https://more"}
    assert choose_indexes(pip, environ).urls == ("https://pip/simple", "https://more")


def test_no_index_means_none_and_is_remarked() -> None:
    chosen = choose_indexes({"no-index": "true", "find-links": "/wheels https://x/y"}, {})
    assert chosen.urls == ()
    assert chosen.links == (Path("/wheels"),)
    assert len(chosen.remarks) == 2


@pytest.mark.parametrize("url", ["ftp://x/simple", "javascript:1", "gopher://x", "https://"])
def test_other_schemes_are_not_asked(url: str) -> None:
    chosen = choose_indexes({"index-url": url}, {})
    assert chosen.urls == ()
    assert "not asked" in chosen.remarks[0]


def test_what_is_shown_has_no_credentials() -> None:
    shown = choose_indexes({"index-url": "https://u:p@host:8443/simple?token=t"}, {}).shown
    assert shown == ("https://host:8443/simple",)


async def test_pips_own_files_are_honoured(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://mirror.example/simple\n")
    found = await configured_indexes({"PIP_CONFIG_FILE": str(config)})
    assert found.urls[0] == "https://mirror.example/simple"


async def test_without_pip_the_variables_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    found = await configured_indexes({"PIP_INDEX_URL": "https://mirror.example/simple"})
    assert found.urls == ("https://mirror.example/simple",)
    assert "pip's configuration files were not read" in found.remarks[0]
