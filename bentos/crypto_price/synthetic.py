"""Invented candles with a documented relation: README.md, "Synthetic data"."""

import numpy as np
import pandas as pd

from bentos.contract import Floats
from bentos.crypto_price.schema import DAILY, HOURLY

END = 1_767_225_600
"""2026-01-01 00:00 UTC: every series ends there, so that no run depends on the clock."""
SERIES = (("ALPHAUSD", HOURLY, 30_000.0, 0.006), ("BETAUSD", HOURLY, 2_000.0, 0.008), ("GAMMAUSD", DAILY, 0.5, 0.04))
"""Asset, interval, price at the start, typical move per candle. The names are no real assets."""
DAILY_SHARE = 0.1
MISSING = 0.002
"""Share of candles without a row, as in an exchange's archive when nothing was traded."""
REVERSION, MOMENTUM = -0.25, 0.15
"""Autocorrelation of the moves at drift 0 and 1: what used to revert goes on."""
LOUDER = 3.0
"""Factor on the moves at drift 1."""


def synthetic(rows: int, seed: int, drift: float) -> pd.DataFrame:
    """`rows` candles of three assets: 90 % hourly, 10 % daily."""
    daily = round(rows * DAILY_SHARE)
    counts = ((rows - daily + 1) // 2, (rows - daily) // 2, daily)
    parts = [_series(count, seed, number, drift) for number, count in enumerate(counts) if count]
    frame = pd.concat(parts, ignore_index=True)
    frame.index = pd.RangeIndex(1, 1 + len(frame))
    return frame


def _series(count: int, seed: int, number: int, drift: float) -> pd.DataFrame:
    asset, interval, price, volatility = SERIES[number]
    rng = np.random.default_rng([seed, number])
    total = count + round(count * MISSING)
    opens = END - interval * 60 * np.arange(total, 0, -1, dtype=np.int64)
    busy = 1 + 0.4 * np.sin(2 * np.pi * (opens // 3600 % 24 - 9) / 24) if interval == HOURLY else np.ones(total)
    moves = _moves(rng, busy * volatility * LOUDER**drift, REVERSION + (MOMENTUM - REVERSION) * drift)
    close = price * np.exp(np.cumsum(moves))
    opened = np.concatenate(([price], close[:-1]))
    reach = np.abs(rng.normal(0, 0.5, (2, total))) * np.abs(moves).mean()
    loudness = np.abs(moves) / np.abs(moves).mean()
    volume = 20 * busy * (0.5 + loudness) * rng.lognormal(0, 0.5, total)
    frame = pd.DataFrame({"asset": asset, "interval": interval, "timestamp": opens})
    digits = 1 if price > 100 else 5
    frame["open"] = opened.round(digits)
    frame["high"] = (np.maximum(opened, close) * np.exp(reach[0])).round(digits)
    frame["low"] = (np.minimum(opened, close) * np.exp(-reach[1])).round(digits)
    frame["close"] = close.round(digits)
    frame["volume"] = volume.round(8)
    frame["trades"] = rng.poisson(15 * volume) + 1
    there = np.ones(total, dtype=bool)
    there[rng.choice(np.arange(1, total - 1), total - count, replace=False)] = False
    return frame[there]


def _moves(rng: np.random.Generator, volatility: Floats, autocorrelation: float) -> Floats:
    """r[t] = a·r[t-1] + s[t]·e[t], e Student's t with 6 degrees of freedom, s² a GARCH(1,1) around volatility² (0.10 news, 0.85 memory)."""
    shocks = rng.standard_t(6, len(volatility)) / np.sqrt(6 / 4)
    moves = np.empty(len(volatility))
    variance, last, shock = 1.0, 0.0, 0.0
    for t in range(len(volatility)):
        variance = 0.05 + 0.10 * shock**2 + 0.85 * variance
        shock = np.sqrt(variance) * shocks[t]
        last = autocorrelation * last + volatility[t] * shock
        moves[t] = last
    return moves
