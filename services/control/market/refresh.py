"""Keeps prices and candles fresh and their history whole. Of several controls one does it: the one that has the advisory lock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import LiteralString

from psycopg import Error
from psycopg.errors import ForeignKeyViolation

from services.control import metrics
from services.control.leader import lead, within
from services.control.market.candles import INTERVALS
from services.control.market.history import PATIENCE, History
from services.control.market.kraken import Away, Kraken, Refused
from services.control.market.outcomes import Outcomes
from services.control.market.repository import MarketRepository
from services.control.market.schemas import Asset
from services.control.market.service import newest
from services.kit.locks import AdvisoryLock
from services.kit.tasks import beside

CHANNEL: LiteralString = "modelyard_market"
LOOK_FOR_GAPS = 600.0


@asynccontextmanager
async def refreshing(url: str, kraken: Kraken, repository: MarketRepository, history: History, outcomes: Outcomes, seconds: float) -> AsyncIterator[None]:
    """Every `seconds`, while the block lasts."""
    refresh = Refresh(kraken, repository, history, outcomes, seconds)
    async with beside(lead(url, "control-market", AdvisoryLock.MARKET, refresh.run, CHANNEL), "refresh the market"):
        yield


class Refresh:
    def __init__(self, kraken: Kraken, repository: MarketRepository, history: History, outcomes: Outcomes, seconds: float) -> None:
        self._kraken, self._repository, self._history, self._outcomes, self._seconds = kraken, repository, history, outcomes, seconds
        self._changed, self._added = asyncio.Event(), asyncio.Event()
        """The same news for those who keep the history whole, and for those who keep it fresh."""
        self._shown: set[tuple[str, str]] = set()

    async def run(self, news: asyncio.Event) -> None:
        """Without end. Raises psycopg.Error."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_fresh())
                group.create_task(self._keep_whole())
                while True:
                    await news.wait()
                    news.clear()
                    self._changed.set()
                    self._added.set()
        finally:
            self._forget()

    async def _keep_fresh(self) -> None:
        while True:
            assets = await self._repository.assets()
            try:
                await self._prices(assets)
                for asset in assets:
                    with suppress(Refused):
                        await newest(self._kraken, self._repository, asset, PATIENCE)
            except Away:
                pass  # the client has said so; what is there stays
            await self._outcomes.tell(assets)
            await self._show(assets)
            await within(self._seconds, self._added)

    async def _prices(self, assets: list[Asset]) -> None:
        """One pair that Kraken has dropped fails a call for all."""
        pairs = [asset.pair for asset in assets]
        if not pairs:
            return
        try:
            prices = await self._kraken.prices(pairs, PATIENCE)
        except Refused:
            prices = {}
            for pair in pairs:
                with suppress(Refused):
                    prices |= await self._kraken.prices([pair], PATIENCE)
        await self._repository.set_prices(prices)

    async def _keep_whole(self) -> None:
        """One asset after the other: those that were just added first. A failed one is tried again with the next turn."""
        while True:
            assets = await self._repository.assets()
            for asset in sorted(assets, key=lambda one: one.backfill["state"] != "waiting"):
                with suppress(ForeignKeyViolation):  # removed meanwhile
                    await self._history.fill(asset, self._changed.is_set)
                if self._changed.is_set():
                    break
            failed = any(asset.backfill["state"] != "done" for asset in await self._repository.assets())
            await within(self._seconds if failed else LOOK_FOR_GAPS, self._changed)

    async def _show(self, assets: list[Asset]) -> None:
        symbols = {asset.id: asset.symbol for asset in assets}
        with suppress(Error):
            edges = await self._repository.edges(INTERVALS)
            shown = {(symbols[asset], str(interval)): edge[1] + interval * 60 for (asset, interval), edge in edges.items() if edge and asset in symbols}
            for labels, ended in shown.items():
                metrics.MARKET_NEWEST.labels(*labels).set(ended)
            for gone in self._shown - shown.keys():
                metrics.MARKET_NEWEST.remove(*gone)
            self._shown = set(shown)

    def _forget(self) -> None:
        """Another control speaks for the candles."""
        for labels in self._shown:
            metrics.MARKET_NEWEST.remove(*labels)
        self._shown = set()
