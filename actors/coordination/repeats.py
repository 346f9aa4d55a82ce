"""Repeated requests: one that comes again with its idempotency key is answered, and not done.

For all requests but starts, whose keys stand beside their workflows: a key of one of them is
refused here, and one from here to a start (`other_than_start`). A key is written in the transaction
that makes its request true, so there is never one without the other. What changes the coordination
database looks it up there (`known`, `remember`); what can refuse a request that was done already,
since it is done, looks first (`answered`). Of requests that nobody inside knows by a key, the door
keeps the whole answer (`keep_answer`), once they are done.
"""

import hashlib
import sqlite3
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from actors.coordination import reading
from actors.coordination.messages import RecordAnswer
from actors.errors import KeyReused
from storage import payload
from storage.coordination import repeats
from storage.lookups import Reads

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def fingerprint(request: "DataclassInstance") -> str:
    """Tells a repeated request from another one. Its key, where it has one, is no part of it.

    Raises:
        PayloadError: a field holds what is not JSON.
    """
    names = [field.name for field in fields(request) if field.name != "idempotency_key"]
    asked = {name: getattr(request, name) for name in names}
    text = payload.encode([type(request).__name__, asked])
    return hashlib.sha256(text.encode()).hexdigest()


def known(connection: sqlite3.Connection, key: str, sha256: str) -> Any | None:
    """What the request with this key was answered; None when there was none.

    Raises:
        KeyReused: the key came with another request.
    """
    row = repeats.get(connection, key)
    if row is None:
        _refuse_start(repeats.started(connection, key))
    return _answer(row, sha256)


def other_than_start(connection: sqlite3.Connection, key: str) -> bool:
    """Whether the key came with a request that started nothing."""
    return repeats.get(connection, key) is not None


def remember(
    connection: sqlite3.Connection, key: str, sha256: str, *, answer: Any, at: str
) -> None:
    """Write down what a request is answered. `answer` is JSON, and not null."""
    repeats.put(connection, key, request_sha256=sha256, answer=payload.encode(answer), at=at)


async def answered(pool: Reads, key: str, sha256: str) -> Any | None:
    """As `known`, from read-only connections.

    Raises:
        KeyReused: the key came with another request.
        Overloaded: the database could not be read in time.
    """
    row = await reading.repeated(pool, key)
    if row is None:
        _refuse_start(await reading.started(pool, key))
    return _answer(row, sha256)


async def is_known(pool: Reads, key: str) -> bool:
    """Whether anything was done with the key, a start included.

    Raises:
        Overloaded: the database could not be read in time.
    """
    row = await reading.repeated(pool, key)
    return row is not None or await reading.started(pool, key) is not None


def keep_answer(connection: sqlite3.Connection, command: RecordAnswer) -> None:
    there = repeats.get(connection, command.key)  # a start that came meanwhile undoes nothing
    if _answer(there, command.request_sha256) is None:
        remember(
            connection, command.key, command.request_sha256, answer=command.answer, at=command.at
        )


def _refuse_start(row: sqlite3.Row | None) -> None:
    if row is not None:
        raise KeyReused(f"this idempotency key started workflow {row['tempolite_workflow_id']}")


def _answer(row: sqlite3.Row | None, sha256: str) -> Any | None:
    if row is None:
        return None
    if row["request_sha256"] != sha256:
        raise KeyReused("this idempotency key came with another request")
    return payload.decode(row["answer"])
