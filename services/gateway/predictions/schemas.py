"""What the audit shows, and the parts of an answer that are the platform's."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema


class Versions(BaseModel):
    model: str
    model_version: str
    policy_version: int | None = Field(description="Version of the decision policy; null for a regression.")


class Answered(BaseModel):
    prediction_id: UUID = Field(description="Finds this answer again at /predictions/{prediction_id}; its first 48 bits are the time in milliseconds.")


class KnownOutcome(BaseModel):
    value: float
    recorded_at: datetime
    actor: str


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
    outcome: KnownOutcome | None = Field(None, description="What really happened, as it was told last; null while nobody has told.")


class History(BaseModel):
    predictions: list[Prediction]
    next: UUID | None = Field(
        description="Cursor of the next page; null when there is none. The page may be shorter than asked for, and there is more all the same."
    )


def _in_utc(moment: datetime) -> datetime:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(moment, datetime(1970, 1, 1, tzinfo=UTC))


def _written(moment: object) -> object:
    """A number would be taken for seconds since 1970."""
    if isinstance(moment, str) and "-" not in moment[1:]:
        raise ValueError("must be a date, or a date and a time, in the form of ISO 8601")
    return moment


MOMENT_FORMS = {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}
Moment = Annotated[datetime, BeforeValidator(_written), AfterValidator(_in_utc), WithJsonSchema(MOMENT_FORMS)]
"""A time; without an offset it is UTC. Before 1970 there is nothing."""
