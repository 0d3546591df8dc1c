"""Why a row gets the score that it gets."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from services.gateway.predictions.schemas import Versions


class Contribution(BaseModel):
    """How far one field of the row has moved the score away from the base value."""

    field: str = Field(description="Of the schema; or a feature of the model, where the model's folder does not say which fields it is made of.")
    title: str = Field(description="The field in the words of the model's schema.")
    unit: str | None = Field(description="If the schema says one.")
    value: Any = Field(description="What the row has there.")
    contribution: float = Field(description="On the scale of the explanation. Above 0: towards a higher score.")


class Explanation(Versions):
    """The base value plus all contributions is the output, within 1e-9."""

    scale: Literal["probability", "log-odds", "value"] = Field(
        description="What base value, contributions and output are: probabilities of the positive class, its log-odds, or a regression's own score."
    )
    output_title: str = Field(description="The same in words.")
    base_value: float = Field(description="The score before anything is known of the row: the mean over the training.")
    output: float = Field(description="The model's score of this row.")
    prediction: dict[str, Any] | None = Field(None, description="The answer to the row. Missing when another version than the champion was asked for.")
    contributions: list[Contribution] = Field(description="One of each field of the schema, the largest first, whichever its sign.")
    method: Literal["tree_shap", "linear"]
    cached: bool = Field(description="Computed earlier; a stored prediction is explained once.")
