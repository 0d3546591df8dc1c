"""No example knows the future, and the forecast is judged beside the naive one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from bentos import contract
from bentos.contract import BadData
from bentos.crypto_price import data, features, train, walk_forward
from bentos.crypto_price.schema import LOOKBACK, Input


def candles(count: int, step: int = 3600, asset: str = "XBTUSD", interval: int = 60) -> pd.DataFrame:
    first = 1_600_000_000 // 86_400 * 86_400
    close = 100 + np.arange(count) % 7
    frame = pd.DataFrame({"asset": asset, "interval": interval, "timestamp": first + step * np.arange(count), "open": 103.0, "high": 120.0, "low": 90.0})
    return frame.assign(close=close.astype(float), volume=1.0, trades=1).set_index(pd.RangeIndex(2, 2 + count))


def test_an_example_is_a_window_and_the_next_close() -> None:
    frame = candles(LOOKBACK + 3)
    examples = train.examples(frame)
    assert len(examples) == 3
    assert examples.truth.tolist() == frame["close"].tolist()[LOOKBACK:]
    assert examples.baseline.tolist() == frame["close"].tolist()[LOOKBACK - 1 : -1]
    assert examples.time is not None
    assert examples.time.tolist() == frame["timestamp"].tolist()[LOOKBACK:]
    assert examples.columns["timestamp"][0].tolist() == frame["timestamp"].tolist()[:LOOKBACK]
    assert set(examples.groups) == {"XBTUSD 60"}
    assert (examples.target > 0).all()


def test_the_largest_moves_do_not_rule_the_fit() -> None:
    frame = candles(LOOKBACK + 2)
    frame.loc[frame.index[-2:], ["high", "close"]] = [[1000.0, 1000.0], [1000.0, 91.0]]
    examples = train.examples(frame)
    assert examples.target.tolist() == [train.LARGEST_TARGET, -train.LARGEST_TARGET]
    assert examples.truth.tolist() == [1000.0, 91.0]


def test_windows_never_span_a_gap() -> None:
    frame = candles(3 * LOOKBACK).drop(index=LOOKBACK + 10)
    times = train.examples(frame).columns["timestamp"]
    assert (np.diff(times, axis=1) == 3600).all()
    assert len(times) == 3 * LOOKBACK - 1 - 2 * LOOKBACK


def test_a_later_candle_changes_no_earlier_example() -> None:
    frame = data.synthetic(900, 1, 0)
    changed = frame.copy()
    newest = changed["timestamp"] > frame["timestamp"].quantile(0.9)
    changed.loc[newest, ["open", "high", "low", "close"]] *= 2
    before, after = train.examples(frame), train.examples(changed)
    assert before.time is not None
    untouched = before.time <= frame["timestamp"].quantile(0.9)
    assert (features.matrix(before.columns)[untouched] == features.matrix(after.columns)[untouched]).all()
    assert (before.target[untouched] == after.target[untouched]).all()


def test_examples_are_in_the_order_of_time_and_valid_requests() -> None:
    examples = train.examples(data.synthetic(1500, 1, 0))
    assert examples.time is not None
    assert (np.diff(examples.time) >= 0).all()
    rows = contract.rows_of_columns(examples.take(np.arange(0, len(examples), 100)).columns, contract.kinds(Input))
    for row in rows:
        assert Input.model_validate(row).model_dump() == row


def test_old_candles_are_left_out() -> None:
    frame = candles(5 * 365, 86_400, interval=1440)
    assert train.examples(frame).learn.sum() == int(train.YEARS * 365.25) + 1


def test_problems_name_series_rule_and_lines() -> None:
    frame = candles(60)
    frame.loc[10, "timestamp"] += 60
    frame.loc[20, "timestamp"] = frame.loc[19, "timestamp"]
    frame.loc[30, "timestamp"] -= 7200
    frame.loc[40, "low"] = 104.5
    frame.loc[50, "close"] = 121.0
    words = "\n".join(map(str, train.problems(frame)))
    assert "timestamp: XBTUSD 60: not on the grid of 60 minutes in 1 row (10)" in words
    assert "timestamp: XBTUSD 60: the candle is there already in 2 rows (20, 30)" in words
    assert "timestamp: XBTUSD 60: earlier than the line before in 1 row (30)" in words
    assert "low: XBTUSD 60: must not be above open in 1 row (40)" in words
    assert "close: XBTUSD 60: must not be above high in 1 row (50)" in words


def test_too_few_candles_are_bad_data() -> None:
    frame = candles(LOOKBACK)
    assert "there is nothing to learn from" in str(train.problems(frame)[0])
    with pytest.raises(BadData, match="nothing to learn from"):
        train.examples(frame)


def test_the_documented_relation_is_found() -> None:
    examples = train.examples(data.synthetic(12_000, 7, 0))
    assert examples.time is not None
    known = examples.time < np.quantile(examples.time, 0.8)
    model = train.estimator(7).fit(features.matrix(examples.columns)[known], examples.target[known])
    assert isinstance(model[-1], Ridge)  # a dot product: the linear engine serves it
    unseen = examples.take(~known)
    forecast = features.answer(model.predict(features.matrix(unseen.columns)), unseen.columns)["prediction"]
    ratio, direction, half, _ = walk_forward.judged(forecast, unseen.truth, unseen.baseline)
    assert ratio < 0.99
    assert direction - half > 0.53


def test_real_candles_year_by_year(shared_data: Path) -> None:
    """What the acceptance asks of unseen candles, on every period that the visible ones allow."""
    frame = data.files(sorted((shared_data / "crypto").iterdir()))
    assert train.problems(frame) == []
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in walk_forward.table(frame)[2:]]
    hourly = [row for row in rows if row[2] == "XBTUSD 60"]
    assert len(hourly) == len(walk_forward.PERIODS)
    for row in hourly:
        assert float(row[4]) <= 1.01, row
        assert float(row[5].split(" ")[0]) >= 0.51, row
    assert all(float(row[4]) < 1.02 for row in rows)
    assert all(0.70 < float(row[6]) < 0.88 for row in rows), "coverage of the 80 % interval"
    assert all(0.92 < float(row[7]) < 0.98 for row in rows), "coverage of the 95 % interval"
