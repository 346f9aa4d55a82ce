"""A real redis-server for one test, on a socket in its own directory."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.coordination.redis_cache import RedisAddress

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")

needs_redis = pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")


class RedisServer:
    """Starts when it is asked to; keeps nothing on the disk unless it is told to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def address(self, password: str = "") -> RedisAddress:
        return RedisAddress(url=f"unix://{password and f':{password}@'}{self._socket}")

    def start(self, *options: str) -> None:
        self._socket.unlink(missing_ok=True)
        at_all = ("--port", "0", "--unixsocket", str(self._socket), "--save", "")
        command = [PROGRAM or "", *at_all, "--dir", str(self._directory), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while not self._listens():
            assert time.monotonic() < until, "redis-server did not start"
            assert self._process.poll() is None, "redis-server ended"
            time.sleep(0.005)

    def _listens(self) -> bool:
        """Its socket is there a moment before anybody is let in."""
        with socket.socket(socket.AF_UNIX) as caller:
            return caller.connect_ex(str(self._socket)) == 0

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(parent: Path, *options: str) -> Iterator[RedisServer]:
    directory = parent / "redis"
    directory.mkdir()
    assert len(os.fsencode(directory)) < 90, "a socket's path is short"
    server = RedisServer(directory)
    server.start(*options)
    try:
        yield server
    finally:
        server.kill()
