"""What the model endpoints take; what they give is control's and is passed on."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from bentos.catalogue import Costs, RiskLevels

Reason = Annotated[str, Field(min_length=3, max_length=500, description="Why; kept in the ledger.")]
Version = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9._-]+$")]


class Change(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Reason


class Promote(Change):
    version: Version
    force: bool = Field(False, description="Also when the gate said no: the ledger keeps its verdict beside your name.")


class Rollback(Change):
    to: Version | None = Field(None, description="A version to go back to; without it, the last promotion is undone.")


class PolicyChange(Change):
    threshold: Annotated[FiniteFloat, Field(gt=0, lt=1)] | None = None
    costs: Costs | None = None
    risk_levels: RiskLevels | None = None

    @model_validator(mode="after")
    def changes_something(self) -> Self:
        if self.threshold is None and self.costs is None and self.risk_levels is None:
            raise ValueError("name at least one of threshold, costs, risk_levels")
        return self
