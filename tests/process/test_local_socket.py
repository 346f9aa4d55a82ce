"""A real server on the Unix socket of its data directory."""

import os
import stat
from pathlib import Path

import httpx2
import pytest

from storage.home import DataDir
from tests.support.server import Server, run

pytestmark = pytest.mark.process


def test_commands_go_over_the_socket_also_after_the_server_was_killed(server: Server) -> None:
    data = DataDir.resolve(server.repo)
    server.start()
    assert run("workflow", "list", cwd=server.repo).returncode == 0
    server.kill()
    assert data.socket.is_socket()  # nobody was left to remove it
    server.start()
    said = run("doctor", cwd=server.repo)
    assert f"unix:{data.socket}" in said.stdout, said.stderr
    assert server.stop() == 0
    assert not data.socket.exists()


def test_with_a_data_directory_that_is_too_deep_commands_find_it_all_the_same(
    repo: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with Server(repo, data_dir=deep):
        said = run("doctor", "--data-dir", str(deep), cwd=repo, TMPDIR="/nowhere")
        assert "unix:/" in said.stdout


def test_it_answers_as_the_port_does_and_all_that_is_made_is_its_owners_alone(
    server: Server,
) -> None:
    before = os.umask(0)
    try:
        with server:
            data = DataDir.resolve(server.repo)
            transport = httpx2.HTTPTransport(uds=str(data.socket))
            with httpx2.Client(transport=transport, base_url="http://localhost") as client:
                there = client.get("/api/v1/workflows/types")
            assert there.json() == server.get("/api/v1/workflows/types")
            assert run("issue", "create", "one", cwd=server.repo).returncode == 0
            modes = {path: path.lstat().st_mode for path in (data.path, *data.path.rglob("*"))}
    finally:
        os.umask(before)
    assert not [path for path, mode in modes.items() if stat.S_IMODE(mode) & 0o077]
