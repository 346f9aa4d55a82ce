"""What a server listens on, with and without keys."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cli import access, binding
from cli.exits import ExitCode
from cli.problem import Problem
from cli.running import bound
from cli.settings import Settings
from storage.coordination.standing import Keys
from storage.home import DataDir
from tests.support import prepared

NONE = Keys(made=False, opens=False)
ENDED = Keys(made=True, opens=False)
OPENS = Keys(made=True, opens=True)

LATER = "2999-01-01T00:00:00.000000Z"
BEFORE = "2000-01-01T00:00:00.000000Z"


def here(**given: object) -> Settings:
    return Settings(port=0, metrics_port=0).override(**given)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[DataDir]:
    with DataDir.resolve(data_dir=tmp_path / "data") as data:
        yield data


def with_key(
    data: DataDir, *, expires_at: str | None = None, revoked_at: str | None = None
) -> None:
    prepared.copy_databases(data)
    values = ("k", "", "ann", '["admin"]', None, "0" * 64, BEFORE, "ann", expires_at, revoked_at)
    with closing(sqlite3.connect(data.coordination_db)) as connection, connection:
        connection.execute(
            "INSERT INTO api_keys (id, name, user_id, roles, scopes, secret_sha256, created_at,"
            " created_by, expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )


@pytest.mark.parametrize("keys", [NONE, ENDED], ids=["none", "ended"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "8.8.8.8", "0", "nobody.invalid"])
@pytest.mark.parametrize("which", ["host", "metrics_host"])
def test_without_a_key_that_opens_only_loopback_is_listened_on(
    keys: Keys, host: str, which: str
) -> None:
    with pytest.raises(Problem) as refused:
        binding.refuse_without_key(here(**{which: host}), keys)
    assert refused.value.exit_code is ExitCode.AUTH
    assert host in refused.value.title
    assert "beadflow auth key create" in refused.value.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
@pytest.mark.parametrize("keys", [NONE, ENDED, OPENS], ids=["none", "ended", "opens"])
def test_loopback_needs_no_key(host: str, keys: Keys) -> None:
    binding.refuse_without_key(here(host=host), keys)


@pytest.mark.parametrize(
    "settings",
    [
        here(behind_tls_proxy=True),
        here(trusted_proxies=("127.0.0.1",)),
        here(allowed_hosts=("beadflow.example.org",)),
        here(cors_origins=("https://board.example.org",)),
    ],
    ids=["tls", "trusted", "named", "pages"],
)
def test_what_lets_others_seem_to_be_the_machine_s_own_user_needs_a_key(
    settings: Settings,
) -> None:
    for keys in (NONE, ENDED):
        with pytest.raises(Problem, match="Without a key"):
            binding.refuse_without_key(settings, keys)
    binding.refuse_without_key(settings, OPENS)


def test_with_a_key_any_address_is_listened_on(held: DataDir) -> None:
    with_key(held)
    with bound(here(host="0.0.0.0"), held) as sockets:
        assert sockets.http.getsockname()[0] == "0.0.0.0"
        assert sockets.metrics.getsockname()[0] == "127.0.0.1"
        assert sockets.url.startswith("http://127.0.0.1:")


def test_nothing_is_bound_where_it_is_refused(held: DataDir) -> None:
    with pytest.raises(Problem, match="does not listen"), bound(here(host="0.0.0.0"), held):
        raise AssertionError
    assert not held.socket.exists()


def test_a_port_that_is_taken_is_named_and_no_socket_is_left(held: DataDir) -> None:
    with bound(here(), held) as first:
        taken = int(first.url.rpartition(":")[2])
    with (
        binding.port("127.0.0.1", taken, "--port"),
        pytest.raises(Problem, match=f"port {taken}") as refused,
        bound(here(port=taken), held),
    ):
        raise AssertionError
    assert "--port 0" in refused.value.hint
    assert not held.socket.exists()


def test_what_lies_in_the_way_of_the_socket_is_named_and_left_alone(held: DataDir) -> None:
    held.socket.write_text("mine")
    with pytest.raises(Problem, match=str(held.socket)), bound(here(), held):
        raise AssertionError
    assert held.socket.read_text() == "mine"


def test_which_keys_there_are_is_read_from_the_database(held: DataDir) -> None:
    assert access.keys_of(held) == NONE
    prepared.copy_databases(held)
    assert access.keys_of(held) == NONE


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "found"),
    [
        (None, None, OPENS),
        (LATER, None, OPENS),
        (BEFORE, None, ENDED),
        (None, BEFORE, ENDED),
        (LATER, BEFORE, ENDED),
    ],
)
def test_a_key_that_has_ended_opens_nothing(
    held: DataDir, expires_at: str | None, revoked_at: str | None, found: Keys
) -> None:
    with_key(held, expires_at=expires_at, revoked_at=revoked_at)
    assert access.keys_of(held) == found


def test_a_database_from_before_there_were_keys_has_none(held: DataDir) -> None:
    with closing(sqlite3.connect(held.coordination_db)) as connection, connection:
        connection.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY)")
    assert access.keys_of(held) == NONE


def test_the_first_key_is_asked_for_until_there_is_one() -> None:
    assert "beadflow auth key create" in next(binding.warnings_of(here(), NONE))
    assert list(binding.warnings_of(here(), ENDED)) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": "10.0.0.1"}, ["without encryption"]),
        ({"host": "10.0.0.1", "behind_tls_proxy": True}, []),
        ({"host": "0.0.0.0", "behind_tls_proxy": True}, ["allowed_hosts"]),
        ({"host": "::", "allowed_hosts": ("b.example.org",)}, ["without encryption"]),
    ],
)
def test_an_operator_is_warned_of_what_is_open(given: dict[str, object], said: list[str]) -> None:
    warned = list(binding.warnings_of(here(**given), OPENS))
    assert len(warned) == len(said)
    assert all(word in text for word, text in zip(said, warned, strict=True))


@pytest.mark.parametrize(
    ("host", "names"),
    [("0.0.0.0", []), ("::", []), ("10.0.0.1", ["10.0.0.1"]), ("fd00::1", ["[fd00::1]"])],
)
def test_what_it_listens_on_it_answers_to(host: str, names: list[str]) -> None:
    settings = here(host=host, allowed_hosts=("b.example.org",))
    found = [name for name in settings.exposure.allowed_hosts if name != "127.0.0.1"]
    assert found == ["b.example.org", *names]
