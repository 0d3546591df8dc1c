"""Candles and trades as the exchange tells them, digit by digit: prices never become floats on the way to the database."""

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

INTERVALS = (60, 1440)
"""Minutes."""
_NUMBER = re.compile(r"\d{1,24}(\.\d{1,24})?", re.ASCII)


class Candle(NamedTuple):
    timestamp: int
    """Open time in UNIX seconds."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


class Trade(NamedTuple):
    price: Decimal
    volume: Decimal
    time: Decimal
    """UNIX seconds, to the exchange's last digit."""


def number(value: Any) -> Decimal:
    """Raises ValueError for what is no plain decimal number."""
    text = str(value)
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no decimal number")
    return Decimal(text)


def whole(value: Any) -> int:
    """Raises ValueError."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{str(value)[:40]!r} is no whole number")
    return value


def of_row(row: Sequence[Any], step: int) -> Candle:
    """A row of OHLC: [time, open, high, low, close, vwap, volume, count]. Raises ValueError."""
    opened, count = whole(row[0]), whole(row[7])
    first, high, low, close, volume = (number(row[at]) for at in (1, 2, 3, 4, 6))
    if opened % step:
        raise ValueError(f"the candle of {opened} is off the grid of {step} seconds")
    if not 0 < low <= min(first, close) <= max(first, close) <= high:
        raise ValueError(f"the prices of the candle of {opened} contradict each other")
    return Candle(opened, first, high, low, close, volume, count)


def of_trades(opened: int, trades: Sequence[Trade]) -> Candle:
    """At least one, in their order."""
    prices = [trade.price for trade in trades]
    return Candle(opened, prices[0], max(prices), min(prices), prices[-1], sum((trade.volume for trade in trades), Decimal(0)), len(trades))


class Adder:
    """Adds trades up to the candles that open from `begin` on and before `end`.

    An interval without a trade gets the flat candle that the exchange itself would list, at the close before it, if that is known.
    """

    def __init__(self, step: int, begin: int, end: int, close: Decimal | None) -> None:
        self._step, self._at, self._end, self._close = step, begin, end, close
        self._trades: list[Trade] = []

    @property
    def finished(self) -> bool:
        return self._at >= self._end

    def add(self, trades: Iterable[Trade]) -> list[Candle]:
        """The candles that these, in the order of time, complete."""
        done: list[Candle] = []
        for trade in trades:
            if trade.time < self._at:
                continue
            done += self._until(min(int(trade.time) // self._step * self._step, self._end))
            if self.finished:
                break
            self._trades.append(trade)
        return done

    def finish(self) -> list[Candle]:
        """The rest, when there are no more trades."""
        return list(self._until(self._end))

    def _until(self, moment: int) -> Iterator[Candle]:
        while self._at < moment:
            if self._trades:
                candle = of_trades(self._at, self._trades)
                self._close = candle.close
                self._trades = []
                yield candle
            elif self._close is not None:
                yield Candle(self._at, self._close, self._close, self._close, self._close, Decimal(0), 0)
            self._at += self._step
