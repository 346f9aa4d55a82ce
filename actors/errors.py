"""The errors of the application, each with what a door needs to know about it.

`code` is stable and for machines, `status` is HTTP's, `retryable` says whether sending the same
request again is safe and may help, `hint` says what a person can do. They stand beside the name, so
that no door keeps a table of its own.

Those that are also `Refused` are answers: they go back to the asker and crash nobody. The others,
raised in an actor, are crashes like any exception; `DatabaseError` is one of them on purpose, since
an actor whose writes fail for unknown reasons does not know its own state any more.
"""
# ruff: noqa: N818 - NotFound and Conflict are the words of HTTP and of everybody who catches them

from typing import ClassVar

import supervision
from supervision import Refused


class WorkflowError(Exception):
    """Base of the application's errors.

    Args:
        message: what was attempted, on which id, and why not.
        code: a more precise code than the class's.
        hint: more precise advice than the class's.
        cause: what led to it, if there is no `raise … from`.
    """

    code: ClassVar[str] = "workflow_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    hint: ClassVar[str] = "look into the server's log"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.__cause__ = cause
        more_precise = {"code": code, "hint": hint}
        vars(self).update({name: text for name, text in more_precise.items() if text is not None})

    @property
    def cause(self) -> BaseException | None:
        """What led to it, also when it was said with `raise … from`."""
        return self.__cause__


class NotFound(WorkflowError, Refused):
    """There is nothing of this id or name."""

    code = "not_found"
    status = 404
    hint = "check the id, or list what there is"


class Conflict(WorkflowError, Refused):
    """The request does not fit the present state of what it is about."""

    code = "conflict"
    status = 409
    hint = "read the present state and decide again"


class KeyReused(Conflict):
    """A request came with the idempotency key of another one."""

    code = "idempotency_key_reused"
    status = 422
    hint = "use a new idempotency key for a new request"


class Forbidden(WorkflowError, Refused):
    """The caller, or the configuration, does not allow it."""

    code = "forbidden"
    status = 403
    hint = "ask an administrator for the permission, or for the setting that allows it"


class Overloaded(WorkflowError, supervision.Overloaded):
    """There is more work than room for it; try again later."""

    code = "overloaded"
    status = 503
    retryable = True
    hint = "wait a moment and send the same request again"


class StorageFull(WorkflowError, Refused):
    """The disk is full: the write was taken back, reads go on."""

    code = "storage_full"
    status = 507
    retryable = True
    hint = "free some space on the disk of the data directory; writes then go on by themselves"


class ValidationError(WorkflowError, Refused):
    """A field of the request does not hold what it must. `value` is not for display."""

    code = "validation_error"
    status = 422
    hint = "correct the field and send the request again"

    def __init__(
        self,
        message: str,
        *,
        field: str,
        value: object = None,
        code: str | None = None,
        hint: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, cause=cause)
        self.field = field
        self.value = value


class DatabaseError(WorkflowError):
    """A write failed for a reason that is ours: a bug, a damaged file, a disk that errs.

    Args:
        operation: what was attempted, the command in snake case.
        table: the table it failed on, where that is known.
    """

    code = "database_error"
    status = 500
    hint = "look into the server's log for the command's name, and check the data directory's disk"

    def __init__(
        self,
        message: str,
        *,
        operation: str,
        table: str | None = None,
        code: str | None = None,
        hint: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, cause=cause)
        self.operation = operation
        self.table = table


class DatabaseUnavailable(DatabaseError):
    """A writer gave no answer before the deadline; the write may have been made."""

    code = "database_unavailable"
    status = 503
    retryable = True
    hint = "look the id up before you repeat the request, or repeat it with its idempotency key"


class StoreLost(DatabaseUnavailable, Refused):
    """A file of the stores was deleted, moved or replaced: nothing is written until it is back.

    Who waits for a writer that does not answer waits for this, too; a request does not.
    """

    code = "store_lost"
    status = 503
    retryable = False
    hint = (
        "move the data directory back as it was and writes go on, or stop the server and restore a"
        " backup"
    )


class StoreDamaged(DatabaseError, Refused):
    """A database is damaged: nothing is written to it any more, and reads may fail."""

    code = "store_damaged"
    status = 500
    hint = "stop the server, keep a copy of the data directory, and restore a backup"


class AgentError(WorkflowError):
    """An agent could not do what it was asked to."""

    code = "agent_error"
    status = 500
    hint = "look at the agent's status and at the workflow's log"

    def __init__(
        self,
        message: str,
        *,
        agent_id: str,
        agent_type: str,
        code: str | None = None,
        hint: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, cause=cause)
        self.agent_id = agent_id
        self.agent_type = agent_type


class ExternalServiceError(WorkflowError):
    """A service outside answered with an error, or not at all (`status_code` is then None).

    Args:
        service: which one, as its circuit breaker is called.
        endpoint: what was called there, without credentials.
        retry_after_s: seconds after which the service said that it may be asked again.
    """

    code = "external_service_error"
    status = 502
    retryable = True
    hint = "check that the service can be reached from this machine, and try again"

    def __init__(
        self,
        message: str,
        *,
        service: str,
        endpoint: str,
        status_code: int | None = None,
        retry_after_s: float | None = None,
        code: str | None = None,
        hint: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, cause=cause)
        self.service = service
        self.endpoint = endpoint
        self.status_code = status_code
        self.retry_after_s = retry_after_s


class CircuitOpen(ExternalServiceError, Refused):
    """A service that failed is left alone for now: it was not called. A refusal, not a crash."""

    code = "circuit_open"
    status = 503
    hint = "wait as long as the message says: it is tried again by itself"
