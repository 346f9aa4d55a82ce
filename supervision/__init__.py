"""The kernel: what makes any actor run, stop and be restarted.

Every actor is a pykka actor. An `Actor` runs as a trio task, a `BlockingActor` in an OS thread of
its own. Supervisors start them in order, restart them in OTP's words, and stop them in reverse.
Nothing here knows what the actors are for.
"""

from supervision.actor import Actor
from supervision.backoff import Backoff
from supervision.blocking import BlockingActor
from supervision.child import ChildSpec
from supervision.children import (
    ChildCount,
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from supervision.dead_letters import DeadLetter
from supervision.delivery import Delivery
from supervision.dynamic import DynamicSupervisor
from supervision.errors import (
    ActorDeadError,
    ActorRestarting,
    AskTimeout,
    ChildExists,
    ChildRunning,
    ChildUnknown,
    LinkBroken,
    MailboxFull,
    NameTaken,
    Overloaded,
    Refused,
    RestartsExceeded,
    ShutdownDeadlineExceeded,
    SpecError,
    StartError,
    ThreadStillRunning,
    UnansweredDelivery,
    UnexpectedMessage,
)
from supervision.events import (
    ActorCrashed,
    ActorExited,
    ActorRestarted,
    ActorStarted,
    ChildGaveUp,
    DeadLetters,
    Event,
    MailboxOverflow,
    RestartScheduled,
    TellRefused,
    ThreadAbandoned,
)
from supervision.exits import ExitReason
from supervision.info import ActorInfo
from supervision.intensity import Intensity
from supervision.links import Down, Exit
from supervision.ref import ActorRef, Named, Target
from supervision.reply import Reply
from supervision.request import (
    Answer,
    Ask,
    ask,
    ask_blocking,
    ask_many,
    ask_then,
    tell,
    tell_blocking,
)
from supervision.supervisor import supervisor
from supervision.system import System
from supervision.work import Deferred

__all__ = [
    "Actor",
    "ActorCrashed",
    "ActorDeadError",
    "ActorExited",
    "ActorInfo",
    "ActorRef",
    "ActorRestarted",
    "ActorRestarting",
    "ActorStarted",
    "Answer",
    "Ask",
    "AskTimeout",
    "Backoff",
    "BlockingActor",
    "ChildCount",
    "ChildExists",
    "ChildGaveUp",
    "ChildRunning",
    "ChildSpec",
    "ChildUnknown",
    "CountChildren",
    "DeadLetter",
    "DeadLetters",
    "Deferred",
    "DeleteChild",
    "Delivery",
    "Down",
    "DynamicSupervisor",
    "Event",
    "Exit",
    "ExitReason",
    "Intensity",
    "LinkBroken",
    "MailboxFull",
    "MailboxOverflow",
    "NameTaken",
    "Named",
    "Overloaded",
    "Refused",
    "Reply",
    "RestartChild",
    "RestartScheduled",
    "RestartsExceeded",
    "ShutdownDeadlineExceeded",
    "SpecError",
    "StartChild",
    "StartError",
    "System",
    "Target",
    "TellRefused",
    "TerminateChild",
    "ThreadAbandoned",
    "ThreadStillRunning",
    "UnansweredDelivery",
    "UnexpectedMessage",
    "WhichChildren",
    "ask",
    "ask_blocking",
    "ask_many",
    "ask_then",
    "supervisor",
    "tell",
    "tell_blocking",
]
