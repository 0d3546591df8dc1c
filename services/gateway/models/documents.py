"""Control's answers about models, for the description of the API: they are passed on as they are, in these forms."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

NEXT = Field(description="Cursor of the next page.")


class Document(BaseModel):
    model_config = ConfigDict(extra="allow")


class Policy(Document):
    """How a probability becomes a decision."""

    version: int
    threshold: float
    costs: dict[str, float]
    risk_levels: dict[str, float]


class PolicyRecord(Policy):
    actor: str
    reason: str
    created_at: datetime


class Champion(Document):
    version: str
    since: datetime
    by: str


class Replica(Document):
    replica: str
    version: str | None = Field(description="Null while nothing is loaded.")
    policy_version: int | None
    engine: str | None
    reported_at: datetime
    refused: list[dict[str, Any]]


class Model(Document):
    name: str
    title: str
    summary: str
    owner: str
    task: Literal["classification", "regression"]
    champion: Champion | None
    policy: Policy | None
    latest_version: str | None
    metrics: dict[str, Any] | None = Field(description="Of the champion.")
    replicas: list[Replica]


class Models(Document):
    models: list[Model]
    next: str | None = NEXT


class Version(Document):
    version: str
    created_at: datetime
    run_id: str
    artifact: str
    sha256: str
    source: str
    engine: str
    data_hash: str
    metrics: dict[str, Any] = Field(description="holdout, baseline, training, cv and what else training measured.")
    policy: dict[str, Any] | None = Field(description="As training suggests it.")
    verdict: dict[str, Any] | None = Field(description="What the gate said.")
    champion: bool
    mlflow_url: str


class Versions(Document):
    versions: list[Version]
    next: str | None = NEXT


class ReplicaProbe(Document):
    address: str
    version: str | None = Field(description="Of its own answer to the schema's example; null while it gave none.")
    policy_version: int | None
    seconds: float


class Verification(Document):
    """Each replica was asked at its own address until its answers were those of the entry."""

    complete: bool
    seconds: float = Field(description="From the decision until the last replica followed; or until it was given up.")
    replicas: list[ReplicaProbe]
    verified_at: datetime


class LedgerEntry(Document):
    id: int
    action: Literal["promote", "rollback", "policy", "shadow", "canary", "withdraw"]
    from_version: str | None
    to_version: str
    from_policy: int | None
    to_policy: int | None
    actor: str
    reason: str
    verdict: dict[str, Any] | None
    created_at: datetime
    challenger: str | None = Field(None, description="Who is tried beside it from then on.")
    challenger_policy: int | None = None
    shadow_percent: int = Field(0, description="Of the answered rows, which the challenger scores too.")
    canary_percent: int = Field(0, description="Of the callers, whom the challenger answers.")
    hash: str = Field(description="SHA-256 that binds the entry to all before it: the head of the model's chain once it is written.")
    verification: Verification | None = Field(None, description="Null until the replicas have been asked.")


class Ledger(Document):
    entries: list[LedgerEntry]
    next: int | None = NEXT


class Window(Document):
    rows: int
    from_: datetime = Field(alias="from")
    to: datetime


class DriftReport(Document):
    """One check. `features` and `score` have each statistic, the probability of chance before and after the correction, and a verdict."""

    id: int
    created_at: datetime
    version: str
    window: Window
    policy: dict[str, Any] = Field(description="The catalogue's, as it was.")
    features: list[dict[str, Any]]
    score: dict[str, Any] | None
    performance: dict[str, Any] | None = Field(description="Live beside hold-out; null while no outcome is known.")
    alarm: bool
    words: str


class DriftReports(Document):
    reports: list[DriftReport]
    next: int | None = NEXT


class PerformanceReport(Document):
    """What became of the answers of the last days, by version, day of prediction and segment; figures have 95 % intervals."""

    id: int
    created_at: datetime
    champion: str | None
    days: int
    rows: int = Field(description="Outcomes that were known.")
    answered: int
    versions: list[dict[str, Any]]
    alarm: bool
    words: str


class PerformanceReports(Document):
    reports: list[PerformanceReport]
    next: int | None = NEXT


class Evaluation(Document):
    model: str
    version: str
    created_at: datetime
    metrics: dict[str, Any] = Field(
        description="`holdout` has each metric with its 95 % interval, and beside it `baseline`; `training` and `cv` say how it did on what it learnt from."
    )


class Best(Version):
    model: str
    metric: str
    value: float


class RegisteredModel(Versions):
    name: str
    title: str


class RegisteredModels(Document):
    models: list[RegisteredModel]
    next: str | None = NEXT
