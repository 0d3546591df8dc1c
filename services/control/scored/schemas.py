from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from services.control.requests import Payload, Text

MLFLOW_RUN = r"^[0-9a-f]{32}$"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=2**31)]


class Part(Payload):
    """A part of a file or a table that is scored: by what, how many rows, and what makes its input and its output these and no others."""

    run_id: Annotated[str, Field(pattern=MLFLOW_RUN)]
    """Of MLflow."""
    part: Count
    version: Annotated[Text, Field(min_length=1, max_length=40)]
    policy_version: int | None
    audit: Literal["summary", "rows"]
    rows: Count
    refused: Count
    input_sha256: Sha256
    output_sha256: Sha256
    artifact: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_.-]*[A-Za-z0-9_-])+$", max_length=300)]
    """Where the answers are, below MLflow's artifacts."""
    batch_id: Annotated[UUID, Field(strict=False)] | None
    """Of the audit, where every row is recorded."""


class Kept(BaseModel):
    """A part as it was told the first time."""

    run_id: str
    part: int
    model: str
    version: str
    policy_version: int | None
    audit: str
    rows: int
    refused: int
    input_sha256: str
    output_sha256: str
    artifact: str
    batch_id: UUID | None
    created_at: datetime


class Totals(BaseModel):
    parts: int
    rows: int
    refused: int


class Scored(BaseModel):
    parts: list[Kept]
    """In their order."""
    next: int | None
    """What `after` is for the next page."""
    totals: Totals
    """Of all that is done so far."""
