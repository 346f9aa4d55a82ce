"""The Unix socket of a data directory, on which this machine's own user is known without a key.

Only its owner can connect (0600 in a directory that is 0700); the kernel says whose process did.
It is made by who holds the data directory's lock, so a socket that is there already was left behind
by a process that has ended, and is replaced.
"""

import os
import pwd
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

import trio

BACKLOG: Final = 512
LOCAL_USER: Final = "local"
"""The name of a user whom the account database does not know, as in many containers."""

_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid
_OWNER_ONLY = 0o177


@contextmanager
def local_socket(path: Path) -> Iterator[socket.socket]:
    """A listening Unix socket of this user alone; its file is removed in the end.

    The lock of the data directory is held by the caller, and no other thread makes files meanwhile:
    the umask is the whole process's.

    Raises:
        FileExistsError: there is something at `path` that is no socket.
        OSError: a socket cannot be made there.
    """
    _remove(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        before = os.umask(_OWNER_ONLY)
        try:
            listening.bind(os.fspath(path))
        finally:
            os.umask(before)
        try:
            listening.listen(BACKLOG)
            listening.setblocking(False)
            yield listening
        finally:
            with suppress(OSError):
                path.unlink()


def _remove(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(f"{path} is there and is no socket")
    path.unlink()


def peer(connected: trio.socket.SocketType) -> str | None:
    """The name of the user at the other end of a Unix socket; None for any other."""
    if connected.family != socket.AF_UNIX:
        return None
    return user_name(_peer_uid(connected))


def _peer_uid(connected: trio.socket.SocketType) -> int:
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:  # not Linux: nobody but the owner can connect
        return os.geteuid()
    _, uid, _ = _PEER.unpack(connected.getsockopt(socket.SOL_SOCKET, option, _PEER.size))
    return int(uid)


@lru_cache(maxsize=64)
def user_name(uid: int) -> str:
    """The account's name; it may be looked up in a directory elsewhere, so it is remembered."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return LOCAL_USER
