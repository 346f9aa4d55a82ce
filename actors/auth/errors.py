"""Refusals of those who keep the doors."""
# ruff: noqa: N818 - the words of HTTP

from actors.errors import WorkflowError
from supervision import Refused


class Unauthenticated(WorkflowError, Refused):
    """Nobody knows who asks: there is no credential, or it opens nothing."""

    code = "unauthenticated"
    status = 401
    hint = "send Authorization: Bearer with an API key or an access token"
