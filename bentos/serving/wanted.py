"""The desired state of a model, as control tells it and as the cache remembers it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Told(BaseModel):
    """Fields that a newer control may add are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class WantedVersion(_Told):
    version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    artifact: str = Field(pattern=r"^[A-Za-z0-9._/-]{1,400}$")
    """Path below MLflow's artifact proxy."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class RiskLevels(_Told):
    medium: float
    high: float


class Policy(_Told):
    version: int
    threshold: float
    costs: dict[str, Any]
    risk_levels: RiskLevels


class Wanted(_Told):
    deployment: int | None = None
    champion: WantedVersion | None = None
    challenger: WantedVersion | None = None
    challenger_policy: Policy | None = None
    shadow_percent: int = 0
    canary_percent: int = 0
    policy: Policy | None = None
    watch_seconds: float = 0.0
