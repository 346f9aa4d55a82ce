"""A model's service that tests of the kit speak to."""

from collections.abc import Iterator

import pytest

from tests.support.chat_server import ChatServer, chat_server


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server
