from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field


class Part(BaseModel):
    run_id: str = Field(description="Of MLflow.")
    part: int
    model: str
    version: str
    policy_version: int | None
    audit: Literal["summary", "rows"]
    rows: int = Field(description="Answered.")
    refused: int
    input_sha256: str
    output_sha256: str = Field(description="Of the file that `answers` gives.")
    artifact: str = Field(description="That file's place below MLflow's artifacts.")
    batch_id: UUID | None = Field(description="Of the audit, where every row is recorded.")
    created_at: datetime


class Totals(BaseModel):
    parts: int
    rows: int
    refused: int


class Scored(BaseModel):
    parts: list[Part] = Field(description="In their order.")
    next: int | None = Field(description="`after` of the next page.")
    totals: Totals = Field(description="Of all that is done so far.")
