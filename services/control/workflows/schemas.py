from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from services.control.requests import Actor, Payload, Reason, Text

Status = Literal["queued", "running", "succeeded", "failed", "stopped"]
INPUT = r"^(/.*\.(csv|csv\.gz|parquet)|runs:/[0-9a-f]{32}/.+\.(csv|csv\.gz|parquet)|table:[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?)$"
StepStatus = Literal["pending", "running", "succeeded", "failed", "stopped"]


class Synthetic(Payload):
    """Which rows are made up. What is left out is as the catalogue says."""

    rows: Annotated[int, Field(ge=100, le=1_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    drift: Annotated[float, Field(ge=0, le=5)] | None = None


class Parameters(Synthetic):
    """Where the rows come from. What is left out is as the catalogue says."""

    source: Literal["synthetic", "files", "live", "recent"] | None = None
    data_dir: Text | None = None
    """With source `files`: an absolute path where the steps run."""

    @field_validator("data_dir")
    @classmethod
    def absolute(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            raise ValueError("must be an absolute path")
        return value

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        if self.source not in (None, "files") and self.data_dir is not None:
            raise ValueError(f"data_dir belongs to source files, not to {self.source}")
        return self


class TrainParameters(Parameters):
    rollout: Literal["direct", "shadow"] | None = None
    """What the gate lets pass serves at once, or is tried in the shadow of what serves first. Direct unless given."""


class ReplayParameters(Payload):
    """Moments in ISO 8601 with an offset."""

    version: Annotated[Text, Field(min_length=1, max_length=40)] | None = None
    """The one that is tried unless given."""
    since: Annotated[Text, Field(max_length=40)] | None = None
    until: Annotated[Text, Field(max_length=40)] | None = None
    limit: Annotated[int, Field(ge=1, le=10_000_000)] | None = None

    @field_validator("since", "until")
    @classmethod
    def a_moment(cls, value: str | None) -> str | None:
        if value is not None and datetime.fromisoformat(value).tzinfo is None:
            raise ValueError("must have an offset from UTC, such as 2026-11-21T14:03:00+00:00")
        return value


class ScoreParameters(Parameters):
    version: Annotated[Text, Field(min_length=1, max_length=40)] | None = None
    """The one that serves unless given."""
    partitions: Annotated[int, Field(ge=1, le=32)] | None = None
    input: Annotated[Text, Field(max_length=1000, pattern=INPUT)] | None = None
    """A file, as the steps see it or as MLflow has it, or a table; in place of the model's data source."""
    audit: Literal["summary", "rows"] | None = None
    """Of an input; summary unless given."""
    resume: Annotated[Text, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """The MLflow run of a scoring of an input that did not come to its end."""

    @model_validator(mode="after")
    def of_one_place(self) -> Self:
        places = [name for name in ("input", "resume") if getattr(self, name) is not None]
        of_the_model = [name for name in ("source", "data_dir", "rows", "seed", "drift") if getattr(self, name) is not None]
        if len(places) > 1 or (places and of_the_model):
            raise ValueError(f"{places[0]} names what is scored: {', '.join(places[1:] + of_the_model)} cannot be given beside it")
        if self.audit is not None and not places:
            raise ValueError("audit belongs to input or resume: the model's own data source is scored without audit")
        return self


class PredictParameters(Parameters):
    rows: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many of the newest; 100 unless given."""


class DriftParameters(Payload):
    """Whose answers, and which: what is left out is the version that serves, and as the catalogue says."""

    version: Annotated[Text, Field(min_length=1, max_length=40)] | None = None
    rows: Annotated[int, Field(ge=1, le=100_000)] | None = None
    hours: Annotated[int, Field(ge=1, le=8760)] | None = None


class ForecastParameters(Payload):
    interval: Literal[60, 1440] | None = None
    """Minutes of a candle; 60 unless given."""


PARAMETERS: dict[str, type[Payload]] = {
    "train": TrainParameters,
    "score": ScoreParameters,
    "predict": PredictParameters,
    "generate": Synthetic,
    "drift": DriftParameters,
    "evidently": DriftParameters,
    "forecast": ForecastParameters,
    "replay": ReplayParameters,
}
Kind = Literal["train", "score", "predict", "generate", "drift", "evidently", "forecast", "replay"]


class Submission(Payload):
    kind: Kind
    model: Text
    parameters: SerializeAsAny[Payload] = Synthetic()
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
    next: UUID | None
    """Cursor of the next page."""
