"""One loan application as asked, and the answer: 16 columns of Home Credit's application table, with days turned into years."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

YEARS: dict[str, JsonValue] = {"unit": "years"}
MONEY: dict[str, JsonValue] = {"unit": "currency units"}


class CreditApplication(BaseModel):
    """What is known about the client and the loan on the day of the application. Unknown values are null, never left out."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    contract_type: Literal["Cash loans", "Revolving loans"] = Field(
        title="Loan type", description="A cash loan, or a revolving credit line.", examples=["Cash loans"]
    )
    credit_amount: float = Field(
        title="Credit amount",
        description="Of the loan, in currency units.",
        ge=1,
        le=100_000_000,
        examples=[406597.5],
        json_schema_extra=MONEY,
    )
    annuity: float | None = Field(
        title="Annuity",
        description="Regular payment of the loan, in currency units. Null: not known.",
        ge=1,
        le=100_000_000,
        examples=[24700.5],
        json_schema_extra=MONEY,
    )
    goods_price: float | None = Field(
        title="Goods price",
        description="Of what the loan pays for, in currency units. Null: no goods.",
        ge=1,
        le=100_000_000,
        examples=[351000.0],
        json_schema_extra=MONEY,
    )
    income_total: float = Field(
        title="Income",
        description="Of the client, in currency units; the publisher names no period (read as a year).",
        ge=1,
        le=1_000_000_000,
        examples=[202500.0],
        json_schema_extra=MONEY,
    )
    income_type: Literal["Unemployed", "Student", "Maternity leave", "Working", "Commercial associate", "State servant", "Businessman", "Pensioner"] = Field(
        title="Income type", description="What the client lives on.", examples=["Working"]
    )
    education: Literal["Lower secondary", "Secondary / secondary special", "Incomplete higher", "Higher education", "Academic degree"] = Field(
        title="Education", description="Highest level reached.", examples=["Secondary / secondary special"]
    )
    age_years: float = Field(title="Age", description="Of the client, in years.", ge=18, le=100, examples=[25.9], json_schema_extra=YEARS)
    employed_years: float | None = Field(
        title="Time in the job",
        description="In years, in the present job. Null: not employed.",
        ge=0,
        le=80,
        examples=[1.7],
        json_schema_extra=YEARS,
    )
    id_document_years: float = Field(
        title="Age of the identity document", description="Years since it was last changed.", ge=0, le=80, examples=[5.8], json_schema_extra=YEARS
    )
    phone_change_years: float | None = Field(
        title="Time with the phone number",
        description="Years since the client last changed it. Null: not known.",
        ge=0,
        le=80,
        examples=[3.1],
        json_schema_extra=YEARS,
    )
    own_car_age_years: float | None = Field(
        title="Age of the car", description="In years. Null: no car.", ge=0, le=120, examples=[None], json_schema_extra=YEARS
    )
    region_rating: Literal[1, 2, 3] = Field(
        title="Region rating", description="The lender's rating of the client's region and city, 1 (best) to 3.", examples=[2]
    )
    ext_source_1: float | None = Field(
        title="External score 1", description="Normalised score of an outside source, 0 (bad) to 1 (good). Null: none.", ge=0, le=1, examples=[0.083]
    )
    ext_source_2: float | None = Field(
        title="External score 2", description="Normalised score of a second outside source, 0 (bad) to 1 (good). Null: none.", ge=0, le=1, examples=[0.263]
    )
    ext_source_3: float | None = Field(
        title="External score 3", description="Normalised score of a third outside source, 0 (bad) to 1 (good). Null: none.", ge=0, le=1, examples=[0.139]
    )


class CreditDecision(BaseModel):
    """How likely the client is to have payment difficulties, and what follows."""

    prediction: Literal[0, 1] = Field(title="Prediction", description="1 when the decision is `refused`.")
    probability: float = Field(title="Probability", description="Of payment difficulties, 0 to 1.", ge=0, le=1)
    decision: Literal["granted", "refused"] = Field(title="Decision", description="`refused` when the probability reaches the policy's threshold.")
    risk_level: Literal["low", "medium", "high"] = Field(title="Risk level", description="Where the probability lies relative to the threshold.")


Input = CreditApplication
Record = CreditApplication
Output = CreditDecision

EXAMPLE: dict[str, Any] = {name: field.examples[0] for name, field in CreditApplication.model_fields.items() if field.examples}
