"""What the steps `drift` and `performance` tell, and how it is shown again. services/pipeline writes these documents."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from services.control.deployments.schemas import Version
from services.control.requests import Document, Payload, Text

Words = Annotated[Text, Field(max_length=2000)]
Count = Annotated[int, Field(ge=0)]


class Window(Payload):
    begin: Annotated[AwareDatetime, Field(alias="from", strict=False)]
    end: Annotated[AwareDatetime, Field(alias="to", strict=False)]
    rows: Count

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.begin > self.end:
            raise ValueError("from must not be after to")
        return self


class DriftCheck(Payload):
    version: Version
    window: Window
    policy: Document
    features: Annotated[list[Document], Field(max_length=2000)]
    score: Document | None
    tests: Count
    performance: Document | None
    alarm: bool
    words: Words

    def drifted(self) -> list[str]:
        """What the check calls drift, by name."""
        return [str(one.get("feature")) for one in (*self.features, self.score) if one is not None and one.get("verdict") == "drift"]


class PerformanceCheck(Payload):
    champion: Version | None
    days: Annotated[int, Field(ge=1)]
    rows: Count
    answered: Count
    versions: Annotated[list[Document], Field(max_length=20)]
    alarm: bool
    words: Words


class Stored(BaseModel):
    id: int
    created_at: datetime


class Reports(BaseModel):
    """Each with what the step told."""

    reports: list[dict[str, Any]]
    next: int | None
    """Cursor of the next page."""


class Answered(BaseModel):
    version: str
    day: str
    answered: int
    known: int
    """Of how many the outcome has been told."""


class Days(BaseModel):
    days: list[Answered]


Kind = Literal["drift", "performance"]
