"""Rows and trades of the exchange as candles, digit by digit."""

from decimal import Decimal
from typing import Any

import pytest

from services.control.market.candles import Adder, Candle, Trade, number, of_row

ROW = [1688671200, "30306.1", "30306.2", "30305.7", "30305.7", "30306.1", "3.39243896", 23]


def trade(moment: str, price: str, volume: str = "1.0") -> Trade:
    return Trade(Decimal(price), Decimal(volume), Decimal(moment))


def test_a_row_keeps_its_digits_and_its_order() -> None:
    assert of_row(ROW, 60) == Candle(1688671200, *map(Decimal, ("30306.1", "30306.2", "30305.7", "30305.7", "3.39243896")), 23)
    assert str(of_row([*ROW[:6], "0.10000000", 1], 60).volume) == "0.10000000"


@pytest.mark.parametrize(
    "row",
    [
        [1688671201, *ROW[1:]],
        ["1688671200", *ROW[1:]],
        [*ROW[:1], "NaN", *ROW[2:]],
        [*ROW[:1], "1e5", *ROW[2:]],
        [*ROW[:1], None, *ROW[2:]],
        [*ROW[:2], "1.0", *ROW[3:]],
        [*ROW[:3], "0", *ROW[4:]],
        [*ROW[:6], "-1", 23],
        [*ROW[:7], -1],
        [*ROW[:7], 1.5],
        ROW[:4],
        [],
    ],
)
def test_what_is_no_candle_is_refused(row: list[Any]) -> None:
    with pytest.raises((ValueError, IndexError)):
        of_row(row, 60)


@pytest.mark.parametrize("value", [True, None, "", "-1", "inf", "1_000", "١", "1." + "0" * 30, []])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="no decimal number"):
        number(value)


def test_trades_add_up_to_candles() -> None:
    adder = Adder(60, 120, 360, None)
    assert adder.add([trade("119.99", "1"), trade("120", "5.10"), trade("150.5", "7"), trade("179.9999", "4")]) == []
    assert adder.add([trade("300.1", "6")]) == [
        Candle(120, Decimal("5.10"), Decimal(7), Decimal(4), Decimal(4), Decimal("3.0"), 3),
        # Nothing was traded for two minutes.
        *(Candle(at, Decimal(4), Decimal(4), Decimal(4), Decimal(4), Decimal(0), 0) for at in (180, 240)),
    ]
    assert not adder.finished
    assert adder.add([trade("360", "9"), trade("361", "9")]) == [Candle(300, Decimal(6), Decimal(6), Decimal(6), Decimal(6), Decimal("1.0"), 1)]
    assert adder.finished
    assert adder.finish() == []


def test_before_the_first_trade_there_is_no_candle_unless_a_close_is_known() -> None:
    assert Adder(60, 0, 120, None).finish() == []
    assert [candle.close for candle in Adder(60, 0, 120, Decimal(3)).finish()] == [3, 3]
    adder = Adder(60, 0, 180, None)
    assert [candle.timestamp for candle in adder.add([trade("61", "5"), trade("200", "6")])] == [60, 120]
