"""What users import: workflows, activities and agents, and the errors they meet.

Everything else in this distribution is the system itself and may change.
"""

from actors.agents.kit.usage import Usage
from actors.agents.protocol import Agent, Task
from actors.agents.report import AgentHealth, AgentMetrics
from actors.errors import ValidationError
from actors.workflows.activities import ActivityInfo, activity_info
from actors.workflows.branches import Selected
from actors.workflows.context import Context
from actors.workflows.definition import (
    ActivityFailure,
    NotDone,
    RetryPolicy,
    activity,
    workflow,
)
from actors.workflows.execution import CancelledError
from actors.workflows.gates import Decision
from actors.workflows.replay import NonDeterminismError
from actors.workflows.saga import CompensationError, Saga
from actors.workflows.steps import ActivityError
from actors.workflows.transaction import Transaction
from actors.workflows.waits import ChildError

__all__ = [
    "ActivityError",
    "ActivityFailure",
    "ActivityInfo",
    "Agent",
    "AgentHealth",
    "AgentMetrics",
    "CancelledError",
    "ChildError",
    "CompensationError",
    "Context",
    "Decision",
    "NonDeterminismError",
    "NotDone",
    "RetryPolicy",
    "Saga",
    "Selected",
    "Task",
    "Transaction",
    "Usage",
    "ValidationError",
    "activity",
    "activity_info",
    "workflow",
]
