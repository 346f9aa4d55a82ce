"""The Unix socket of a data directory: who may connect, and who they are taken for."""

import os
import pwd
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from api.local_socket import LOCAL_USER, local_socket, user_name
from api.server import HttpDoor
from supervision import ChildSpec, System, supervisor
from tests.api.wire import read_all


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    before = os.umask(0)
    yield tmp_path / "beadflow.sock"
    os.umask(before)


async def who(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app that says whose connection it was asked on."""
    del receive
    body = f"{scope['state'].get('local_user')} {scope['client']}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def test_nobody_but_its_owner_can_connect_whatever_the_umask_is(place: Path) -> None:
    with local_socket(place):
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert os.umask(0) == 0


def test_it_is_gone_in_the_end(place: Path) -> None:
    with local_socket(place):
        assert place.is_socket()
    assert not place.exists()


def test_what_a_dead_process_left_is_replaced(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    with local_socket(place), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place))


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_what_is_no_socket_is_left_alone(place: Path, kind: str) -> None:
    if kind == "file":
        place.write_text("mine")
    elif kind == "link":
        place.symlink_to(place.parent / "canary.sock")
    else:
        place.mkdir()
    with pytest.raises(FileExistsError, match="no socket"), local_socket(place):
        raise AssertionError
    assert os.path.lexists(place)
    assert not (place.parent / "canary.sock").exists()


async def test_an_app_is_told_whose_process_asks(place: Path) -> None:
    with local_socket(place) as listening:
        spec = ChildSpec(
            id="local_http",
            name="local_http",
            build=lambda: HttpDoor(build=lambda _: who, listening=listening),
            shutdown_s=8.0,
        )
        async with System.open() as system:
            await system.start(supervisor("root", "one_for_one", [spec]))
            async with await trio.open_unix_socket(str(place)) as wire:
                await wire.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = await read_all(wire)
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert answer.endswith(f"\r\n\r\n{me} None".encode())


def test_a_user_without_an_account_has_a_name() -> None:
    assert user_name(2**31 - 2) == LOCAL_USER
