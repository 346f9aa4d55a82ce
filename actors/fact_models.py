"""What each type of event holds: one model for each. Documentation and tests are held to them.

A field that is not always there has a default, and is left out where it does not apply. Whoever
adds a type adds its model here, and its row to docs/events.md, which says when it happens.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actors import facts


class Data(BaseModel):
    """The data of an event; what is not listed is not there."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_not_there(cls, data: Any) -> Any:
        """Where a field need not be there, it is left out, and never null."""
        if isinstance(data, dict):
            optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
            null = sorted(name for name in optional & data.keys() if data[name] is None)
            if null:
                raise ValueError(f"null instead of nothing: {', '.join(null)}")
        return data


class Fault(Data):
    code: str
    message: str


class Queued(Data):
    type: str
    version: int
    agent_type: str | None = None
    reason: str | None = None


class Started(Data):
    type: str
    version: int | None = None
    paused: Literal[True] | None = None


class Updated(Data):
    fields: list[Literal["priority", "title", "variables"]] = Field(min_length=1)
    author: str
    title: str | None = None
    priority: int | None = Field(default=None, ge=0, le=4)


class Signaled(Data):
    name: str
    message_id: str


class CancelRequested(Data):
    reason: str
    resumes: Literal[True] | None = None


class Reason(Data):
    reason: str


class Resumed(Data):
    queued: bool | None = None


class ContinuedAsNew(Data):
    run: int
    version: int


class Completed(Data):
    type: str
    summary: str
    agent_id: str | None = None
    author: str | None = None
    reason: str | None = None


class Retried(Data):
    author: str
    queued: bool
    from_: int = Field(alias="from")
    run: int | None = None


class WorkflowFailed(Fault):
    type: str


class Ended(Reason):
    type: str


class Assigned(Data):
    agent_id: str
    agent_type: str | None = None
    assignment_id: int | None = None
    step_number: int | None = None
    reason: str | None = None


class HandedOn(Data):
    from_agent: str
    to_agent: str | None
    to_type: str
    step_number: int
    reason: str
    assignment_id: int


class AgentNamed(Data):
    agent_id: str
    agent_type: str


class AgentRegistered(AgentNamed):
    max_workload: int | None


class AgentUnregistered(AgentNamed):
    moved: list[str]


class AgentLeaving(AgentNamed):
    reason: str


class StateReconciled(Data):
    found: int
    repaired: int
    reported: int
    codes: list[str]


class Circuit(Data):
    service: str
    retry_in_s: float
    why: str


class ResultStored(Data):
    result_type: str
    step: str
    version: int
    agent_type: str | None
    agent_id: str | None
    confidence_score: float | None


class ArtifactStored(Data):
    name: str
    version: int
    sha256: str
    size: int
    media_type: str
    step: str | None
    agent_type: str | None
    agent_id: str | None


class Step(Data):
    step: str
    activity: str


class StepScheduled(Step):
    agent_type: str


class StepStarted(Step):
    agent_id: str | None = None
    attempt: int


class StepProgress(Step):
    agent_id: str
    attempt: int
    message: str
    fraction: float | None = Field(ge=0, le=1)


class UsageRecorded(Step):
    agent_id: str
    agent_type: str
    attempt: int
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cache_read_tokens: int = Field(ge=0)
    cache_write_tokens: int = Field(ge=0)
    cost_usd: float | None = Field(default=None, ge=0)


class StepRetried(Step):
    attempt: int
    agent_id: str | None = None
    wait_s: float | None = None
    next_at: str | None = None
    code: str | None = None
    message: str | None = None


class StepCompleted(Step):
    attempts: int | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    seconds: float | None = None


class StepFailed(Step):
    attempts: int | None = None
    code: str
    message: str
    agent_id: str | None = None


class StepCancelled(Data):
    step: str
    operation: str
    reason: str


class TimerStarted(Data):
    step: str
    fire_at: str


class TimerFired(Data):
    step: str


class SignalConsumed(Data):
    step: str
    name: str


class GateRequested(Data):
    step: str
    title: str
    description: str
    signal: str
    timeout_s: float | None = None
    expires_at: str | None = None


class GateOpened(Data):
    title: str
    step: str | None = None
    expires_at: str | None = None


class GateAnswered(GateOpened):
    approved: bool
    by: str
    why: str
    timed_out: Literal[True] | None = None


class GateWithdrawn(GateOpened):
    why: str


class Child(Data):
    step: str
    type: str
    child_id: str


class ChildFailed(Child):
    code: str
    message: str


class CompensationStarted(Data):
    step: str
    reason: str
    undos: list[str]


class Line(Data):
    source: str
    level: str
    message: str


class Lagged(Data):
    from_: int = Field(alias="from")
    to: int
    dropped: int


class IssueCreated(Data):
    change: Literal["created", "changed", "adopted", "removed"]
    fields: list[str]
    status: str | None
    status_before: str | None
    title: str | None
    workflow_id: str | None
    priority: int | None = None
    actor: str | None = None


class IssueChanged(IssueCreated):
    holder: str | None = None
    automatic: bool | None = None


MODELS: Final[Mapping[str, type[Data]]] = {
    facts.WORKFLOW_QUEUED: Queued,
    facts.WORKFLOW_STARTED: Started,
    facts.WORKFLOW_UPDATED: Updated,
    facts.WORKFLOW_SIGNALED: Signaled,
    facts.WORKFLOW_CANCEL_REQUESTED: CancelRequested,
    facts.WORKFLOW_PAUSED: Reason,
    facts.WORKFLOW_RESUMED: Resumed,
    facts.WORKFLOW_STALLED: Fault,
    facts.WORKFLOW_CONTINUED_AS_NEW: ContinuedAsNew,
    facts.WORKFLOW_COMPLETED: Completed,
    facts.WORKFLOW_FAILED: WorkflowFailed,
    facts.WORKFLOW_CANCELLED: Ended,
    facts.WORKFLOW_TERMINATED: Ended,
    facts.WORKFLOW_DEAD_LETTERED: Fault,
    facts.AGENT_ASSIGNED: Assigned,
    facts.AGENT_HANDOFF: HandedOn,
    facts.AGENT_REGISTERED: AgentRegistered,
    facts.AGENT_UNREGISTERED: AgentUnregistered,
    facts.AGENT_DRAINING: AgentLeaving,
    facts.AGENT_DRAINED: AgentLeaving,
    facts.AGENT_ACTIVATED: AgentNamed,
    facts.RESULT_STORED: ResultStored,
    facts.ARTIFACT_STORED: ArtifactStored,
    facts.STEP_SCHEDULED: StepScheduled,
    facts.STEP_STARTED: StepStarted,
    facts.STEP_PROGRESS: StepProgress,
    facts.USAGE_RECORDED: UsageRecorded,
    facts.STEP_RETRIED: StepRetried,
    facts.STEP_COMPLETED: StepCompleted,
    facts.STEP_FAILED: StepFailed,
    facts.STEP_CANCELLED: StepCancelled,
    facts.TIMER_STARTED: TimerStarted,
    facts.TIMER_FIRED: TimerFired,
    facts.SIGNAL_CONSUMED: SignalConsumed,
    facts.GATE_REQUESTED: GateRequested,
    facts.GATE_OPENED: GateOpened,
    facts.GATE_ANSWERED: GateAnswered,
    facts.GATE_WITHDRAWN: GateWithdrawn,
    facts.CHILD_STARTED: Child,
    facts.CHILD_COMPLETED: Child,
    facts.CHILD_FAILED: ChildFailed,
    facts.COMPENSATION_STARTED: CompensationStarted,
    facts.LOG: Line,
    facts.LAGGED: Lagged,
    facts.WORKFLOW_RETRIED: Retried,
    facts.AGENT_LOST: AgentLeaving,
    facts.AGENT_RECOVERED: AgentNamed,
    facts.STATE_RECONCILED: StateReconciled,
    facts.CIRCUIT_OPENED: Circuit,
    facts.CIRCUIT_HALF_OPENED: Circuit,
    facts.CIRCUIT_CLOSED: Circuit,
    facts.ISSUE_CREATED: IssueCreated,
    facts.ISSUE_UPDATED: IssueChanged,
    facts.ISSUE_CLOSED: IssueChanged,
}
"""Every type of event."""


def check(kind: str, data: Mapping[str, Any]) -> None:
    """Raises `pydantic.ValidationError` where the data is not what its type says."""
    MODELS[kind].model_validate(dict(data))


def fields(kind: str) -> dict[str, bool]:
    """The fields of a type's data, and whether each is always there."""
    found = MODELS[kind].model_fields
    return {field.alias or name: field.is_required() for name, field in found.items()}


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON schema of each type's data, by type."""
    return {kind: model.model_json_schema() for kind, model in sorted(MODELS.items())}
