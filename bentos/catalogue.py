"""The list of models, as data: `catalogue.yaml` checked and typed."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

PATH = Path(__file__).with_name("catalogue.yaml")

ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Decisions(Section):
    """What the two classes are called in answers: `positive` is the class whose probability is predicted."""

    negative: str
    positive: str


class Costs(Section):
    """Business cost of each mistake, in any one unit: only their ratio matters."""

    missed_positive: float = Field(gt=0)
    false_alarm: float = Field(gt=0)


class RiskLevels(Section):
    """Where `medium` and `high` begin, as multiples of the decision threshold, so that they move with it."""

    medium: float = Field(gt=0)
    high: float = Field(gt=0)

    @model_validator(mode="after")
    def ordered(self) -> Self:
        if self.medium >= self.high:
            raise ValueError(f"medium ({self.medium}) must be below high ({self.high})")
        return self


class PolicyDefaults(Section):
    """The decision policy a newly trained version starts with."""

    threshold: Literal["cost"] | Annotated[float, Field(gt=0, lt=1)]
    """`cost`: chosen on the training data to minimise the expected cost; or a fixed probability."""
    costs: Costs
    risk_levels: RiskLevels


class GateRules(Section):
    """What a version must reach before it may serve."""

    metric: Literal["roc_auc", "average_precision", "rmse_ratio"]
    floor: float
    """The worst acceptable value of the metric on the hold-out (a ceiling where lower is better)."""
    min_improvement: float
    """Least improvement over the champion on the same hold-out rows; slightly negative tolerates noise."""
    margin: float = Field(ge=0)
    """How much worse than the champion the 95 % interval of the improvement may reach."""
    max_latency_us: float = Field(gt=0)
    max_artifact_mb: float = Field(gt=0)

    @property
    def lower_is_better(self) -> bool:
        return self.metric == "rmse_ratio"


class Training(Section):
    source: Literal["synthetic", "files"]
    rows: int = Field(ge=100)
    """Rows of the synthetic source."""
    seed: int


class Replicas(Section):
    min: int = Field(ge=1)
    max: int = Field(ge=1)


class Resources(Section):
    requests: dict[str, str]
    limits: dict[str, str]


class Audit(Section):
    on_outage: Literal["spool", "refuse"] = "spool"
    """While PostgreSQL is away: keep audit rows in a local fsynced file and answer, or refuse to answer."""


class Entry(Section):
    """One model."""

    title: str
    summary: str
    owner: str
    task: Literal["classification", "regression"]
    decisions: Decisions | None = None
    policy: PolicyDefaults | None = None
    gate: GateRules
    training: Training
    replicas: Replicas
    resources: Resources
    schedules: dict[Literal["train"], str]
    timeout_seconds: float = Field(gt=0)
    """How long a caller waits who says nothing else with X-Request-Timeout."""
    audit: Audit = Audit()
    pin: str | None = None
    """Freezes the runners to one version: promotions then change nothing for this model until it is removed."""

    @model_validator(mode="after")
    def decides(self) -> Self:
        named = self.decisions is not None and self.policy is not None
        if (self.task == "classification") != named:
            raise ValueError("`decisions` and `policy` belong to a classification, and only there")
        return self


class Catalogue(Section):
    models: dict[ModelName, Entry] = Field(min_length=1)


@cache
def load() -> Catalogue:
    """Raises ValueError, naming the key, when the file breaks a rule."""
    return Catalogue.model_validate(yaml.safe_load(PATH.read_text(encoding="utf-8")))


def names() -> list[str]:
    return sorted(load().models)
