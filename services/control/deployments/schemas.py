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


class Trial(Payload):
    """`percent`: of the answered rows that a shadow scores too, or of the callers that a canary answers; the catalogue's unless given."""

    version: Version
    mode: Literal["shadow", "canary"]
    percent: int | None = Field(default=None, ge=1, le=100)
    reason: Reason
    actor: Actor


class Withdrawal(Payload):
    reason: Reason
    actor: Actor


class Rollback(Payload):
    reason: Reason
    actor: Actor
    to: Version | None = None
    """A version that has served before; without it, the one before the last promotion."""
    policy_only: bool = False
    """The version stays; the policy becomes the one before."""

    @model_validator(mode="after")
    def goes_back_to_one_thing(self) -> Self:
        if self.policy_only and self.to is not None:
            raise ValueError("`to` names a version; with `policy_only` the version stays")
        return self


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


class ReplicaProbe(Payload):
    """What a replica answered with when it was asked last; `seconds` after the decision."""

    address: Annotated[Text, Field(min_length=1, max_length=300)]
    version: Version | None
    policy_version: int | None
    seconds: float = Field(ge=0)


class Verification(Payload):
    """Whether every replica's answers have come to be those that an entry says; `seconds` after the decision."""

    complete: bool
    seconds: float = Field(ge=0)
    replicas: Annotated[list[ReplicaProbe], Field(max_length=1000)]


class Verified(BaseModel):
    complete: bool
    seconds: float
    replicas: list[ReplicaProbe]
    verified_at: datetime


class LedgerEntry(BaseModel):
    """`hash` is the head of the model's chain once the entry is in it; `verification` is null until the gateway has asked the replicas."""

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
    challenger: str | None = None
    challenger_policy: int | None = None
    shadow_percent: int = 0
    canary_percent: int = 0
    hash: str
    verification: Verified | None = None


class LedgerPage(BaseModel):
    entries: list[LedgerEntry]
    next: int | None


class Artifact(BaseModel):
    version: str
    artifact: str
    sha256: str


class Desired(BaseModel):
    """What the runners of a model are to serve. `challenger_policy` is what the challenger decides by, where it decides."""

    model: str
    deployment: int | None = None
    champion: Artifact | None = None
    challenger: Artifact | None = None
    challenger_policy: PolicyVersion | None = None
    shadow_percent: int = 0
    canary_percent: int = 0
    policy: PolicyVersion | None = None
    watch_seconds: float = 0
    """How long from now on runners are to report every other second."""

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
