"""The list of models, as data: `catalogue.yaml` checked and typed."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

PATH = Path(__file__).with_name("catalogue.yaml")

Cron = Annotated[str, Field(pattern=r"^(@[a-z]+|\S+( +\S+){4})$")]
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
    source: Literal["synthetic", "files", "live"]
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


class Drift(Section):
    """When a change of what is asked, answered or true counts as drift: an effect over its limit that chance does not explain. docs/drift.md explains each."""

    window_rows: int = Field(5000, ge=100, le=100_000)
    """The newest rows that the version has answered, at most so many."""
    window_hours: int = Field(168, ge=1, le=8760)
    """None older than so many hours."""
    min_rows: int = Field(200, ge=50)
    """With fewer, a check says "too few", not "fine"."""
    psi: float = Field(0.2, gt=0)
    """Population stability index."""
    ks: float = Field(0.15, gt=0, le=1)
    """Kolmogorov-Smirnov distance."""
    wasserstein: float = Field(0.3, gt=0)
    """Standard deviations of the reference that the distribution has moved by."""
    missing: float = Field(0.05, gt=0, le=1)
    """Change of the share of missing values."""
    unseen: float = Field(0.01, gt=0, le=1)
    """Share of texts that the reference does not have."""
    out_of_range: float = Field(0.01, gt=0, le=1)
    """Share of numbers below the least or above the largest of the reference."""
    significance: float = Field(0.001, gt=0, lt=0.5)
    """The chance, corrected for the number of tests of a check, below which an effect is not called chance."""
    performance: float = Field(0.05, gt=0)
    """How much worse than on the hold-out the gate's metric may be."""
    min_outcomes: int = Field(200, ge=50)
    """With fewer known outcomes, nothing is said about performance."""
    segment_rows: int = Field(100, ge=30)
    """A segment or a day with fewer known outcomes has no figures."""
    performance_days: int = Field(30, ge=1, le=3650)
    """Days of predictions that live performance is measured on."""


class Retraining(Section):
    """How often a model may be retrained without anybody deciding it, and from what."""

    cooldown_minutes: float = Field(60, ge=0)
    """Least time between two retrainings, whoever asked for the first one."""
    daily_limit: int = Field(4, ge=1)
    """Most retrainings within 24 hours."""
    recent_days: int = Field(90, ge=1)
    """Answered rows that are older teach nothing any more."""
    most_rows: int = Field(50_000, ge=100)
    """Of those, the newest."""
    min_outcomes: int = Field(500, ge=100)
    """So many answered rows with an outcome it takes to learn from them."""


class ShadowRules(Section):
    """When a challenger has shown enough, and what it may do worse than the champion."""

    percent: int = Field(100, ge=1, le=100)
    """Of the answered rows, chosen by their ids."""
    rows: int = Field(500, ge=30)
    """Least number of rows that both have scored."""
    minutes: float = Field(1.0, ge=0)
    """Least time since the trial began."""
    max_flips: float = Field(0.3, gt=0, le=1)
    """Share of the rows that it may decide otherwise; the 95 % interval has to stay below. More is fine where it is known to pay."""
    max_latency_ratio: float = Field(3.0, gt=0)
    """Median time for one row, beside the champion's on the same rows."""
    max_cost_increase: float = Field(0.05, ge=0)
    """Of the cost of a row (of a regression: of its absolute error), as a share of the champion's; the 95 % interval has to stay below."""


class CanaryRules(Section):
    """What a challenger has to answer itself before it serves everybody."""

    percent: int = Field(10, ge=1, le=100)
    """Of the callers, chosen by their names."""
    rows: int = Field(200, ge=30)
    minutes: float = Field(1.0, ge=0)


class WatchRules(Section):
    """For how long a new champion is watched, and what makes it go: each limit has to be broken beyond chance."""

    minutes: float = Field(10.0, gt=0)
    max_error_rate: float = Field(0.01, ge=0, lt=1)
    """More than the version before had."""
    max_latency_ratio: float = Field(5.0, gt=0)
    """Of the runners' median time for a call, beside that of the version before."""
    max_score_shift: float = Field(2.0, gt=0)
    """Of the mean score, in standard deviations: from what the version said in its trial, or from the version before."""
    max_cost_increase: float = Field(0.5, ge=0)
    """Of the cost of a row, as a share of that of the version before."""


class Rollout(Section):
    """How a version that passed the gate comes to serve when nobody stands by."""

    automatic: bool = True
    """Promote what has shown that it does no harm; else a person does."""
    shadow: ShadowRules = ShadowRules()
    canary: CanaryRules | None = None
    watch: WatchRules | None = WatchRules()
    """`null`: nothing is rolled back by itself."""


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
    schedules: dict[Literal["train", "drift", "forecast"], Cron]
    """When runs of a kind begin, in cron's five fields, UTC."""
    feed: Literal["candles"] | None = None
    """What the platform collects for this model: training may then take the source `live`, and the newest of it be asked about."""
    timeout_seconds: float = Field(gt=0)
    """How long a caller waits who says nothing else with X-Request-Timeout."""
    audit: Audit = Audit()
    drift: Drift = Drift()
    retraining: Retraining = Retraining()
    pin: str | None = None
    """Freezes the runners to one version: promotions then change nothing for this model until it is removed."""
    rollout: Rollout | None = None
    """Without it, what the gate lets pass serves at once, whoever trained it; it is watched all the same."""

    @property
    def watch(self) -> WatchRules | None:
        return (self.rollout or Rollout()).watch

    @model_validator(mode="after")
    def has_what_it_trains_on(self) -> Self:
        if self.training.source == "live" and self.feed is None:
            raise ValueError("training from the source live needs a `feed`")
        return self

    @model_validator(mode="after")
    def decides(self) -> Self:
        named = self.decisions is not None and self.policy is not None
        if (self.task == "classification") != named:
            raise ValueError("`decisions` and `policy` belong to a classification, and only there")
        return self


class Catalogue(Section):
    models: dict[ModelName, Entry] = Field(min_length=1)

    @model_validator(mode="after")
    def each_feed_has_one_model(self) -> Self:
        fed = [name for name, entry in self.models.items() if entry.feed is not None]
        if len(fed) > 1:
            raise ValueError(f"`feed: candles` belongs to one model, which is asked for forecasts; here {' and '.join(fed)} have it")
        return self

    def of_feed(self, feed: str) -> str | None:
        """The model that is fed so, if one is."""
        return next((name for name, entry in self.models.items() if entry.feed == feed), None)


@cache
def load() -> Catalogue:
    """Raises ValueError, naming the key, when the file breaks a rule."""
    return Catalogue.model_validate(yaml.safe_load(PATH.read_text(encoding="utf-8")))


def names() -> list[str]:
    return sorted(load().models)
