from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from services.control.deployments.schemas import Version
from services.control.requests import Document, Payload, Text

Replica = Annotated[Text, Field(min_length=1, max_length=200)]
Duration = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Taking(Payload):
    version: Version
    replica: Replica


class Score(Payload):
    """`error` in place of a score. Times in microseconds, of a call with this row alone."""

    id: UUID = Field(strict=False)
    score: float | None = None
    decision: Annotated[Text, Field(max_length=100)] | None = None
    error: Annotated[Text, Field(max_length=500)] | None = None
    latency_us: Duration | None = None
    champion_us: Duration | None = None


class Scores(Taking):
    scores: list[Score] = Field(min_length=1, max_length=5000)


class Reported(Taking):
    report: Document


class Live(BaseModel):
    """What a version answered lately."""

    version: str
    rows: int
    failed: int
    mean_score: float | None
    latency_ms: dict[str, float] | None


class TrialShown(BaseModel):
    version: str
    champion: str
    since: str
    shadow_percent: int
    canary_percent: int


class Shown(BaseModel):
    model: str
    version: str
    trial: TrialShown | None
    scored: int
    failed: int
    made_at: str | None
    report: dict[str, Any] | None
    live: list[Live]
    judgement: dict[str, Any] | None
