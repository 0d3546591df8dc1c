"""Is this wine good? Has the kinds of fields that the models of the repository lack: a boolean, and a text that may be missing."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Wine(BaseModel):
    """One wine."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    alcohol: float = Field(title="Alcohol", description="Per cent by volume.", ge=5, le=20)
    acidity: float | None = Field(title="Acidity", description="Grams per litre; unknown is null.", ge=0, le=20)
    organic: bool = Field(title="Organic", description="Whether it is certified organic.")
    grape: Literal["red", "white"] | None = Field(title="Grape", description="Colour of the grape; unknown is null.")


class WineQuality(BaseModel):
    """Whether the wine is good."""

    prediction: Literal[0, 1] = Field(title="Prediction", description="1 when the decision is `good`.")
    probability: float = Field(title="Probability", description="Of being good.", ge=0, le=1)
    decision: Literal["plain", "good"] = Field(title="Decision", description="By the policy's threshold.")
    risk_level: Literal["low", "medium", "high"] = Field(title="Level", description="Relative to the threshold.")


Input = Record = Wine
Output = WineQuality

EXAMPLE: dict[str, Any] = {"alcohol": 12.5, "acidity": None, "organic": True, "grape": "red"}
