"""Control's comparison of two versions, for the description of the API."""

from datetime import datetime
from typing import Any

from pydantic import Field

from services.gateway.models.documents import Document


class Live(Document):
    """What a version answered since the trial began, or in the last ten minutes of it."""

    version: str
    rows: int
    failed: int = Field(description="Rows that a runner could not answer, since it loaded the version.")
    mean_score: float | None
    latency_ms: dict[str, float] | None = Field(description="p50 and p99 of single rows, as the gateway measures them.")


class Trial(Document):
    version: str
    champion: str
    since: datetime
    shadow_percent: int
    canary_percent: int


class ShadowReport(Document):
    model: str
    version: str
    trial: Trial | None = Field(description="Null when the version is not being tried now: the report is the last one that was made.")
    scored: int = Field(description="Rows that the version has scored in the shadow.")
    failed: int = Field(description="Those of them that it could not score.")
    made_at: datetime | None
    report: dict[str, Any] | None = Field(description="rows, errors, flips, segments, score, cost, latency; see the documentation's page on rollouts.")
    live: list[Live]
    judgement: dict[str, Any] | None = Field(description="What the rules of the catalogue say of the report: verdict, and each rule in words.")
