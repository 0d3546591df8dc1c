from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from services.control.requests import Actor, Payload, Reason, Text

Status = Literal["queued", "running", "succeeded", "failed", "stopped"]
StepStatus = Literal["pending", "running", "succeeded", "failed", "stopped"]


class Parameters(Payload):
    """Where the rows come from. What is left out is as the catalogue says."""

    source: Literal["synthetic", "files"] | None = None
    data_dir: Text | None = None
    """With source `files`: an absolute path where the steps run."""
    rows: Annotated[int, Field(ge=100, le=1_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    drift: Annotated[float, Field(ge=0, le=5)] | None = None

    @field_validator("data_dir")
    @classmethod
    def absolute(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            raise ValueError("must be an absolute path")
        return value

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        if self.source == "synthetic" and self.data_dir is not None:
            raise ValueError("data_dir belongs to source files, not to synthetic")
        return self


class ScoreParameters(Parameters):
    version: Annotated[Text, Field(min_length=1, max_length=40)] | None = None
    """The one that serves unless given."""
    partitions: Annotated[int, Field(ge=1, le=32)] | None = None


class PredictParameters(Parameters):
    rows: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many of the newest; 100 unless given."""


PARAMETERS: dict[str, type[Parameters]] = {"train": Parameters, "score": ScoreParameters, "predict": PredictParameters}


class Submission(Payload):
    kind: Literal["train", "score", "predict"]
    model: Text
    parameters: Parameters = Parameters()
    reason: Reason
    actor: Actor

    @field_validator("parameters", mode="before")
    @classmethod
    def of_the_kind(cls, value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("kind")
        return value if kind is None else PARAMETERS[kind].model_validate(value)


class Ended(Payload):
    workflow: Annotated[Text, Field(min_length=1, max_length=253)]
    status: Annotated[Text, Field(max_length=40)]


class StepRecord(BaseModel):
    name: str
    status: StepStatus = "pending"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    result: dict[str, Any] | None = None


class Run(BaseModel):
    """`result` joins what the steps gave; `error` says in words why a run failed."""

    id: UUID
    kind: str
    model: str
    parameters: dict[str, Any]
    reason: str
    actor: str
    status: Status
    steps: list[StepRecord]
    result: dict[str, Any] | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Runs(BaseModel):
    workflows: list[Run]
