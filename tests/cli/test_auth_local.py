"""Keys with nobody serving: this process keeps them, under the lock, and lets go."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from cli import desk
from cli.exits import ExitCode
from storage.home import DataDir
from tests.cli.fake import Answer, FakeServer
from tests.cli.run import Run

CREATE = ("-o", "json", "auth", "key", "create", "--user", "ann", "--role", "viewer")
SIGNING = ".beadflow/signing-keys.json"


def test_a_key_is_made_listed_and_ended_by_the_account_that_asks(beadflow: Run) -> None:
    made = beadflow(*CREATE).json["data"]
    assert made["created_by"] == pwd.getpwuid(os.geteuid()).pw_name
    (listed,) = beadflow("auth", "key", "list", "-o", "json").json["data"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    (ended,) = beadflow("auth", "key", "revoke", made["id"], "-o", "json").json["data"]
    assert ended["revoked_at"]
    assert DataDir.resolve().read_holder() is None


def test_a_key_that_is_not_there_cannot_be_ended(beadflow: Run) -> None:
    assert beadflow("auth", "key", "revoke", "0123456789abcdef").code == ExitCode.NOT_FOUND


def test_what_the_keeper_refuses_is_told(beadflow: Run) -> None:
    ran = beadflow("auth", "key", "create", "--user", "local", "--role", "admin")
    assert ran.code == ExitCode.USAGE
    assert "user id" in ran.err


def test_nothing_that_it_makes_is_open_to_others(beadflow: Run) -> None:
    before = os.umask(0)
    try:
        assert beadflow(*CREATE).code == 0
    finally:
        os.umask(before)
    made = [Path(".beadflow"), *Path(".beadflow").rglob("*")]
    assert not [path for path in made if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def test_signing_keys_that_others_can_read_are_not_used_and_the_way_out_is_told(
    beadflow: Run,
) -> None:
    assert beadflow(*CREATE).code == 0
    Path(SIGNING).chmod(0o644)
    ran = beadflow("auth", "key", "list")
    assert ran.code == ExitCode.FAILED
    assert "mode 0600" in ran.err
    assert "Traceback" not in ran.err


def test_a_link_in_place_of_the_signing_keys_is_not_followed(beadflow: Run, tmp_path: Path) -> None:
    assert beadflow(*CREATE).code == 0
    Path(SIGNING).unlink()
    Path(SIGNING).symlink_to(tmp_path / "canary")
    assert beadflow("auth", "key", "list").code == ExitCode.FAILED
    assert not (tmp_path / "canary").exists()


def test_a_link_in_place_of_the_keys_file_is_not_followed(beadflow: Run, tmp_path: Path) -> None:
    (tmp_path / "to").symlink_to(tmp_path / "canary")
    assert beadflow(*CREATE, "--to", str(tmp_path / "to")).code == ExitCode.USAGE
    assert not (tmp_path / "canary").exists()


def test_somebody_who_holds_the_data_and_serves_nobody_is_named(
    beadflow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "PATIENCE_S", 0.0)
    with DataDir.resolve():
        ran = beadflow("auth", "key", "list")
    assert ran.code == ExitCode.CONFLICT
    assert str(os.getpid()) in ran.err


def test_a_server_that_has_come_meanwhile_is_asked(
    beadflow: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says where it is in the moment in which it is known to hold the lock."""
    server.answers["GET /api/v1/auth/keys"] = Answer({"data": []})
    with DataDir.resolve() as held:

        def served(_where: object) -> bool:
            held.announce(server.url)
            return True

        monkeypatch.setattr("cli.discovery.serves", served)
        assert beadflow("auth", "key", "list").code == 0
    assert len(server.seen) == 1
