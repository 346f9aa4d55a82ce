"""Text from outside: what the room of all agents has for it."""

from actors.agents.kit.untrusted import code, escaped, plain, without_credentials

__all__ = ["code", "escaped", "plain", "without_credentials"]
