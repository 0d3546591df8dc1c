"""What the crypto endpoints give. Prices are decimal strings, with the digits that the exchange gave them."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from services.gateway.predictions.schemas import MOMENT_FORMS, Answered, Moment, Versions

IntervalName = Literal["60", "1440", "1h", "1d"]
MINUTES: dict[str, int] = {"60": 60, "1h": 60, "1440": 1440, "1d": 1440}
INTERVALS = (60, 1440)
Interval = Annotated[IntervalName, Query(description="Minutes per candle, 60 or 1440; also 1h, 1d.")]


def _of_seconds(moment: object) -> object:
    """As the candles' own open times are given."""
    if isinstance(moment, str) and moment.isascii() and moment.isdigit() and len(moment) <= MOST_DIGITS:
        return datetime.fromtimestamp(int(moment), UTC).isoformat()
    return moment


MOST_DIGITS = 11
"""Of UNIX seconds, until the year 5138; more would be milliseconds."""
CandleMoment = Annotated[
    Moment, BeforeValidator(_of_seconds), WithJsonSchema({"anyOf": [MOMENT_FORMS, {"type": "integer", "minimum": 0, "maximum": 10**MOST_DIGITS - 1}]})
]
"""A time as in the audit's filters, or UNIX seconds."""
Symbol = Annotated[str, StringConstraints(min_length=2, max_length=40)]

Price = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?(e[+-]?\d+)?$", examples=["64250.10000"])]
Stale = Annotated[float | None, Field(description="Seconds since the newest stored candle ended; null without candles.")]


class Series(BaseModel):
    """The stored candles of one interval."""

    interval: Literal[60, 1440]
    candles: int
    first: int | None = Field(description="Open time of the oldest, in UNIX seconds.")
    last: int | None = Field(description="Open time of the newest.")
    gaps: int = Field(description="Candles that are missing between the two.")
    stale_seconds: Stale


class BackfillShown(BaseModel):
    model_config = ConfigDict(title="Backfill")

    state: Literal["waiting", "running", "done", "failed"]
    done: int = Field(description="Candles fetched so far.")
    total: int = Field(description="These, and the candles that are still missing.")
    error: str | None = Field(description="Why it failed; it is tried again.")


class AssetShown(BaseModel):
    model_config = ConfigDict(title="Asset")

    id: int
    symbol: str = Field(examples=["XBTUSD"])
    wsname: str | None = Field(examples=["XBT/USD"])
    base: str
    quote: str
    added_by: str
    added_at: datetime
    intervals: list[Series]
    price: Price | None
    price_at: datetime | None
    backfill: BackfillShown


class Assets(BaseModel):
    assets: list[AssetShown]


class NewAsset(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: Symbol = Field(description="As Kraken or everybody names the pair: XBTUSD, XBT/USD, BTC/USD.", examples=["XBTUSD"])


class PairShown(BaseModel):
    model_config = ConfigDict(title="Pair")

    symbol: str
    wsname: str | None
    base: str
    quote: str
    status: str


class KrakenAssets(BaseModel):
    pairs: list[PairShown]
    fetched_at: datetime
    stale_seconds: float


class CandleShown(BaseModel):
    model_config = ConfigDict(title="StoredCandle")

    timestamp: int = Field(description="Open time in UNIX seconds.")
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Price
    trades: int


class AssetHistory(BaseModel):
    asset: str
    interval: Literal[60, 1440]
    candles: list[CandleShown] = Field(description="Oldest first: the newest `limit` of the time asked for.")
    stale_seconds: Stale
    complete: bool = Field(description="No candle is missing between `from` (or the oldest shown) and `to` (or the newest completed one).")


class Latest(BaseModel):
    asset: str
    price: Price
    at: datetime
    age_seconds: float
    source: Literal["ticker", "candle"]


class Forecast(Versions, Answered):
    """As POST /predict/{model} answers."""

    prediction: float
    naive: float
    direction: Literal["up", "down"]
    typical_move: float
    forecast_for: int
    lower_80: float | None
    upper_80: float | None
    lower_95: float | None
    upper_95: float | None


class PastForecast(BaseModel):
    prediction_id: UUID
    forecast_for: int = Field(description="Open time of the forecast candle, in UNIX seconds.")
    prediction: Price
    naive: Price
    lower_80: Price | None
    upper_80: Price | None
    lower_95: Price | None
    upper_95: Price | None
    actual: Price | None = Field(description="Close of that candle; null until it is completed and stored.")
    model_version: str
    created_at: datetime


class Coverage(BaseModel):
    """Of the newest forecasts whose candle has come, at most 1000."""

    n: int
    within_80: float | None = Field(description="Share of them within the 80 % interval.")
    within_95: float | None
    mae: float = Field(description="Mean absolute error, in the price's currency.")
    naive_mae: float = Field(description="That of `the next close is the last one`.")


class Forecasts(BaseModel):
    forecasts: list[PastForecast] = Field(description="Newest first.")
    coverage: Coverage | None
    next: UUID | None = Field(description="Cursor of the next page.")
