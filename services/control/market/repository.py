from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from services.control.market.candles import Candle
from services.control.market.schemas import Added, Archive, Asset, Backfill
from services.kit.pairs import Pair
from services.kit.postgres import Pool

ADD: LiteralString = """
INSERT INTO assets (symbol, pair, wsname, base, quote, added_by) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (symbol) DO NOTHING RETURNING id, symbol
"""

ASSETS: LiteralString = "SELECT id, symbol, pair, backfill FROM assets ORDER BY id"

STORE: LiteralString = """
INSERT INTO candles AS stored (asset_id, interval, timestamp, open, high, low, close, volume, trades)
SELECT %s, %s, * FROM unnest(%s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::integer[])
ON CONFLICT (asset_id, interval, timestamp) DO UPDATE
SET (open, high, low, close, volume, trades) = (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trades)
WHERE (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trades)
    <> (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trades)
"""

EDGES: LiteralString = """
SELECT wanted.asset_id, wanted.interval,
    (SELECT timestamp FROM candles c WHERE (c.asset_id, c.interval) = (wanted.asset_id, wanted.interval) ORDER BY timestamp LIMIT 1),
    (SELECT timestamp FROM candles c WHERE (c.asset_id, c.interval) = (wanted.asset_id, wanted.interval) ORDER BY timestamp DESC LIMIT 1)
FROM (SELECT id AS asset_id, interval::smallint FROM assets CROSS JOIN unnest(%s::integer[]) AS interval) wanted
"""

MISSING: LiteralString = """
WITH there AS (
    SELECT timestamp FROM candles WHERE asset_id = %(asset)s AND interval = %(interval)s AND timestamp >= %(begin)s AND timestamp < %(end)s
    UNION ALL SELECT %(begin)s::bigint - %(interval)s * 60
    UNION ALL SELECT %(end)s::bigint
)
SELECT timestamp + %(interval)s * 60, next
FROM (SELECT timestamp, lead(timestamp) OVER (ORDER BY timestamp) AS next FROM there) neighbours
WHERE next - timestamp > %(interval)s * 60 ORDER BY timestamp
"""

CLOSE_BEFORE: LiteralString = "SELECT close FROM candles WHERE asset_id = %s AND interval = %s AND timestamp < %s ORDER BY timestamp DESC LIMIT 1"

PRICES: LiteralString = """
UPDATE assets SET price = ticker.price, price_at = now() FROM unnest(%s::text[], %s::numeric[]) AS ticker (pair, price) WHERE assets.pair = ticker.pair
"""

ARCHIVES: LiteralString = """
SELECT symbol || '_' || interval AS name, count(*) AS candles FROM candles JOIN assets ON assets.id = asset_id
GROUP BY symbol, interval ORDER BY symbol, interval
"""

ARCHIVE: LiteralString = """
COPY (
    SELECT timestamp, open, high, low, close, volume, trades FROM candles JOIN assets ON assets.id = asset_id
    WHERE symbol = %s AND interval = %s ORDER BY timestamp
) TO STDOUT (FORMAT csv)
"""

TELL_OUTCOMES: LiteralString = """
INSERT INTO outcomes (prediction_id, value, actor)
SELECT p.id, truth.close::float8, %(actor)s
FROM predictions p
CROSS JOIN LATERAL (SELECT (p.output ->> 'forecast_for')::bigint AS forecast_for, (p.output ->> 'naive')::float8 AS naive OFFSET 0) f
JOIN candles last ON last.asset_id = %(asset)s AND last.interval = %(interval)s AND last.timestamp = f.forecast_for - %(interval)s * 60
    AND last.close::float8 = f.naive
JOIN candles truth ON truth.asset_id = %(asset)s AND truth.interval = %(interval)s AND truth.timestamp = f.forecast_for
WHERE p.model = %(model)s AND p.input ->> 'asset' = %(symbol)s AND p.input ->> 'interval' = %(interval)s::integer::text
    AND p.batch_id IS NULL AND p.id >= uuid7_floor(now() - make_interval(mins => %(minutes)s))
    AND NOT EXISTS (SELECT FROM outcomes o WHERE o.prediction_id = p.id)
"""
"""A forecast from other candles than those that are stored began from another close: its truth is not known here. What somebody has told stays."""


class MarketRepository:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, pair: Pair, actor: str) -> Added | None:
        """None when it is there already."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Added)) as cursor:
            await cursor.execute(ADD, (pair.symbol, pair.key, pair.wsname, pair.base, pair.quote, actor))
            return await cursor.fetchone()

    async def remove(self, asset_id: int) -> str | None:
        """Its symbol, if it was there; its candles go with it."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute("DELETE FROM assets WHERE id = %s RETURNING symbol", (asset_id,))).fetchone()
        return None if row is None else str(row[0])

    async def assets(self) -> list[Asset]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Asset)) as cursor:
            return await (await cursor.execute(ASSETS)).fetchall()

    async def edges(self, intervals: Sequence[int]) -> Mapping[tuple[int, int], tuple[int, int] | None]:
        """Open times of the first and the last candle by asset and interval; None where there is none."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(EDGES, (list(intervals),))).fetchall()
        return {(asset, interval): None if first is None else (first, last) for asset, interval, first, last in rows}

    async def store(self, asset_id: int, interval: int, candles: Sequence[Candle]) -> int:
        """How many of them are new or other than before. Raises psycopg.errors.ForeignKeyViolation when the asset was removed meanwhile."""
        columns = [list(column) for column in zip(*candles, strict=True)]
        if not columns:
            return 0
        async with self._pool.connection() as connection:
            return (await connection.execute(STORE, [asset_id, interval, *columns])).rowcount

    async def missing(self, asset_id: int, interval: int, begin: int, end: int) -> list[tuple[int, int]]:
        """Ranges of open times from `begin` on and before `end` that have no candle, oldest first; the second of each is the next that is there."""
        async with self._pool.connection() as connection:
            return await (await connection.execute(MISSING, {"asset": asset_id, "interval": interval, "begin": begin, "end": end})).fetchall()

    async def close_before(self, asset_id: int, interval: int, moment: int) -> Decimal | None:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(CLOSE_BEFORE, (asset_id, interval, moment))).fetchone()
        return None if row is None else row[0]

    async def tell(self, asset_id: int, backfill: Backfill) -> None:
        async with self._pool.connection() as connection:
            await connection.execute("UPDATE assets SET backfill = %s WHERE id = %s", (Jsonb(asdict(backfill)), asset_id))

    async def set_prices(self, prices: Mapping[str, Decimal]) -> None:
        """By pair."""
        async with self._pool.connection() as connection:
            await connection.execute(PRICES, (list(prices), list(prices.values())))

    async def tell_outcomes(self, model: str, asset: Asset, interval: int, minutes: int, actor: str) -> int:
        """How many of the model's forecasts of the last minutes, whose candle has come, had no outcome until now."""
        wanted = {"model": model, "asset": asset.id, "symbol": asset.symbol, "interval": interval, "minutes": minutes, "actor": actor}
        async with self._pool.connection() as connection:
            return (await connection.execute(TELL_OUTCOMES, wanted)).rowcount

    async def archives(self) -> list[Archive]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Archive)) as cursor:
            return await (await cursor.execute(ARCHIVES)).fetchall()

    async def archive(self, symbol: str, interval: int) -> AsyncIterator[bytes]:
        """In the columns of Kraken's OHLCVT archives, oldest first."""
        async with self._pool.connection() as connection, connection.cursor() as cursor, cursor.copy(ARCHIVE, (symbol, interval)) as copy:
            async for part in copy:
                yield bytes(part)
