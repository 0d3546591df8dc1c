"""From an answer back to what it was made of."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from services.gateway.models.documents import LedgerEntry, PolicyRecord, Version
from services.gateway.predictions.schemas import Prediction, Versions


class Lineage(BaseModel):
    """All that an answer stands on."""

    prediction: Prediction
    version: Version = Field(description="With the hash of its training data, the run that made it, its metrics and the gate's verdict.")
    code_revision: str | None = Field(description="Git commit that it was trained by; null where there was no repository.")
    policy: PolicyRecord | None = Field(description="What decided; null for a regression.")
    deployment: LedgerEntry | None = Field(description="Who let the version answer, when and why.")
    policy_deployment: LedgerEntry | None = Field(description="Who put the policy in force.")
    head: str | None = Field(description="Head of the ledger's chain now.")


class Difference(BaseModel):
    field: str
    stored: Any
    reproduced: Any


class Run(BaseModel):
    """One way to compute the answer again."""

    engine: str
    way: Literal["rows", "columns"] = Field(description="Answers to a file or a batch are made in columns.")
    exact: bool
    differences: list[Difference]


class Reproduction(Versions):
    """Whether the stored version and policy give the stored answer again."""

    prediction_id: UUID
    exact: bool = Field(description="To the bit: score, decision and each field of the answer.")
    words: str
    artifact_sha256: str | None = Field(description="Of the files that computed it; null when they could not be used.")
    runs: list[Run] = Field(description="Each engine that the version has, in both ways.")


class Then(BaseModel):
    """What answered at a moment, according to the ledger; replicas follow it within about a second."""

    model: str
    moment: datetime
    version: str
    policy_version: int | None
    threshold: float | None
    data_hash: str = Field(description="Of the training data.")
    source: str
    since: datetime = Field(description="Since when the version served.")
    actor: str
    reason: str
    deployment: LedgerEntry
    policy_deployment: LedgerEntry | None
    challenger: str | None
    canary_percent: int


class Broken(BaseModel):
    id: int
    rule: Literal["hash", "link"]
    words: str


class Checked(BaseModel):
    model: str
    rows: int
    ok: bool
    head: str | None = Field(description="Note it: a chain that is written anew as a whole has another one.")
    broken: list[Broken]
    known: bool | None = Field(None, description="Whether the hash that was asked for is in the chain.")
