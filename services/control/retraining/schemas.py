from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from services.control.requests import Actor, Document, Payload, Reason
from services.control.workflows.schemas import Parameters, Run

Made = Literal["submitted", "refused"]
Cause = Literal["drift", "performance", "schedule", "data", "manual"]
Rule = Literal["pinned", "under way", "bad data", "cooldown", "daily limit", "outcomes", "workflows"]


class Retraining(BaseModel):
    """A decision. `times`: how often the same was asked and refused for the same reason, the last time at `last_at`."""

    id: int
    model: str
    reason: Cause
    decision: Made
    rule: Rule | None
    why: str
    detail: dict[str, Any]
    actor: str
    run_id: UUID | None
    created_at: datetime
    times: int
    last_at: datetime


class Decision(BaseModel):
    retraining: Retraining
    run: Run | None

    @property
    def submitted(self) -> bool:
        return self.run is not None


class Retrainings(BaseModel):
    retrainings: list[Retraining]
    next: int | None
    """Cursor of the next page."""


class Asked(Payload):
    """Of a person, or of a program that has found a reason."""

    reason: Cause = "manual"
    words: Reason
    actor: Actor
    detail: Document = Field(default_factory=dict)
    parameters: Annotated[Parameters, Field(default_factory=Parameters)]
    """Of the training; only with the reason `manual`."""
