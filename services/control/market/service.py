"""What people do to the market: look for pairs, add and remove assets, ask for the newest candles."""

import logging
import time
from datetime import UTC, datetime

from psycopg.errors import ForeignKeyViolation

from services.control.market.candles import INTERVALS
from services.control.market.history import completed
from services.control.market.kraken import Away, Kraken, Refused
from services.control.market.repository import MarketRepository
from services.control.market.schemas import Added, Asset, Pairs, PairShown, Refreshed
from services.kit.errors import Conflict, FieldError, Invalid, NotFound, Unavailable
from services.kit.pairs import Names

log = logging.getLogger(__name__)

PAIRS_SECONDS = 3600.0
"""So long a list of pairs is as good as a new one; while Kraken is away, any is."""
AGAIN_SECONDS = 60.0
"""So long nobody waits again for a Kraken that was away, where an old list will do."""
PATIENCE = 6.0
"""Seconds that somebody waits."""


class Market:
    def __init__(self, kraken: Kraken | None, repository: MarketRepository) -> None:
        """Without `kraken`, nothing new comes."""
        self._kraken, self.repository = kraken, repository
        self._names: Names | None = None
        self._fetched = self._failed = 0.0

    @property
    def kraken(self) -> Kraken:
        """Raises Unavailable."""
        if self._kraken is None:
            raise Unavailable("Kraken is switched off: CONTROL_KRAKEN_URL is empty.", retry_after=600)
        return self._kraken

    async def names(self) -> Names:
        """Raises Unavailable when Kraken is away and has never told its pairs to this process."""
        old = time.time() - self._fetched > PAIRS_SECONDS and time.time() - self._failed > AGAIN_SECONDS
        if self._names is None or old:
            try:
                self._names, self._fetched = Names(await self.kraken.pairs(PATIENCE)), time.time()
            except (Away, Refused) as error:
                self._failed = time.time()
                if self._names is None:
                    raise Unavailable(f"{error}. Which pairs there are cannot be told now; try again.", retry_after=10) from None
        return self._names

    async def pairs(self, search: str, limit: int) -> Pairs:
        names = await self.names()
        found = [PairShown(symbol=one.symbol, wsname=one.wsname, base=one.base, quote=one.quote, status=one.status) for one in names.search(search, limit)]
        return Pairs(pairs=found, fetched_at=datetime.fromtimestamp(self._fetched, UTC), stale_seconds=round(time.time() - self._fetched, 3))

    async def add(self, symbol: str, actor: str) -> Added:
        """The back-fill begins at once: a trigger of the table announces it."""
        names = await self.names()
        pair = names.find(symbol)
        if pair is None:
            near = names.near(symbol)
            hint = f"; near names: {', '.join(near)}" if near else ""
            error = FieldError(field="symbol", rule="must be a pair that Kraken offers, such as XBTUSD or BTC/USD", value=symbol)
            raise Invalid(f"Kraken offers no pair {symbol!r}{hint}.", errors=[error], extra={"near": near})
        added = await self.repository.add(pair, actor)
        if added is None:
            raise Conflict(f"The asset {pair.symbol} is there already.", extra={"symbol": pair.symbol})
        log.info("asset added", extra={"asset": pair.symbol, "actor": actor})
        return added

    async def remove(self, asset_id: int, actor: str) -> None:
        symbol = await self.repository.remove(asset_id)
        if symbol is None:
            raise NotFound(f"There is no asset {asset_id}.")
        log.info("asset removed", extra={"asset": symbol, "actor": actor})

    async def refresh(self, asset_id: int) -> Refreshed:
        """Asks for the newest candles now. Raises Unavailable."""
        for asset in await self.repository.assets():
            if asset.id == asset_id:
                try:
                    return Refreshed(symbol=asset.symbol, candles=await newest(self.kraken, self.repository, asset, PATIENCE))
                except (Away, Refused) as error:
                    raise Unavailable(f"{error}. The candles of {asset.symbol} stay as they are; try again.", retry_after=10) from None
        raise NotFound(f"There is no asset {asset_id}.")


async def newest(kraken: Kraken, repository: MarketRepository, asset: Asset, patience: float) -> int:
    """Stores what has been completed since the newest candle, this one included, because it may have been corrected. Raises Away or Refused.

    An asset without candles gets them from its back-fill.
    """
    edges = await repository.edges(INTERVALS)
    stored = 0
    for interval in INTERVALS:
        edge, step = edges.get((asset.id, interval)), interval * 60
        if edge is None or edge[1] + step >= completed(step):
            continue
        listing = await kraken.candles(asset.pair, interval, edge[1], patience)
        try:
            stored += await repository.store(asset.id, interval, listing.candles)
        except ForeignKeyViolation:
            return stored  # removed meanwhile
    return stored
