"""How the price model learns: a ridge regression of the next move, chosen by the comparison in README.md."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bentos import tabular
from bentos.contract import BadData, Examples, Problem
from bentos.crypto_price.features import returns
from bentos.crypto_price.schema import LOOKBACK

TARGET = "close"
"""The frame's column that the target is taken from: the close of the candle after the window."""
SERIES = ("open", "high", "low", "close", "volume", "trades")
YEARS = 3
"""Learned from are so many years before the newest candle: older markets were thinner and moved otherwise (README.md)."""
LARGEST_TARGET = 0.5
"""Targets are cut to so many typical moves: the fit follows the direction instead of the few largest moves."""


def problems(frame: pd.DataFrame) -> list[Problem]:
    """Order, grid, duplicates and low-high consistency per series, and that there is something to learn from."""
    found: list[Problem] = []
    usable = False
    for asset, interval, series in _series(frame):
        times = series["timestamp"]
        rules = [
            *tabular.broken("timestamp", f"not on the grid of {interval} minutes", times % (interval * 60) != 0),
            *tabular.broken("timestamp", "the candle is there already", times.duplicated()),
            *tabular.broken("timestamp", "earlier than the line before", times.diff() < 0),
            *tabular.ordered(series, [("low", "open"), ("low", "close"), ("open", "high"), ("close", "high")]),
        ]
        found += [Problem(one.column, f"{asset} {interval}: {one.rule}", one.rows, one.count) for one in rules]
        usable = usable or len(_starts(times.to_numpy(dtype=np.int64), interval * 60)) > 0
    if not found and not usable:
        found.append(_no_example())
    return found


def examples(frame: pd.DataFrame) -> Examples:
    """One example per LOOKBACK + 1 candles without a gap, in the order of the forecast candles' open times. Raises BadData when there is none."""
    parts = [_windows(asset, interval, series) for asset, interval, series in _series(frame)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    truth, time = columns.pop("truth"), columns["as_of"].astype(np.int64)
    if not len(truth):
        raise BadData([_no_example()])
    baseline = columns["close"][:, -1]
    _, volatility = returns(columns)
    move = np.log(truth / baseline) / volatility[:, 0]
    groups = np.array([f"{asset} {interval:.0f}" for asset, interval in zip(columns["asset"], columns["interval"], strict=True)], dtype=object)
    learn = time >= time.max() - YEARS * 365.25 * 86_400
    found = Examples(columns, np.clip(move, -LARGEST_TARGET, LARGEST_TARGET), truth, baseline, time, learn, groups)
    return found.take(np.argsort(time, kind="stable"))


def estimator(seed: int) -> BaseEstimator:
    return make_pipeline(StandardScaler(), Ridge(alpha=1000.0, random_state=seed))


def _series(frame: pd.DataFrame) -> Iterator[tuple[str, int, pd.DataFrame]]:
    for (asset, interval), series in frame.groupby(["asset", "interval"], sort=True):
        yield str(asset), int(str(interval)), series


def _starts(times: NDArray[np.int64], step: int) -> NDArray[np.intp]:
    """Positions of the windows' first candles: those whose LOOKBACK successors follow without a gap."""
    return np.flatnonzero(times[LOOKBACK:] - times[:-LOOKBACK] == LOOKBACK * step)


def _windows(asset: str, interval: int, series: pd.DataFrame) -> dict[str, NDArray[np.generic]]:
    """`Input`'s columns and the truth, asked at the moment at which the last candle of the window ended."""
    times = series["timestamp"].to_numpy(dtype=np.int64)
    starts = _starts(times, interval * 60)
    columns: dict[str, NDArray[np.generic]] = {
        "asset": np.full(len(starts), asset, dtype=object),
        "interval": np.full(len(starts), float(interval)),
        "as_of": times[starts + LOOKBACK].astype(np.float64),
        "truth": series["close"].to_numpy(dtype=np.float64)[starts + LOOKBACK],
    }
    for name in ("timestamp", *SERIES):
        values = series[name].to_numpy(dtype=np.float64)
        columns[name] = sliding_window_view(values, LOOKBACK)[starts] if len(starts) else np.empty((0, LOOKBACK))
    return columns


def _no_example() -> Problem:
    return Problem("timestamp", f"no {LOOKBACK + 1} candles of an asset follow each other without a gap: there is nothing to learn from")
