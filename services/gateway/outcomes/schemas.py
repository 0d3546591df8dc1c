"""What really happened, as it is told and kept."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Value = Annotated[FiniteFloat, Field(description="What really happened: 0 or 1 for a classification, the number that was forecast for a regression.")]
Note = Annotated[str | None, Field(max_length=1000, pattern=r"^[^\x00]*$", description="For people.")]


class NewOutcome(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    value: Value
    note: Note = None


class OutcomeOf(NewOutcome):
    prediction_id: UUID


class NewOutcomes(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    outcomes: list[OutcomeOf] = Field(min_length=1, max_length=100_000)


class RecordedOutcome(BaseModel):
    prediction_id: UUID
    value: float
    recorded_at: datetime
    actor: str
    note: str | None
    corrects: bool = Field(description="Something else, or the same, was known before; it is kept.")


class Rejected(BaseModel):
    prediction_id: UUID
    row: int = Field(description="Its place among the outcomes, from 0.")
    problem: str


class RecordedOutcomes(BaseModel):
    recorded: int
    corrected: int = Field(description="How many of them were known before.")
    rejected: list[Rejected] = Field(description="One for each outcome that was not recorded.")
