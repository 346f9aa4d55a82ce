"""All operations, by endpoint: the name of a route in its blueprint."""

from typing import Final

from api.operations import agents, analytics, auth, batches, issues, system, workflows
from api.operations.operation import Operation

OPERATIONS: Final[dict[str, Operation]] = {
    **workflows.OPERATIONS,
    **agents.OPERATIONS,
    **analytics.OPERATIONS,
    **issues.OPERATIONS,
    **batches.OPERATIONS,
    **system.OPERATIONS,
    **auth.OPERATIONS,
}
