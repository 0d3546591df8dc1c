from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bentos.catalogue import Costs, RiskLevels
from services.control.requests import Actor, Payload, Reason, Text, storable

Version = Annotated[Text, Field(min_length=1, max_length=40)]


class Policy(Payload):
    """How a probability becomes a decision, as training suggests it or a person sets it."""

    threshold: float = Field(gt=0, lt=1)
    costs: Costs
    risk_levels: RiskLevels


class PolicyVersion(Policy):
    version: int


class Promotion(Payload):
    version: Version
    reason: Reason
    actor: Actor
    force: bool = False
    """Promotes although the gate refused the version, or never saw it."""


class Rollback(Payload):
    reason: Reason
    actor: Actor
    to: Version | None = None
    """A version that has served before; without it, the one before the last promotion."""


class PolicyChange(Payload):
    """What is left out stays as it is."""

    threshold: float | None = Field(default=None, gt=0, lt=1)
    costs: Costs | None = None
    risk_levels: RiskLevels | None = None
    reason: Reason
    actor: Actor

    @model_validator(mode="after")
    def changes_something(self) -> Self:
        if self.threshold is None and self.costs is None and self.risk_levels is None:
            raise ValueError("give at least one of threshold, costs, risk_levels")
        return self


class LedgerEntry(BaseModel):
    id: int
    action: Literal["promote", "rollback", "policy"]
    from_version: str | None
    to_version: str
    from_policy: int | None
    to_policy: int | None
    actor: str
    reason: str
    verdict: dict[str, Any] | None
    created_at: datetime


class LedgerPage(BaseModel):
    entries: list[LedgerEntry]
    next: int | None


class Artifact(BaseModel):
    version: str
    artifact: str
    sha256: str


class Desired(BaseModel):
    """What the runners of a model are to serve. There is no challenger yet."""

    model: str
    deployment: int | None
    champion: Artifact | None
    challenger: None = None
    shadow_percent: int = 0
    canary_percent: int = 0
    policy: PolicyVersion | None

    @property
    def etag(self) -> str:
        return f'"{self.deployment or 0}"'


class Loaded(BaseModel):
    model_config = ConfigDict(extra="allow")

    version: str


class Report(BaseModel):
    """A runner's /slots: the parts that are read here. All of it is kept."""

    model_config = ConfigDict(extra="allow")

    model: str
    replica: str = Field(min_length=1, max_length=200)
    champion: Loaded | None
    refused: list[dict[str, Any]] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def can_be_kept(cls, value: Any) -> Any:
        return storable(value)
