from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.control.requests import Actor, Payload, Text

Event = Literal[
    "drift",
    "retraining_submitted",
    "retraining_refused",
    "version_registered",
    "gate_refused",
    "shadow_started",
    "canary_started",
    "withdrawn",
    "promoted",
    "rolled_back",
    "policy_changed",
    "watch_passed",
    "run_failed",
    "storm",
    "test",
]
Level = Literal["info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("info", "warning", "error")


class Message(BaseModel):
    """What a channel is given. `delivery` is the same however often it is sent."""

    delivery: str
    event: str
    level: str
    model: str
    title: str
    words: str
    fields: dict[str, str]
    at: datetime


class Delivery(BaseModel):
    channel: str
    status: Literal["waiting", "sent", "failed"]
    attempts: int
    next_at: datetime
    sent_at: datetime | None
    error: str | None


class Notification(BaseModel):
    id: int
    event: str
    level: str
    model: str
    title: str
    words: str
    fields: dict[str, str]
    created_at: datetime
    deliveries: list[Delivery]


class Notifications(BaseModel):
    notifications: list[Notification]
    next: int | None
    """Cursor of the next page."""


class Wanted(Payload):
    channel: Annotated[Text, Field(max_length=40)] | None = None
    """All of them unless given."""
    actor: Actor


class Tried(BaseModel):
    channel: str
    kind: str
    sent: bool
    error: str | None
    seconds: float


class Tests(BaseModel):
    channels: list[Tried]
