"""One employee as asked, and the answer. The fields and category names are IBM's, in snake_case."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Grade = Literal[1, 2, 3, 4]

YEARS: dict[str, JsonValue] = {"unit": "years"}


class EmployeeProfile(BaseModel):
    """What the personnel file says about one employee today."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    age: int = Field(
        title="Age",
        description="In years. The model does not look at it: it is here to compare groups.",
        ge=16,
        le=80,
        examples=[41],
        json_schema_extra=YEARS,
    )
    gender: Literal["Female", "Male"] = Field(
        title="Gender", description="As in the personnel file. The model does not look at it: it is here to compare groups.", examples=["Female"]
    )
    marital_status: Literal["Single", "Married", "Divorced"] = Field(
        title="Marital status", description="The model does not look at it: it is here to compare groups.", examples=["Single"]
    )
    department: Literal["Human Resources", "Research & Development", "Sales"] = Field(
        title="Department", description="Where the employee works.", examples=["Sales"]
    )
    job_role: Literal[
        "Healthcare Representative",
        "Human Resources",
        "Laboratory Technician",
        "Manager",
        "Manufacturing Director",
        "Research Director",
        "Research Scientist",
        "Sales Executive",
        "Sales Representative",
    ] = Field(title="Job role", description="The post that the employee holds.", examples=["Sales Executive"])
    job_level: Literal[1, 2, 3, 4, 5] = Field(title="Job level", description="Level in the hierarchy, 1 (entry) to 5 (top management).", examples=[2])
    monthly_income: int = Field(
        title="Monthly income",
        description="Gross pay in currency units a month.",
        ge=100,
        le=200_000,
        examples=[5993],
        json_schema_extra={"unit": "currency units a month"},
    )
    percent_salary_hike: int = Field(
        title="Last pay rise", description="In per cent of the pay before it.", ge=0, le=100, examples=[11], json_schema_extra={"unit": "%"}
    )
    stock_option_level: Literal[0, 1, 2, 3] = Field(title="Stock option level", description="Level in the share plan, 0 (none) to 3.", examples=[0])
    over_time: Literal["No", "Yes"] = Field(title="Overtime", description="Whether the employee works overtime.", examples=["Yes"])
    business_travel: Literal["Non-Travel", "Travel_Rarely", "Travel_Frequently"] = Field(
        title="Business travel", description="How often the employee travels for work.", examples=["Travel_Rarely"]
    )
    distance_from_home: int = Field(
        title="Distance from home",
        description="From home to work; the publisher names no unit (read as km).",
        ge=0,
        le=200,
        examples=[1],
        json_schema_extra={"unit": "km"},
    )
    education: Literal[1, 2, 3, 4, 5] = Field(title="Education", description="1 below college, 2 college, 3 bachelor, 4 master, 5 doctor.", examples=[2])
    education_field: Literal["Human Resources", "Life Sciences", "Marketing", "Medical", "Technical Degree", "Other"] = Field(
        title="Field of study", description="Subject of the highest degree.", examples=["Life Sciences"]
    )
    environment_satisfaction: Grade = Field(title="Satisfaction: workplace", description="Survey answer, 1 (low) to 4 (very high).", examples=[2])
    job_satisfaction: Grade = Field(title="Satisfaction: work", description="Survey answer, 1 (low) to 4 (very high).", examples=[4])
    relationship_satisfaction: Grade = Field(title="Satisfaction: team", description="Survey answer, 1 (low) to 4 (very high).", examples=[1])
    work_life_balance: Grade = Field(title="Work-life balance", description="Survey answer, 1 (bad) to 4 (best).", examples=[1])
    job_involvement: Grade = Field(title="Job involvement", description="Grade of the previous review, 1 (low) to 4 (very high).", examples=[3])
    performance_rating: Grade = Field(title="Performance rating", description="Grade of the latest review, 1 (low) to 4 (outstanding).", examples=[3])
    training_times_last_year: int = Field(title="Trainings", description="Number of trainings attended in the last 12 months.", ge=0, le=50, examples=[0])
    num_companies_worked: int = Field(title="Earlier employers", description="Number of companies worked for before this one.", ge=0, le=50, examples=[8])
    total_working_years: int = Field(
        title="Working years", description="Years of work in the whole career.", ge=0, le=60, examples=[8], json_schema_extra=YEARS
    )
    years_at_company: int = Field(title="Years at the company", description="Years since joining.", ge=0, le=60, examples=[6], json_schema_extra=YEARS)
    years_in_current_role: int = Field(
        title="Years in the role", description="Years in the present job role.", ge=0, le=60, examples=[4], json_schema_extra=YEARS
    )
    years_since_last_promotion: int = Field(
        title="Years since promotion",
        description="Years since the last promotion, or since joining.",
        ge=0,
        le=60,
        examples=[0],
        json_schema_extra=YEARS,
    )
    years_with_curr_manager: int = Field(
        title="Years with the manager", description="Years under the present manager.", ge=0, le=60, examples=[5], json_schema_extra=YEARS
    )


class AttritionRisk(BaseModel):
    """How likely the employee is to leave."""

    prediction: Literal[0, 1] = Field(title="Prediction", description="1 when the decision is `leaves`.")
    probability: float = Field(title="Probability", description="Of leaving, 0 to 1.", ge=0, le=1)
    decision: Literal["stays", "leaves"] = Field(title="Decision", description="`leaves` when the probability reaches the policy's threshold.")
    risk_level: Literal["low", "medium", "high"] = Field(title="Risk level", description="Where the probability lies relative to the threshold.")


Input = EmployeeProfile
Record = EmployeeProfile
Output = AttritionRisk

EXAMPLE: dict[str, Any] = {name: field.examples[0] for name, field in EmployeeProfile.model_fields.items() if field.examples}
