"""What users import: workflows, activities and agents, and the errors they meet.

Everything else in this distribution is the system itself and may change.
"""

from actors.agents.protocol import Agent, Task
from actors.workflows.activities import ActivityInfo, activity_info
from actors.workflows.context import ActivityError, Context
from actors.workflows.definition import ActivityFailure, RetryPolicy, activity, workflow
from actors.workflows.replay import NonDeterminismError

__all__ = [
    "ActivityError",
    "ActivityFailure",
    "ActivityInfo",
    "Agent",
    "Context",
    "NonDeterminismError",
    "RetryPolicy",
    "Task",
    "activity",
    "activity_info",
    "workflow",
]
