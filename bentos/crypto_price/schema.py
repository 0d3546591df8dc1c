"""What a caller sends and gets. The order of `CandleWindow`'s fields matters: each validator looks at the fields before its own."""

import time
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

LOOKBACK = 24
"""Completed candles that a forecast is made from: one day of hours, or 24 days."""
MOST_CANDLES = 1000

HOURLY: Literal[60] = 60
DAILY: Literal[1440] = 1440
INTERVALS = (HOURLY, DAILY)

Asset = Annotated[str, Field(title="Asset", description="Trading pair as the exchange writes it; a label only.", pattern=r"^[A-Z0-9][A-Z0-9./]{1,19}$")]
Interval = Annotated[Literal[60, 1440], Field(title="Interval", description="Minutes per candle: 60 (hourly) or 1440 (daily).")]
Seconds = Annotated[int, Field(ge=1_000_000_000, le=4_102_444_800)]
"""UNIX seconds from 2001 to 2100, so that milliseconds are refused."""
Price = Annotated[float, Field(ge=1e-12, le=1e12)]
Volume = Annotated[float, Field(ge=0, le=1e18)]
Trades = Annotated[int, Field(ge=0, le=1_000_000_000_000)]
UNKNOWN = "Null from versions that were trained without intervals."
SERIES: dict[str, Any] = {"min_length": LOOKBACK, "max_length": MOST_CANDLES}


def utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class CandleWindow(BaseModel):
    """An asset's newest candles, oldest first: the forecast is the close of the candle after the last completed one.

    After validation every series has exactly LOOKBACK completed candles.
    """

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    asset: Asset
    interval: Interval = HOURLY
    as_of: Seconds = Field(
        default_factory=lambda: int(time.time()),
        title="As of",
        description="UNIX seconds at which the question is asked; now unless given. Candles still running at this time are left out.",
    )
    timestamp: list[Seconds] = Field(**SERIES, title="Open times", description="Open times of the candles in UNIX seconds (UTC), rising by one interval.")
    open: list[Price] = Field(**SERIES, title="Open", description="First price of each candle.")
    high: list[Price] = Field(**SERIES, title="High", description="Highest price of each candle.")
    low: list[Price] = Field(**SERIES, title="Low", description="Lowest price of each candle.")
    close: list[Price] = Field(**SERIES, title="Close", description="Last price of each candle.")
    volume: list[Volume] = Field(**SERIES, title="Volume", description="Volume of each candle in the base coin.")
    trades: list[Trades] = Field(**SERIES, title="Trades", description="Number of trades in each candle.")

    @field_validator("timestamp")
    @classmethod
    def completed_without_gaps(cls, times: list[int], info: ValidationInfo) -> list[int]:
        if "interval" not in info.data:
            return times
        step = info.data["interval"] * 60
        for at, opened in enumerate(times):
            if opened % step:
                raise PydanticCustomError(
                    "off_grid", "Open time {opened} (item {at}) should be a multiple of {step} seconds", _at(at, opened=opened, step=step)
                )
        for at, (before, after) in enumerate(pairwise(times), start=1):
            if after <= before:
                raise PydanticCustomError("unordered", "Open times should rise: {after} (item {at}) follows {before}", _at(at, before=before, after=after))
            if after - before != step:
                raise PydanticCustomError(
                    "gap",
                    "Candles should follow each other without a gap: {missing} missing between {before} ({first}) and {after} ({second})",
                    {"missing": (after - before) // step - 1, "before": before, "after": after, "first": utc(before), "second": utc(after)},
                )
        if "as_of" in info.data:
            completed = sum(opened + step <= info.data["as_of"] for opened in times)
            if completed < LOOKBACK:
                raise PydanticCustomError(
                    "too_few_completed",
                    "{least} candles completed at as_of {as_of} ({moment}) are needed, here are {completed}",
                    {"least": LOOKBACK, "as_of": info.data["as_of"], "moment": utc(info.data["as_of"]), "completed": completed},
                )
        return times

    @field_validator("open", "high", "low", "close", "volume", "trades")
    @classmethod
    def one_per_open_time(cls, values: list[float], info: ValidationInfo) -> list[float]:
        if len(values) != (due := len(info.data.get("timestamp", values))):
            raise PydanticCustomError("length", "One value per open time is needed: {due}, not {given}", {"due": due, "given": len(values)})
        return values

    @field_validator("high", "low", "close")
    @classmethod
    def within_the_candle(cls, values: list[float], info: ValidationInfo) -> list[float]:
        name = str(info.field_name)
        for lower, upper in (("open", "high"), ("low", "open"), ("low", "close"), ("close", "high")):
            if name not in (lower, upper):
                continue
            lows, highs = (values if part == name else info.data.get(part, []) for part in (lower, upper))
            for at, (low, high) in enumerate(zip(lows, highs, strict=False)):
                if low > high:
                    raise PydanticCustomError(
                        "inconsistent",
                        "{lower} should not be above {upper}: {low} > {high} (item {at})",
                        _at(at, lower=lower, upper=upper, low=low, high=high),
                    )
        return values

    @model_validator(mode="after")
    def newest_completed(self) -> Self:
        step = self.interval * 60
        end = sum(opened + step <= self.as_of for opened in self.timestamp)
        for name in ("timestamp", "open", "high", "low", "close", "volume", "trades"):
            setattr(self, name, getattr(self, name)[end - LOOKBACK : end])
        return self


def _at(item: int, **found: object) -> dict[str, Any]:
    return {"at": item, **found}


class PriceForecast(BaseModel):
    """The forecast, always beside the naive one."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    prediction: float = Field(title="Forecast", description="Close expected of the candle that opens at forecast_for.")
    naive: float = Field(title="Naive forecast", description="Last completed close: the forecast that needs no model.")
    direction: Literal["up", "down"] = Field(title="Direction", description="Where the forecast lies from the naive one.")
    typical_move: float = Field(
        title="Typical move", description="Root mean square move from close to close within the window, in price: expect an error of about this size."
    )
    forecast_for: int = Field(title="Forecast for", description="Open time of the forecast candle in UNIX seconds; it closes one interval later.")
    lower_80: float | None = Field(None, title="Lower end, 80 %", description=f"With upper_80 around the close in 80 of 100 cases. {UNKNOWN}")
    upper_80: float | None = Field(None, title="Upper end, 80 %", description="See lower_80.")
    lower_95: float | None = Field(None, title="Lower end, 95 %", description=f"With upper_95 around the close in 95 of 100 cases. {UNKNOWN}")
    upper_95: float | None = Field(None, title="Upper end, 95 %", description="See lower_95.")


class Candle(BaseModel):
    """One completed candle of the training data; an example is a window of them and the close of the next."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    asset: Asset
    interval: Interval
    timestamp: Seconds = Field(title="Open time", description="UNIX seconds (UTC).")
    open: Price = Field(title="Open", description="First price.")
    high: Price = Field(title="High", description="Highest price.")
    low: Price = Field(title="Low", description="Lowest price.")
    close: Price = Field(title="Close", description="Last price.")
    volume: Volume = Field(title="Volume", description="Volume in the base coin.")
    trades: Trades = Field(title="Trades", description="Number of trades.")


def _example() -> dict[str, Any]:
    first = 1_767_225_600  # 2026-01-01 00:00:00 UTC
    close = [90_000.0 + 10 * ((i * i * 7 + i * 31) % 67 - 33) for i in range(LOOKBACK)]
    opened = [90_000.0, *close[:-1]]
    return {
        "asset": "XBTUSD",
        "interval": HOURLY,
        "as_of": first + LOOKBACK * HOURLY * 60,
        "timestamp": [first + i * HOURLY * 60 for i in range(LOOKBACK)],
        "open": opened,
        "high": [max(pair) + 40 + i for i, pair in enumerate(zip(opened, close, strict=True))],
        "low": [min(pair) - 60 + i for i, pair in enumerate(zip(opened, close, strict=True))],
        "close": close,
        "volume": [12.5 + i % 7 for i in range(LOOKBACK)],
        "trades": [900 + 37 * (i % 5) for i in range(LOOKBACK)],
    }


Input, Output, Record, EXAMPLE = CandleWindow, PriceForecast, Candle, _example()
