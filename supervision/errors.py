"""What can go wrong between an asker and an actor, and what the asker may do about it.

Two families. A `Refused` is an answer: the actor is well and says no, to the asker alone. The
others say that no answer came, and differ in whether the message may have run: `ActorRestarting`
never ran, `ActorDeadError` and `AskTimeout` may have. Every class declares the stable code, the
HTTP status and whether sending the same message again is safe, beside its name, so that no door
keeps a table.
"""

from typing import ClassVar

import pykka

from supervision.words import words

__all__ = [
    "ActorDeadError",
    "ActorRestarting",
    "AskTimeout",
    "ChildExists",
    "ChildRunning",
    "ChildUnknown",
    "LinkBroken",
    "MailboxFull",
    "NameTaken",
    "Overloaded",
    "Refused",
    "RestartsExceeded",
    "ShutdownDeadlineExceeded",
    "SpecError",
    "StartError",
    "ThreadStillRunning",
    "UnansweredDelivery",
    "UnexpectedMessage",
]


class Refused(Exception):  # noqa: N818  an answer, not an error of the program
    """An actor's expected no: it goes back to the asker and crashes nobody.

    Subclasses declare `code` (stable, for machines), `status` (HTTP) and `retryable` (whether the
    same request may be sent again unchanged).
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 422
    retryable: ClassVar[bool] = False


class Overloaded(Refused):
    """There is more work than room for it; nothing was done."""

    code = "overloaded"
    status = 503
    retryable = True


class MailboxFull(Overloaded):
    """The mailbox held as many messages as it may; this one was not taken."""

    code = "mailbox_full"


class UnexpectedMessage(Refused):
    """The actor has no handler for this type of message."""

    code = "unexpected_message"
    status = 500


class ChildExists(Refused):
    """The supervisor already has a child of this id."""

    code = "child_exists"
    status = 409


class ChildUnknown(Refused):
    """The supervisor has no child of this id."""

    code = "child_unknown"
    status = 404


class ChildRunning(Refused):
    """The child runs, or is about to be started again: it can be neither restarted nor deleted."""

    code = "child_running"
    status = 409


class NameTaken(Refused):
    """A running actor already answers to this name."""

    code = "name_taken"
    status = 409


class StartError(Refused):
    """A child failed to start. `path` is the child's, `__cause__` what its `on_start` raised."""

    code = "start_failed"
    status = 500

    def __init__(self, path: str, cause: BaseException) -> None:
        super().__init__(f"{path} did not start: {words(cause)}")
        self.path = path
        self.cause = cause


class ActorDeadError(pykka.ActorDeadError):
    """The actor is gone and will not answer. A message it had begun may have run."""

    code: ClassVar[str] = "actor_dead"
    status: ClassVar[int] = 503
    retryable: ClassVar[bool] = False


class ActorRestarting(Exception):  # noqa: N818  a state, and a safe one
    """The actor is between two incarnations. The message never ran: send it again by name."""

    code: ClassVar[str] = "actor_restarting"
    status: ClassVar[int] = 503
    retryable: ClassVar[bool] = True


class AskTimeout(Exception):  # noqa: N818  named as pykka names its Timeout
    """No answer within the deadline. The message is not undone: it may still run."""

    code: ClassVar[str] = "ask_timeout"
    status: ClassVar[int] = 504
    retryable: ClassVar[bool] = False

    def __init__(self, target: str, message_type: str, deadline_s: float) -> None:
        super().__init__(f"{target} did not answer {message_type} within {deadline_s:g} s")
        self.target = target
        self.message_type = message_type
        self.deadline_s = deadline_s


class SpecError(ValueError):
    """A child spec or a supervisor's settings cannot be right; the message names the bad value."""


class RestartsExceeded(Exception):  # noqa: N818  OTP's words
    """A supervisor restarted its children more often than its intensity allows, and gives up."""


class LinkBroken(Exception):  # noqa: N818  the cause in an exit reason
    """An actor that this one was linked to has ended, and this one with it."""


class ShutdownDeadlineExceeded(Exception):  # noqa: N818  the cause in an exit reason
    """The actor had not stopped by its shutdown deadline and was cancelled."""


class ThreadStillRunning(Exception):  # noqa: N818  a state that forbids a restart
    """A thread actor did not stop by its deadline. It cannot be killed, so it is never replaced."""


class UnansweredDelivery(Exception):  # noqa: N818  the cause in an exit reason
    """`on_deliveries` returned without answering or refusing an ask it was handed."""
