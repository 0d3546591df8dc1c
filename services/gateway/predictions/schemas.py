"""What the audit shows, and the parts of an answer that are the platform's."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field


class Versions(BaseModel):
    model: str
    model_version: str
    policy_version: int | None = Field(description="Version of the decision policy; null for a regression.")


class Answered(BaseModel):
    prediction_id: UUID = Field(description="Finds this answer again at /predictions/{prediction_id}; its first 48 bits are the time in milliseconds.")


class Prediction(Versions):
    """One row of the audit."""

    prediction_id: UUID
    created_at: datetime
    username: str
    request_id: str
    batch_id: UUID | None
    row_number: int | None = Field(description="Position within its batch, from 0.")
    input: dict[str, Any]
    output: dict[str, Any]
    score: float | None = Field(description="Probability of the positive class, or the forecast.")
    decision: str | None
    latency_ms: float = Field(description="From the request's arrival to the beginning of its commit.")


class History(BaseModel):
    predictions: list[Prediction]
    next: UUID | None = Field(description="Cursor of the next page.")


def _in_utc(moment: datetime) -> datetime:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment < datetime(1970, 1, 1, tzinfo=UTC):
        raise ValueError("must not be before 1970")
    return moment


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A time; without an offset it is UTC."""
