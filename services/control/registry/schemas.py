from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.control.deployments.schemas import Policy, PolicyVersion, Version
from services.control.requests import Document, Payload, Text

Name = Annotated[Text, Field(min_length=1, max_length=500)]


class Registration(Payload):
    """A new version, as the pipeline's register step reports it."""

    version: Version
    run_id: Name
    artifact: Name
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    source: Name
    data_hash: Name
    engine: Name
    metrics: Document
    policy: Policy | None


class Rule(Payload):
    """One rule of the gate. What it measured and allowed is kept as it came."""

    model_config = ConfigDict(extra="allow")

    rule: Text
    passed: bool
    words: Text


class Judgement(Payload):
    model_config = ConfigDict(extra="allow")

    passed: bool
    rules: list[Rule]

    @model_validator(mode="after")
    def agrees(self) -> Self:
        if self.passed != all(rule.passed for rule in self.rules):
            raise ValueError(f"passed is {str(self.passed).lower()}, which the rules contradict")
        return self


class VerdictReport(Payload):
    verdict: Judgement


class VersionDocument(BaseModel):
    """`artifact` and `sha256` are for runners that are pinned to a version."""

    version: str
    created_at: datetime
    run_id: str
    artifact: str
    sha256: str
    source: str
    engine: str
    data_hash: str
    metrics: dict[str, Any]
    policy: dict[str, Any] | None
    verdict: dict[str, Any] | None
    champion: bool
    mlflow_url: str


class Versions(BaseModel):
    versions: list[VersionDocument]
    next: str | None
    """Cursor of the next page."""


class ChampionDocument(BaseModel):
    version: str
    since: datetime
    by: str


class ReplicaDocument(BaseModel):
    """`version`, `policy_version` and `engine` are null while the replica has nothing loaded."""

    replica: str
    version: str | None
    policy_version: int | None
    engine: str | None
    reported_at: datetime
    refused: list[dict[str, Any]]


class ModelDocument(BaseModel):
    name: str
    title: str
    summary: str
    owner: str
    task: Literal["classification", "regression"]
    champion: ChampionDocument | None
    policy: PolicyVersion | None
    latest_version: str | None
    metrics: dict[str, Any] | None
    replicas: list[ReplicaDocument]


class Models(BaseModel):
    models: list[ModelDocument]
    next: str | None
    """Cursor of the next page."""


class Evaluation(BaseModel):
    model: str
    version: str
    created_at: datetime
    metrics: dict[str, Any]


class Best(VersionDocument):
    """The best version by the metric of the model's gate, of a regression by its MSE, measured on its own hold-out; real data comes before synthetic."""

    model: str
    metric: str
    value: float


class PredictionDocument(BaseModel):
    id: UUID
    created_at: datetime
    model: str
    model_version: str
    policy_version: int | None
    username: str
    request_id: str
    batch_id: UUID | None
    row_number: int | None
    input: Any
    output: Any
    score: float | None
    decision: str | None
    latency_ms: float
