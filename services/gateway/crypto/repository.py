"""SQL of assets, candles and forecasts: only ever read here; control writes them."""

from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import dict_row

from services.kit.postgres import Connection

Row = dict[str, Any]

ASSETS: LiteralString = """
SELECT id, symbol, pair, wsname, base, quote, added_by, added_at, price::text, price_at, backfill, close::text, closed_at
FROM assets LEFT JOIN LATERAL (
    SELECT close, to_timestamp(timestamp + interval * 60) AS closed_at FROM candles WHERE asset_id = id AND interval = 60 ORDER BY timestamp DESC LIMIT 1
) newest ON true ORDER BY symbol
"""

SERIES: LiteralString = """
SELECT asset_id, interval, count(*) AS candles, min(timestamp) AS first, max(timestamp) AS last FROM candles GROUP BY asset_id, interval
"""

CANDLES: LiteralString = """
SELECT timestamp, open::text, high::text, low::text, close::text, volume::text, trades FROM (
    SELECT * FROM candles WHERE asset_id = %(asset)s AND interval = %(interval)s AND timestamp >= %(begin)s AND timestamp < %(end)s
    ORDER BY timestamp DESC LIMIT %(limit)s
) newest ORDER BY timestamp
"""

NEWEST: LiteralString = "SELECT max(timestamp) FROM candles WHERE asset_id = %s AND interval = %s"

FORECASTS: LiteralString = """
SELECT p.id AS prediction_id, p.created_at, p.model_version, f.*, truth.close AS actual
FROM predictions p
CROSS JOIN LATERAL (
    SELECT (p.output ->> 'forecast_for')::bigint AS forecast_for, p.output ->> 'prediction' AS prediction, p.output ->> 'naive' AS naive,
        p.output ->> 'lower_80' AS lower_80, p.output ->> 'upper_80' AS upper_80, p.output ->> 'lower_95' AS lower_95, p.output ->> 'upper_95' AS upper_95
    OFFSET 0
) f
JOIN candles last ON last.asset_id = %(asset)s AND last.interval = %(interval)s AND last.timestamp = f.forecast_for - %(interval)s * 60
    AND last.close::float8 = f.naive::float8
LEFT JOIN candles truth ON truth.asset_id = %(asset)s AND truth.interval = %(interval)s AND truth.timestamp = f.forecast_for
WHERE p.model = %(model)s AND p.input ->> 'asset' = %(symbol)s AND p.input ->> 'interval' = %(interval)s::integer::text
    AND p.batch_id IS NULL AND p.id < %(before)s
ORDER BY p.id DESC LIMIT %(limit)s
"""
"""A forecast from other candles than those that are stored, which somebody may have sent under the asset's name, is left out: it began from another close."""

COVERAGE: LiteralString = f"""
SELECT count(*)::integer AS n, avg((actual BETWEEN lower_80::numeric AND upper_80::numeric)::integer)::float8 AS within_80,
    avg((actual BETWEEN lower_95::numeric AND upper_95::numeric)::integer)::float8 AS within_95,
    avg(abs(actual - prediction::numeric))::float8 AS mae, avg(abs(actual - naive::numeric))::float8 AS naive_mae
FROM ({FORECASTS}) newest WHERE actual IS NOT NULL
"""  # noqa: S608 - a constant

LAST_ID = UUID(int=2**128 - 1)


async def assets(connection: Connection) -> list[Row]:
    """With the close of the newest hour."""
    return await _rows(connection, ASSETS, {})


async def series(connection: Connection) -> list[Row]:
    return await _rows(connection, SERIES, {})


async def candles(connection: Connection, asset: int, interval: int, begin: int, end: int, limit: int) -> list[Row]:
    """The newest of those that opened from `begin` on and before `end`, oldest first."""
    return await _rows(connection, CANDLES, {"asset": asset, "interval": interval, "begin": begin, "end": end, "limit": limit})


async def newest(connection: Connection, asset: int, interval: int) -> int | None:
    row = await (await connection.execute(NEWEST, (asset, interval))).fetchone()
    return row[0] if row else None


async def forecasts(connection: Connection, model: str, asset: Row, interval: int, before: UUID | None, limit: int) -> list[Row]:
    return await _rows(connection, FORECASTS, _wanted(model, asset, interval, before, limit))


async def coverage(connection: Connection, model: str, asset: Row, interval: int, most: int) -> Row:
    """Of the newest forecasts, at most so many."""
    (row,) = await _rows(connection, COVERAGE, _wanted(model, asset, interval, None, most))
    return row


def _wanted(model: str, asset: Row, interval: int, before: UUID | None, limit: int) -> Row:
    return {"model": model, "asset": asset["id"], "symbol": asset["symbol"], "interval": interval, "before": before or LAST_ID, "limit": limit}


async def _rows(connection: Connection, query: LiteralString, values: Row) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        return await (await cursor.execute(query, values)).fetchall()
