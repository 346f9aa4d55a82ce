"""pykka's proxies: messages that call a method, or read or set an attribute, of an actor.

A call through a proxy answers as an ask does: a `Refused` goes to the caller, any other error
crashes the actor. A method may be a coroutine function where the actor is a task.
"""

from functools import reduce
from typing import Any

from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr

__all__ = ["PROXIED", "perform"]

PROXIED: frozenset[type] = frozenset({ProxyCall, ProxyGetAttr, ProxySetAttr})


def perform(actor: object, message: Any) -> Any:
    """Does what a proxy's message says; what it returns may have to be awaited."""
    path = message.attr_path
    match message:
        case ProxyCall(args=args, kwargs=kwargs):
            return _attribute(actor, path)(*args, **kwargs)
        case ProxyGetAttr():
            return _attribute(actor, path)
        case _:
            setattr(_attribute(actor, path[:-1]), path[-1], message.value)
            return None


def _attribute(actor: object, path: Any) -> Any:
    return reduce(getattr, path, actor)
