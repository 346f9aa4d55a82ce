"""Real servers with keys: who gets in, who does not, and where no key ever is."""

import contextlib
import io
import json
import os
import pwd
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import httpx2
import pytest

from cli.exits import ExitCode
from cli.main import main
from storage.home import DataDir
from tests.cli.run import Ran
from tests.support.repos import repository
from tests.support.server import Server

pytestmark = pytest.mark.process

CREATE = ("-o", "json", "auth", "key", "create")
ME = pwd.getpwuid(os.geteuid()).pw_name


def told(repo: Path, *words: str, **env: str) -> Ran:
    """What a command in a repository does; in this process, since there are many of them."""
    out, err = io.StringIO(), io.StringIO()
    theirs = {k: v for k, v in os.environ.items() if not k.startswith(("WORKFLOW_", "BEADFLOW_"))}
    with (
        mock.patch.dict(os.environ, {**theirs, **env}, clear=True),
        contextlib.chdir(repo),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main(words)
    return Ran(code, out.getvalue(), err.getvalue())


def made(repo: Path, user: str, role: str, *more: str) -> dict[str, Any]:
    """A new key, made on the server's own machine."""
    ran = told(repo, *CREATE, "--user", user, "--role", role, *more)
    assert ran.code == 0, ran.err
    return dict(ran.json["data"])


@dataclass
class Keyed:
    """A server that was started after its first key had been made."""

    server: Server
    admin: dict[str, Any]
    viewer: dict[str, Any]

    def told(self, *words: str, key: str = "") -> Ran:
        """A command that names the server, as one from another machine would."""
        env = {"WORKFLOW_URL": self.server.url} | ({"WORKFLOW_API_KEY": key} if key else {})
        return told(self.server.repo, *words, **env)

    def own(self, *words: str) -> Ran:
        """A command of the server's own machine."""
        return told(self.server.repo, *words)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    repo = repository(tmp_path_factory.mktemp("keys") / "shop", {"README.md": "x\n"})
    admin = made(repo, "ann", "admin")
    with Server(repo) as server:
        viewer = made(repo, "vic", "viewer")
        yield Keyed(server, admin, viewer)


def test_without_a_key_a_named_server_lets_nobody_in(keyed: Keyed) -> None:
    ran = keyed.told("workflow", "list")
    assert ran.code == ExitCode.AUTH
    assert "WORKFLOW_API_KEY" in ran.err
    assert keyed.told("workflow", "list", key="bf_wrong_" + "a" * 43).code == ExitCode.AUTH


def test_with_a_key_it_knows_who_asks(keyed: Keyed) -> None:
    ran = keyed.told("-o", "json", "auth", "whoami", key=keyed.admin["secret"])
    found = ran.json["data"]
    assert (found["user_id"], found["via"]) == ("ann", "token")
    assert found["key_id"] == keyed.admin["id"]


def test_on_its_own_machine_the_operator_needs_none(keyed: Keyed) -> None:
    ran = keyed.own("-o", "json", "auth", "whoami")
    found = ran.json["data"]
    assert (found["user_id"], found["via"], found["roles"]) == (ME, "local", ["admin"])
    assert keyed.own("issue", "list").code == 0


def test_a_role_is_what_it_may_and_no_more(keyed: Keyed) -> None:
    key = keyed.viewer["secret"]
    assert keyed.told("issue", "list", key=key).code == 0
    refused = keyed.told("issue", "create", "a title", key=key)
    assert refused.code == ExitCode.AUTH
    assert "issue:write" in refused.err
    assert keyed.told("auth", "key", "list", key=key).code == ExitCode.AUTH


def test_why_is_explained(keyed: Keyed) -> None:
    words = ("auth", "why", "vic", "POST /api/v1/issues")
    said = keyed.own(*words).out
    assert "viewer" in said
    assert "no" in said.split()


def test_a_token_opens_what_its_key_does_while_it_lasts(keyed: Keyed) -> None:
    token = keyed.told("auth", "token", key=keyed.viewer["secret"]).out.strip()
    assert keyed.told("issue", "list", key=token).code == 0
    narrow = ("auth", "token", "--scope", "agent:read")
    less = keyed.told(*narrow, key=keyed.viewer["secret"]).out.strip()
    assert keyed.told("issue", "list", key=less).code == ExitCode.AUTH


def test_a_key_that_is_revoked_opens_nothing_from_then_on(keyed: Keyed) -> None:
    key = made(keyed.server.repo, "eve", "operator")
    with keyed.server.client() as client:
        signed = {"Authorization": f"Bearer {key['secret']}"}
        pair = client.post("/api/v1/auth/token", headers=signed, json={}).json()
        token = {"Authorization": f"Bearer {pair['access_token']}"}
        assert client.get("/api/v1/auth/me", headers=signed).status_code == 200
        assert client.get("/api/v1/auth/me", headers=token).status_code == 200
        assert keyed.own("auth", "key", "revoke", key["id"]).code == 0
        assert client.get("/api/v1/auth/me", headers=signed).status_code == 401
        assert client.get("/api/v1/auth/me", headers=token).status_code == 401


def test_new_signatures_leave_old_tokens_good(keyed: Keyed) -> None:
    token = keyed.told("auth", "token", key=keyed.viewer["secret"]).out.strip()
    assert keyed.own("auth", "rotate").code == 0
    assert keyed.told("issue", "list", key=token).code == 0
    assert keyed.told("issue", "list", key=keyed.viewer["secret"]).code == 0


def test_the_audit_log_knows_who_made_which_key_and_holds(keyed: Keyed) -> None:
    ran = keyed.own("-o", "json", "audit", "--action", "key.create")
    lines = ran.json["data"]
    assert {line["actor"] for line in lines} == {ME}
    assert keyed.admin["id"] in json.dumps(lines)
    assert keyed.own("audit", "--verify").code == 0


def test_no_key_is_in_what_the_server_writes_or_in_the_list_of_processes(keyed: Keyed) -> None:
    secrets = [keyed.admin["secret"], keyed.viewer["secret"]]
    answer = httpx2.get(
        f"{keyed.server.url}/api/v1/workflows/{secrets[0]}?x={secrets[0]}",
        headers={"Authorization": f"Bearer {secrets[0]}", "X-Canary": secrets[0]},
    )
    assert answer.is_error
    signed = subprocess.Popen(
        [str(keyed.server.program), "events", "--watch"],
        env={**os.environ, "WORKFLOW_URL": keyed.server.url, "WORKFLOW_API_KEY": secrets[0]},
        cwd=keyed.server.repo,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert not any(secret in words for secret in secrets for words in command_lines())
    finally:
        signed.kill()
        signed.wait()
    data = DataDir.resolve(keyed.server.repo).path
    files = [path for path in data.rglob("*") if path.is_file()] + [keyed.server.log]
    for path in files:
        held = path.read_bytes()
        # the last part is the secret: the id before it is in the records, to be found by
        assert not [s for s in secrets if s.rpartition("_")[2].encode() in held], path


def command_lines() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield process.read_bytes().decode(errors="replace")
        except OSError:
            continue


def test_without_a_key_a_server_does_not_listen_elsewhere(repo: Path) -> None:
    ran = told(repo, "up", "--port", "0", "--metrics-port", "0", "--host", "0.0.0.0")
    assert ran.code == ExitCode.AUTH
    assert "beadflow auth key create" in ran.err
    assert ran.out == ""
    assert not DataDir.resolve(repo).socket.exists()


def test_with_a_key_it_does_and_knows_nobody_by_their_address(repo: Path) -> None:
    key = made(repo, "ann", "admin")
    config = repo.parent / "beadflow.toml"
    config.write_text('host = "0.0.0.0"\nallowed_hosts = ["beadflow.example.org"]\n')
    with Server(repo, config) as server:
        named = {"Host": "beadflow.example.org"}
        address = f"{server.url}/api/v1/workflows"
        assert httpx2.get(address, headers=named).status_code == 401
        signed = {**named, "Authorization": f"Bearer {key['secret']}"}
        assert httpx2.get(address, headers=signed).status_code == 200
        assert httpx2.get(address, headers={**signed, "Host": "evil.example"}).status_code == 403
        assert told(repo, "workflow", "list").code == 0
    assert "without encryption" in server.log.read_text()


def test_a_watched_start_needs_no_server_and_no_key_where_there_are_keys(
    repo: Path, config: Path
) -> None:
    made(repo, "ann", "admin")
    steps = ("--var", f"ledger={repo.parent / 'ledger'}")
    start = ("workflow", "start", "quick_steps", "Now", "--watch", "--config", str(config), *steps)
    ran = told(repo, *start)
    assert ran.code == 0, ran.err


def test_the_first_key_closes_the_port_of_a_running_server(server: Server) -> None:
    with server:
        assert "beadflow auth key create" in server.log.read_text()
        assert server.get("/api/v1/workflows")["data"] == []
        key = made(server.repo, "ann", "admin")
        with server.client() as client:
            assert client.get("/api/v1/workflows").status_code == 401
        assert told(server.repo, "auth", "key", "revoke", key["id"]).code == 0
        with server.client() as client:
            assert client.get("/api/v1/workflows").status_code == 401  # it does not open again
