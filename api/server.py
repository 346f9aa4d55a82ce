"""The API actor and the metrics actor: ASGI apps under supervision.

Each serves on a socket that was bound once, before the tree: a restarted door takes a copy of the
same descriptor, and connections wait in the kernel's queue meanwhile instead of being refused.

The API is on two: a TCP port, and the Unix socket of the data directory, which is for the commands
of this machine's own user.
"""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import trio
from hypercorn.config import Config
from prometheus_client import CollectorRegistry

from api.app import create_app, create_metrics_app
from api.connections import GRACE_S, Connections
from api.doors import Doors
from api.exposure import DEFAULT, Exposure
from supervision import Actor, ChildSpec

START_DEADLINE_S = 10.0
WEBSOCKET_LIMIT_BYTES = 64 * 1024
WEBSOCKET_PING_S = 20.0
NOBODY_COUNTED = Exposure(rates=None)
HEADER_LIMIT_BYTES = 16 * 1024


class HttpDoor(Actor):
    """Serves an ASGI app, made anew at each start, until it is stopped.

    Args:
        build: makes the app; it is given the event that says that the door is closing, for what
            would otherwise not end by itself.
        listening: the bound and listening socket; this actor serves on a copy of it.
        exposure: how far it is open.
    """

    def __init__(
        self,
        *,
        build: Callable[[trio.Event], Any],
        listening: socket.socket,
        exposure: Exposure = DEFAULT,
    ) -> None:
        super().__init__()
        self._exposure = exposure
        self._build = build
        self._listening = listening

    async def on_start(self) -> None:
        up = trio.Event()
        self.spawn(self._serve, up)
        with trio.fail_after(START_DEADLINE_S):
            await up.wait()

    async def _serve(self, up: trio.Event) -> None:
        """Serve until this task is cancelled; then let requests in progress end."""
        closing = trio.Event()
        connections = Connections(self._build(closing), _config(), self._exposure)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_set_when_cancelled, closing)
            with trio.CancelScope(shield=True):
                await connections.serve(self._listening, closing, up.set)


async def _set_when_cancelled(closing: trio.Event) -> None:
    try:
        await trio.sleep_forever()
    finally:
        closing.set()


def _config() -> Config:
    config = Config()
    config.websocket_max_message_size = WEBSOCKET_LIMIT_BYTES
    config.websocket_ping_interval = WEBSOCKET_PING_S
    config.h11_max_incomplete_size = HEADER_LIMIT_BYTES
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    return config


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket.

    Args:
        host: an address of this machine, or a name; who may ask from elsewhere is not decided here.
        port: 0 picks a free one.

    Raises:
        OSError: the port is taken, or the host is none of this machine's.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(512)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def doors_specs(
    doors: Doors,
    registry: CollectorRegistry,
    *,
    http: socket.socket,
    metrics: socket.socket,
    local: socket.socket,
    exposure: Exposure = DEFAULT,
) -> list[ChildSpec]:
    """The specs of the API's actors, for the tree.

    `exposure` says how far those on TCP are open; on the Unix socket nobody is counted.
    """
    return [
        _door("local_http", partial(create_app, doors, trust="machine"), local, NOBODY_COUNTED),
        _door("http", partial(create_app, doors, trust="keys"), http, exposure),
        _door("metrics", partial(create_metrics_app, registry), metrics, exposure),
    ]


def _door(
    name: str,
    build: Callable[..., Any],
    listening: socket.socket,
    exposure: Exposure,
) -> ChildSpec:
    build = partial(build, exposure=exposure)
    return ChildSpec(
        id=name,
        name=name,
        build=lambda: HttpDoor(build=build, listening=listening, exposure=exposure),
        shutdown_s=GRACE_S + 5.0,
    )
