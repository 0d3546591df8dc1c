"""The feature matrix: scale-free, bounded, and the same for one row as for many."""

import numpy as np
import pytest

from bentos import contract
from bentos.crypto_price import features
from bentos.crypto_price.schema import EXAMPLE, LOOKBACK, Input, Output
from bentos.crypto_price.synthetic import synthetic
from bentos.crypto_price.train import examples

FIELDS = contract.kinds(Input)
PRICES = ("open", "high", "low", "close")


@pytest.fixture(scope="module")
def columns() -> contract.Columns:
    return examples(synthetic(2000, 3, 0)).columns


def value(matrix: contract.Floats, name: str) -> contract.Floats:
    return matrix[:, features.FEATURES.index(name)]


def test_shape_and_memory_order(columns: contract.Columns) -> None:
    matrix = features.matrix(columns)
    assert matrix.shape == (len(columns["asset"]), len(features.FEATURES))
    assert matrix.flags.c_contiguous
    assert np.isfinite(matrix).all()
    assert len(set(features.FEATURES)) == len(features.FEATURES)


def test_one_row_alone_equals_the_row_among_others(columns: contract.Columns) -> None:
    matrix = features.matrix(columns)
    for at in (0, 17, len(matrix) - 1):
        alone = features.matrix({name: values[at : at + 1] for name, values in columns.items()})
        assert (alone == matrix[at]).all()


def test_rows_as_served_equal_rows_as_trained(columns: contract.Columns) -> None:
    rows = contract.rows_of_columns(columns, FIELDS)
    served = [Input.model_validate(row).model_dump() for row in rows[::50]]
    assert (features.matrix(contract.columns_of_rows(served, FIELDS)) == features.matrix(columns)[::50]).all()


def test_the_unit_of_the_price_does_not_matter(columns: contract.Columns) -> None:
    scaled = {name: values * 1024 if name in PRICES else values for name, values in columns.items()}
    assert features.matrix(scaled) == pytest.approx(features.matrix(columns), abs=1e-9)


def test_what_the_features_say() -> None:
    matrix = features.matrix(contract.columns_of_rows([EXAMPLE], FIELDS))
    moves = np.diff(np.log([EXAMPLE["open"][0], *EXAMPLE["close"]]))
    typical = np.sqrt(np.mean(moves**2))
    assert value(matrix, "return_1")[0] == pytest.approx(moves[-1] / typical)
    assert value(matrix, f"return_{LOOKBACK}")[0] == pytest.approx(moves[0] / typical)
    high, low, close = EXAMPLE["high"][-3:], EXAMPLE["low"][-3:], EXAMPLE["close"][-1]
    assert value(matrix, "position_3")[0] == pytest.approx((close - min(low)) / (max(high) - min(low)) - 0.5)
    assert value(matrix, "hour_cos_1")[0] == pytest.approx(1)  # the forecast candle opens at midnight
    assert value(matrix, "daily")[0] == 0
    assert value(matrix, "daily_return_1")[0] == 0


def test_daily_candles_have_no_hour(columns: contract.Columns) -> None:
    matrix = features.matrix(columns)
    daily = columns["interval"] == 1440
    hours = [at for at, name in enumerate(features.FEATURES) if name.startswith("hour")]
    assert daily.any()
    assert (matrix[daily][:, hours] == 0).all()
    assert (value(matrix, "daily") == daily).all()
    assert (value(matrix, "daily_return_1")[daily] == value(matrix, "return_1")[daily]).all()


def test_a_market_without_moves_and_one_with_wild_ones() -> None:
    flat = EXAMPLE | dict.fromkeys(PRICES, [1e-12] * LOOKBACK)
    wild = EXAMPLE | {name: [1e-12, 1e12] * (LOOKBACK // 2) for name in PRICES}
    columns = contract.columns_of_rows([Input.model_validate(row).model_dump() for row in (flat, wild)], FIELDS)
    matrix = features.matrix(columns)
    assert np.abs(matrix[:, :-1]).max() <= features.LARGEST_MOVE
    assert value(matrix, "volatility")[0] == pytest.approx(np.log(features.SMALLEST_VOLATILITY))
    answers = features.answer(np.array([1.0, 1.0]), columns)
    assert np.isfinite(answers["prediction"]).all()
    assert answers["prediction"][0] == pytest.approx(1e-12, rel=1e-3)


def test_an_answer_is_plain_json_of_the_output() -> None:
    columns = contract.columns_of_rows([EXAMPLE, EXAMPLE], FIELDS)
    named = {name: values.tolist() for name, values in features.answer(np.array([0.1, -0.1]), columns).items()}
    up, down = (Output.model_validate(dict(zip(named, row, strict=True))) for row in zip(*named.values(), strict=True))
    last = EXAMPLE["close"][-1]
    assert up.model_dump()["direction"] == "up"
    assert down.model_dump()["direction"] == "down"
    assert down.model_dump()["prediction"] < last < up.model_dump()["prediction"]
    assert up.model_dump()["naive"] == last
    assert up.model_dump()["forecast_for"] == EXAMPLE["timestamp"][-1] + 3600
