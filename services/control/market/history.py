"""Back-fill: candles that are wanted and not there, from Kraken's newest 720 and, before these, added up from its trades."""

import logging
import time
from collections.abc import Callable

from services.control.market.candles import INTERVALS, Adder
from services.control.market.kraken import LISTED, Away, Kraken, Refused
from services.control.market.repository import MarketRepository
from services.control.market.schemas import Asset, Backfill

log = logging.getLogger(__name__)

PATIENCE = 300.0
REACH = LISTED - 1
"""Completed candles of a listing."""
HOURLY = 60
NS = 1_000_000_000

Range = tuple[int, int]


def completed(step: int) -> int:
    """Open time of the candle that is running now: those before it are completed."""
    return int(time.time()) // step * step


class History:
    def __init__(self, kraken: Kraken, repository: MarketRepository, days: int) -> None:
        """`days` of hourly candles, at least as many as Kraken lists."""
        self.kraken, self.repository, self._days = kraken, repository, days

    def wanted(self, interval: int) -> int:
        """Open time of the oldest candle that is wanted."""
        step = interval * 60
        candles = self._days * 24 if interval == HOURLY and self._days * 24 > LISTED else REACH
        return completed(step) - candles * step

    async def missing(self, asset: Asset, state: Backfill, interval: int) -> list[Range]:
        """Between the oldest that is wanted, or there, and the newest that is completed."""
        edges = await self.repository.edges([interval])
        edge, step = edges.get((asset.id, interval)), interval * 60
        begin = min(self.wanted(interval), edge[0]) if edge else self.wanted(interval)
        known = state.since.get(str(interval))
        if known is not None and begin >= known[0]:
            begin = max(begin, known[1])
        return await self.repository.missing(asset.id, interval, begin, completed(step))

    async def fill(self, asset: Asset, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Goes on where an earlier one ended, and tells the database how far it is. What goes wrong stands there too.

        `interrupted` is asked between calls: years of trades must not keep others waiting.
        """
        state = Backfill(done=asset.backfill["done"], since=asset.backfill.get("since", {}))
        gaps = {interval: await self.missing(asset, state, interval) for interval in INTERVALS}
        state.total = state.done + sum((end - begin) // (interval * 60) for interval, ranges in gaps.items() for begin, end in ranges)
        if state.total == state.done and asset.backfill["state"] == "done":
            return
        state.state = "running"
        work = _Work(self, asset, state, interrupted)
        await work.stored(0)
        try:
            for interval in INTERVALS:
                if gaps[interval]:
                    await work.fill(interval)
            if not interrupted():
                state.state, state.total = "done", state.done
        except (Away, Refused) as error:
            state.state, state.error = "failed", str(error)
        await self.repository.tell(asset.id, state)
        if (state.state, state.error) != (asset.backfill["state"], asset.backfill.get("error")):
            log.info("back-fill", extra={"asset": asset.symbol, "state": state.state, "candles": state.done, "error": state.error})


class _Work:
    """One back-fill of one asset."""

    def __init__(self, history: History, asset: Asset, state: Backfill, interrupted: Callable[[], bool]) -> None:
        self._history, self._asset, self._state, self._interrupted = history, asset, state, interrupted
        self._kraken, self._repository = history.kraken, history.repository

    async def stored(self, count: int) -> None:
        self._state.done = min(self._state.done + count, self._state.total)
        await self._repository.tell(self._asset.id, self._state)

    async def fill(self, interval: int) -> None:
        listing = await self._kraken.candles(self._asset.pair, interval, 0, PATIENCE)
        await self.stored(await self._repository.store(self._asset.id, interval, listing.candles))
        reach = listing.candles[0].timestamp if listing.candles else completed(interval * 60)
        if listing.all_there_are:
            self._state.since[str(interval)] = [0, reach]
        for begin, end in await self._history.missing(self._asset, self._state, interval):
            # What is missing within the listing Kraken does not have.
            if begin < reach and not self._interrupted():
                await self._add_up(interval, begin, min(end, reach))

    async def _add_up(self, interval: int, begin: int, end: int) -> None:
        close = await self._repository.close_before(self._asset.id, interval, begin)
        adder = Adder(interval * 60, begin, end, close)
        since, first = begin * NS - 1, None
        while not adder.finished:
            if self._interrupted():
                return
            trades, last = await self._kraken.trades(self._asset.pair, since, PATIENCE)
            done = adder.add(trades)
            if not adder.finished and (not trades or last <= since):
                done += adder.finish()
            since = last
            if done:
                first = done[0].timestamp if first is None else first
                await self.stored(await self._repository.store(self._asset.id, interval, done))
        if close is None:
            self._state.since[str(interval)] = [self._history.wanted(interval), end if first is None else first]
