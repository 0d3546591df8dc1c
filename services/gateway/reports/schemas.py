"""What a batch was, in numbers."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class Bin(BaseModel):
    """`to` itself belongs to the next one, and to the last."""

    begin: float = Field(serialization_alias="from")
    end: float = Field(serialization_alias="to")
    rows: int


class Failed(BaseModel):
    """Rows before the last stored one that have no prediction. What failed behind that is told in the upload's answer alone."""

    count: int
    positions: list[int] = Field(description="The first 50 of them, from 0.")


class Scores(BaseModel):
    min: float
    mean: float
    max: float


class BatchSummary(BaseModel):
    batch_id: UUID
    model: str
    model_versions: list[str] = Field(description="One: a batch is answered by one version.")
    policy_versions: list[int]
    created_at: datetime
    username: str
    request_id: str
    rows: int = Field(description="That were answered.")
    failed: Failed
    decisions: dict[str, int] = Field(description="Rows by decision; empty for a regression.")
    scores: Scores | None = Field(description="Of the probabilities, or the predictions.")
    histogram: list[Bin] = Field(description="Rows by score in 20 equal bins; probabilities from 0 to 1.")
