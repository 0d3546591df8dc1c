"""Candles to numbers without a unit: prices of 0.3 and of 60 000 dollars give the same row when they move alike."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bentos.contract import Columns, Floats
from bentos.crypto_price.schema import DAILY, LOOKBACK

POSITIONS = (1, 3, 12, LOOKBACK)
_LAST = np.array(POSITIONS) - 1
DAILY_RETURNS = 3
LARGEST_MOVE = 3.0
"""Moves beyond so many typical moves count as this many."""
SMALLEST_VOLATILITY = 1e-4
"""Floor of the typical relative move, for windows in which nothing was traded."""

FEATURES: tuple[str, ...] = (
    *(f"return_{ago}" for ago in range(LOOKBACK, 0, -1)),
    *(f"daily_return_{ago}" for ago in range(DAILY_RETURNS, 0, -1)),
    *(f"position_{candles}" for candles in POSITIONS),
    *(f"hour_{wave}_{times}" for times in (1, 2, 3) for wave in ("sin", "cos")),
    "daily",
    "volatility",
)


SOURCES: dict[str, str | tuple[str, ...]] = {
    **{name: "close" for name in FEATURES if "return" in name},
    f"return_{LOOKBACK}": ("open", "close"),
    **{f"position_{candles}": ("high", "low", "close") for candles in POSITIONS},
    **{f"hour_{wave}_{times}": "timestamp" for times in (1, 2, 3) for wave in ("sin", "cos")},
    "daily": "interval",
    "volatility": "close",
}
"""The fields that a feature is made of; of `volatility` the one that 24 of its 25 prices come from."""

SCORE = "Next log return in typical moves of the window"


def _by_hour() -> Floats:
    angle = 2 * np.pi * np.arange(24)[:, None] * np.array([1, 2, 3]) / 24
    return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(24, 6)


HOURS = _by_hour()


def returns(columns: Columns) -> tuple[Floats, Floats]:
    """Log returns (n, LOOKBACK) from close to close, the first one from the first open, and their root mean square (n, 1)."""
    prices = np.concatenate((columns["open"][:, :1], columns["close"]), axis=1)
    np.log(prices, out=prices)
    moves = prices[:, 1:] - prices[:, :-1]
    volatility = np.sqrt(np.einsum("ij,ij->i", moves, moves) / LOOKBACK)
    return moves, np.maximum(volatility, SMALLEST_VOLATILITY)[:, None]


def matrix(columns: Columns) -> Floats:
    """Per row: the moves in units of the window's typical move, where the last close lies within the range of the last
    1, 3, 12 and 24 candles (-0.5 lowest, 0.5 highest), the hour of the day (UTC) at which the forecast candle opens, and the logarithm of the typical move.

    A daily candle has no hour (zeros) and corrections of its own for the last moves.
    """
    moves, volatility = returns(columns)
    interval = columns["interval"]
    daily = (interval == DAILY).astype(np.float64)
    opens = columns["timestamp"][:, -1] + interval * 60
    out = np.empty((len(moves), len(FEATURES)))

    scaled = out[:, :LOOKBACK]
    np.divide(moves, volatility, out=scaled)
    np.minimum(scaled, LARGEST_MOVE, out=scaled)
    np.maximum(scaled, -LARGEST_MOVE, out=scaled)
    at = LOOKBACK
    np.multiply(scaled[:, -DAILY_RETURNS:], daily[:, None], out=out[:, at : at + DAILY_RETURNS])
    at += DAILY_RETURNS
    top = np.maximum.accumulate(columns["high"][:, ::-1], axis=1).take(_LAST, axis=1)
    bottom = np.minimum.accumulate(columns["low"][:, ::-1], axis=1).take(_LAST, axis=1)
    width = top - bottom
    width[width == 0] = np.inf
    np.divide(columns["close"][:, -1:] - (top + bottom) / 2, width, out=out[:, at : at + len(POSITIONS)])
    at += len(POSITIONS)
    np.multiply(HOURS[(opens // 3600 % 24).astype(np.intp)], 1 - daily[:, None], out=out[:, at:-2])
    out[:, -2] = daily
    np.log(volatility[:, 0], out=out[:, -1])
    return out


def answer(scores: Floats, columns: Columns, shifts: Mapping[str, float] = MappingProxyType({})) -> dict[str, NDArray[Any]]:
    """A score is the next log return in units of the window's typical move."""
    _, volatility = returns(columns)
    naive = columns["close"][:, -1]
    prediction, *bounds = naive * np.exp((scores + np.array([0.0, *shifts.values()])[:, None]) * volatility[:, 0])
    return {
        "prediction": prediction,
        "naive": naive,
        "direction": np.where(scores > 0, "up", "down").astype(object),
        "typical_move": naive * np.expm1(volatility[:, 0]),
        "forecast_for": (columns["timestamp"][:, -1] + columns["interval"] * 60).astype(np.int64),
    } | dict(zip(shifts, bounds, strict=True))


def score_of(truth: Floats, columns: Columns) -> Floats:
    """A wild day and a calm one, a dear coin and a cheap one have errors of one size in units of the typical move."""
    _, volatility = returns(columns)
    return np.asarray(np.log(truth / columns["close"][:, -1]) / volatility[:, 0])
