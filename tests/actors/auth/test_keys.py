"""API keys: made once, kept as a hash, opened until they end."""

from pathlib import Path
from typing import Any

import pytest

from actors.auth.errors import Unauthenticated
from actors.auth.messages import Authenticate, CreateKey, ExchangeKey, GetStanding, RevokeKey
from actors.auth.roles import GRANTS, Role
from tests.support.world import running_system


def make(**given: Any) -> CreateKey:
    return CreateKey(**{"user_id": "ada", "roles": (Role.ADMIN,), "by": "local", **given})


async def test_a_key_and_its_tokens_open_until_the_key_is_revoked(repo: Path) -> None:
    async with running_system(repo) as running:
        assert not (await running.ask("auth", GetStanding())).has_keys
        new = await running.ask("auth", make())
        pair = await running.ask("auth", ExchangeKey(key=new.secret))
        for credential in (new.secret, pair.access_token):
            principal = await running.ask("auth", Authenticate(credential=credential))
            assert principal.user_id == "ada"
            assert principal.permissions == GRANTS[Role.ADMIN]
        await running.ask("auth", RevokeKey(key_id=new.record.id, by="local"))
        for credential in (new.secret, pair.access_token):
            with pytest.raises(Unauthenticated):
                await running.ask("auth", Authenticate(credential=credential))
        standing = await running.ask("auth", GetStanding())
        assert standing.has_keys
        assert not standing.opens
