"""What the model endpoints take; what they give is control's and is passed on."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from bentos.catalogue import Costs, RiskLevels
from services.gateway.numbers import WHOLE

VERSION = r"^[A-Za-z0-9._-]+$"
Reason = Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00]*$", description="Why; kept in the ledger.")]
Version = Annotated[str, Field(min_length=1, max_length=40, pattern=VERSION)]


class Change(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Reason


class Promote(Change):
    version: Version
    force: bool = Field(False, description="Also when the gate said no: the ledger keeps its verdict beside your name.")


class Rollback(Change):
    to: Version | None = Field(None, description="A version to go back to; without it, the last promotion is undone.")
    policy_only: bool = Field(False, description="The version stays; the decision policy becomes the one before.")

    @model_validator(mode="after")
    def goes_back_to_one_thing(self) -> Self:
        if self.policy_only and self.to is not None:
            raise ValueError("`to` names a version; with `policy_only` the version stays")
        return self


class Trial(Change):
    version: Version
    mode: Literal["shadow", "canary"] = Field("shadow", description="shadow: it scores what the champion has answered; canary: it answers some callers.")
    percent: Annotated[int, Field(ge=1, le=100), WHOLE] | None = Field(None, description="Of the rows, or of the callers; the catalogue's unless given.")


class Withdraw(Change):
    pass


class PolicyChange(Change):
    threshold: Annotated[FiniteFloat, Field(gt=0, lt=1)] | None = None
    costs: Costs | None = None
    risk_levels: RiskLevels | None = None

    @model_validator(mode="after")
    def changes_something(self) -> Self:
        if self.threshold is None and self.costs is None and self.risk_levels is None:
            raise ValueError("name at least one of threshold, costs, risk_levels")
        return self
