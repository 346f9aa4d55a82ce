"""What clients send and get of results and artifacts, as models."""

from typing import Any

from pydantic import Field

from api.models import Strict, Words


class ResultRequest(Strict):
    """Body of POST /api/v1/workflows/{id}/results."""

    result_type: str = Field(strict=True)
    result_data: Any
    step: str | None = Field(default=None, strict=True)
    agent_type: str | None = Field(default=None, strict=True)
    agent_id: str | None = Field(default=None, strict=True)
    confidence_score: float | None = Field(default=None, strict=True)


class ResultsQuery(Strict):
    """Query of GET /api/v1/results and GET /api/v1/workflows/{id}/results."""

    type: str | None = None
    step: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    since: str | None = None
    until: str | None = None
    min_confidence: float | None = None
    version: int | None = None
    latest: bool = False
    limit: int = Field(default=1000, ge=1, le=1000)
    cursor: str | None = None
    fields: Words = Field(default_factory=list)


class ArtifactsQuery(Strict):
    """Query of GET /api/v1/workflows/{id}/artifacts."""

    step: str | None = None
    latest: bool = False
    limit: int = Field(default=200, ge=1, le=1000)
    cursor: str | None = None


class ArtifactQuery(Strict):
    """Query of GET /api/v1/workflows/{id}/artifacts/{name}."""

    version: int | None = None
