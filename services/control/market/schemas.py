from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from services.control.requests import Actor, Payload, Text


class NewAsset(Payload):
    symbol: Annotated[Text, Field(min_length=2, max_length=40)]
    actor: Actor


class Added(BaseModel):
    id: int
    symbol: str


class PairShown(BaseModel):
    symbol: str
    wsname: str | None
    base: str
    quote: str
    status: str


class Pairs(BaseModel):
    pairs: list[PairShown]
    fetched_at: datetime
    stale_seconds: float


class Refreshed(BaseModel):
    symbol: str
    candles: int
    """New or corrected ones."""


class Archive(BaseModel):
    name: str
    candles: int


class Archives(BaseModel):
    archives: list[Archive]


@dataclass
class Backfill:
    """What the column of that name holds. `done` of `total` candles that were ever missing have been fetched."""

    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    done: int = 0
    total: int = 0
    error: str | None = None
    since: dict[str, list[int]] = field(default_factory=dict)
    """By interval: [wanted from, none before]. Whoever wants no older ones than were wanted then need not look before the second moment."""


@dataclass(frozen=True)
class Asset:
    id: int
    symbol: str
    pair: str
    backfill: dict[str, Any]
