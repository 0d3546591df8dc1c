"""What starts a workflow run, and a run as control tells of it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat

from services.gateway.numbers import WHOLE

Kind = Literal["train", "score", "predict", "generate", "drift", "evidently", "forecast", "replay"]
Status = Literal["queued", "running", "succeeded", "failed", "stopped"]
INPUT = r"^(/[^\x00]*\.(csv|csv\.gz|parquet)|runs:/[0-9a-f]{32}/[^\x00]+\.(csv|csv\.gz|parquet)|table:[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?)$"
Reason = Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00]*$", description="Why; kept with the run, and in the ledger when it promotes.")]
Seed = Annotated[int, Field(ge=0, lt=2**32, description="The same seed gives the same rows; the catalogue's unless given."), WHOLE]
Drift = Annotated[FiniteFloat, Field(ge=0, le=5, description="How far the synthetic population has moved: 0 is the documented one, 1 a clearly different one.")]
Rows = Annotated[int, Field(ge=100, le=1_000_000, description="How many synthetic rows; the catalogue's number unless given."), WHOLE]


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(max_length=63, description="A model of the catalogue.")
    reason: Reason | None = None


class Train(Asked):
    source: Literal["synthetic", "files", "live", "recent"] | None = Field(
        None,
        description="Where the rows come from; as the catalogue says unless given. recent: the data of the version that serves, and rows with outcomes",
    )
    data_dir: str | None = Field(
        None, min_length=1, max_length=1000, pattern=r"^/[^\x00]*$", description="With source files: an absolute path where the steps run."
    )
    rows: Rows | None = None
    seed: Seed | None = None
    drift: Drift | None = None


class Score(Train):
    version: str | None = Field(None, min_length=1, max_length=40, pattern=r"^[A-Za-z0-9._-]+$", description="The one that serves unless given.")
    partitions: Annotated[int, Field(ge=1, le=32), WHOLE] | None = Field(
        None, description="How many parts are scored side by side; one for 50,000 rows unless given."
    )
    input: str | None = Field(
        None,
        examples=[None],
        max_length=1000,
        pattern=INPUT,
        description="Scored in place of the model's data source: an absolute path where the steps run, or runs:/RUN/PATH of MLflow, of a .csv, .csv.gz or "
        ".parquet file; or table:NAME. docs/scoring.md",
    )
    audit: Literal["summary", "rows"] | None = Field(
        None,
        examples=[None],
        description="Of an input: a record of each part (summary, the default), or also every row as a prediction of the audit, through the gateway.",
    )
    resume: str | None = Field(
        None, pattern=r"^[0-9a-f]{32}$", examples=[None], description="The MLflow run of a scoring of an input that did not come to its end: goes on with it."
    )


class Predict(Train):
    rows: Annotated[int, Field(ge=1, le=100_000), WHOLE] | None = Field(None, description="How many of the newest; 100 unless given.")


class Training(Train):
    rollout: Literal["direct", "shadow"] | None = Field(
        None, description="What the gate lets pass serves at once (the default for a training that somebody asked for), or is tried beside what serves first."
    )


class Replay(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: str | None = Field(None, min_length=1, max_length=40, pattern=r"^[A-Za-z0-9._-]+$", description="The one that is tried unless given.")
    since: AwareDatetime | None = Field(None, description="Rows answered from then on; all that the version that serves answered unless given.")
    until: AwareDatetime | None = Field(None, description="And before then.")
    limit: Annotated[int, Field(ge=1, le=10_000_000), WHOLE] | None = Field(None, description="So many rows at most, the newest.")
    reason: Reason | None = None


class Generate(Asked):
    rows: Rows
    seed: Seed | None = None
    drift: Drift | None = None


class Check(BaseModel):
    """Which answers are looked at; those of the version that serves, as many as the catalogue says, unless given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: str | None = Field(None, min_length=1, max_length=40, pattern=r"^[A-Za-z0-9._-]+$", description="Whose answers.")
    rows: Annotated[int, Field(ge=1, le=100_000), WHOLE] | None = Field(None, description="The newest so many.")
    hours: Annotated[int, Field(ge=1, le=8760), WHOLE] | None = Field(None, description="None older than so many hours.")
    reason: Reason | None = None


class Retrain(Asked):
    source: Literal["synthetic", "live", "recent"] | None = Field(None, description="As of a training; the catalogue's unless given.")


class Step(BaseModel):
    name: str
    status: Literal["pending", "running", "succeeded", "failed", "stopped"]
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None = Field(description="2: the data or the arguments are wrong, and trying again does not help.")
    result: dict[str, Any] | None


class Run(BaseModel):
    id: UUID
    kind: str
    model: str
    parameters: dict[str, Any] = Field(description="What was asked for; what is not there is as the catalogue says.")
    reason: str
    actor: str = Field(description="Who asked for it.")
    status: Status
    steps: list[Step]
    result: dict[str, Any] | None = Field(description="The last step's result, with the ids that the steps before it gave.")
    error: str | None = Field(description="In words, why it failed.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Retraining(BaseModel):
    """A decision about a retraining."""

    id: int
    model: str
    reason: Literal["drift", "performance", "schedule", "data", "manual"]
    decision: Literal["submitted", "refused"]
    rule: str | None = Field(description="Of a refusal: the rule that spoke against it.")
    why: str
    detail: dict[str, Any] = Field(description="What was found, by whoever found a reason.")
    actor: str
    run_id: UUID | None
    created_at: datetime
    times: int = Field(description="How often the same was refused for the same reason within an hour of the first time.")
    last_at: datetime


class Retrainings(BaseModel):
    retrainings: list[Retraining]
    next: int | None = Field(description="Cursor of the next page.")


class Retrained(Run):
    retraining: Retraining


class Delivery(BaseModel):
    channel: str
    status: Literal["waiting", "sent", "failed"]
    attempts: int
    next_at: datetime
    sent_at: datetime | None
    error: str | None


class Notification(BaseModel):
    id: int
    event: str
    level: str
    model: str
    title: str
    words: str
    fields: dict[str, str]
    created_at: datetime
    deliveries: list[Delivery] = Field(description="One for each channel that wants it.")


class Notifications(BaseModel):
    notifications: list[Notification]
    next: int | None = Field(description="Cursor of the next page.")


class Runs(BaseModel):
    workflows: list[Run]
    next: UUID | None = Field(description="Cursor of the next page.")
