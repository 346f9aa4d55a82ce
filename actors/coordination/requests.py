"""Everything about a start that can refuse it without asking anybody. Pure."""

import hashlib
import json
import unicodedata
from typing import Any, Final

from actors.coordination.messages import StartWorkflow
from actors.errors import ValidationError
from actors.ids import is_chosen_id, is_reserved_id
from actors.workflows.definition import Definitions, WorkflowDefinition
from storage import payload
from storage.errors import PayloadError

TITLE_LIMIT_BYTES: Final = 500
PRIORITIES: Final = range(5)
VARIABLES_LIMIT_BYTES: Final = 256 * 1024


def check(request: StartWorkflow, definitions: Definitions) -> WorkflowDefinition:
    """What is to be started.

    Raises:
        ValidationError: with the field that is wrong.
        NotFound: there is no such workflow.
    """
    check_title(request.title, "issue_title")
    check_priority(request.priority)
    _check_id(request.workflow_id)
    definition = definitions.get(request.workflow_type)
    check_variables(request.variables)
    definition.parse(request.variables)
    _check_agent_type(request.agent_type, definition)
    return definition


def _check_agent_type(agent_type: str | None, definition: WorkflowDefinition) -> None:
    """Who may not be handed a workflow does not begin it either."""
    if agent_type is not None and definition.agents and agent_type not in definition.agents:
        raise ValidationError(
            f"a workflow of type {definition.name!r} has no work for agents of type"
            f" {agent_type!r}; those that may have it are {', '.join(sorted(definition.agents))}",
            field="agent_type",
            value=agent_type,
        )


def _check_id(workflow_id: str | None) -> None:
    if workflow_id is not None and is_reserved_id(workflow_id):
        raise ValidationError(
            f"no workflow can be called {workflow_id!r}: in addresses it means something else",
            field="workflow_id",
            value=workflow_id,
        )
    if workflow_id is not None and not is_chosen_id(workflow_id):
        raise ValidationError(
            "a workflow id is 1 to 100 letters, digits, hyphens, underscores, tildes and dots; it "
            "begins with a letter or a digit, and does not end in a dot and a number, as ids of "
            "children do",
            field="workflow_id",
            value=workflow_id,
        )


def check_variables(variables: dict[str, Any]) -> None:
    try:
        size = len(payload.encode(variables).encode())
    except PayloadError as error:
        raise ValidationError(f"variables: {error}", field="variables") from error
    if size > VARIABLES_LIMIT_BYTES:
        raise ValidationError(
            f"the variables are {size} bytes, the limit is {VARIABLES_LIMIT_BYTES}",
            field="variables",
        )


def check_priority(priority: int) -> None:
    if priority not in PRIORITIES:
        raise ValidationError(
            f"priority is 0 (critical) to 4 (some day), not {priority}",
            field="priority",
            value=priority,
        )


def check_title(title: str, field: str) -> None:
    try:
        size = len(title.encode())
    except UnicodeEncodeError as error:
        raise ValidationError("the title is no Unicode text", field=field) from error
    if not title.strip() or size > TITLE_LIMIT_BYTES:
        raise ValidationError(
            f"the title is 1 to {TITLE_LIMIT_BYTES} bytes of text, not {size}",
            field=field,
            value=title,
        )
    if any(unicodedata.category(char) == "Cc" for char in title):
        raise ValidationError("the title is one line: it holds a control character", field=field)


def fingerprint(request: StartWorkflow) -> str:
    """Tells a repeated request from another one; its key is no part of it."""
    asked: list[Any] = [
        request.title,
        request.workflow_type,
        request.agent_type,
        request.priority,
        request.variables,
    ]
    if request.workflow_id is not None:  # before, none could be chosen
        asked.append(request.workflow_id)
    text = json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
